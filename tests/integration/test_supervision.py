"""How agents end, and what is told about it."""

import os
import signal
import time

import pytest

from harness import leftovers
from harness.daemon import until
from harness.varlink import VarlinkError

STUBBORN = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.1; done"


def end_of(a, script, **keys):
    return a.wait(a.spawn(script, **keys))


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_an_exit_is_told_with_its_status(a, status):
    ended = end_of(a, f"exit {status}")
    assert (ended["reason"], ended["exit_status"]) == ("exited", status)
    assert ended.get("signal") is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_a_signal_is_told_with_its_number(a, number):
    ended = end_of(a, f"kill -{number.value} $$")
    assert (ended["reason"], ended["signal"]) == ("signaled", number)
    assert ended.get("exit_status") is None


def test_stop_lets_an_agent_end_by_itself(a):
    agent_id = a.spawn("trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    a.until_output(agent_id, "ready")
    a.call("Stop", agent_id=agent_id)
    ended = a.wait(agent_id)
    assert ended["reason"] == "stopped" and a.output(agent_id)[0] == b"ready\ntidied\n"


def test_stop_kills_after_the_grace_time(a):
    agent_id = a.spawn(STUBBORN)
    a.until_output(agent_id, "ready")
    start = time.monotonic()
    a.call("Stop", agent_id=agent_id, grace_seconds=1)
    assert a.inspect(agent_id)["agent"]["state"] == "stopping"
    assert a.wait(agent_id)["reason"] == "stopped"
    assert 0.9 <= time.monotonic() - start < 5


def test_stop_without_grace_and_a_second_stop(a):
    agent_id = a.spawn(STUBBORN)
    a.until_output(agent_id, "ready")
    a.call("Stop", agent_id=agent_id, grace_seconds=60)
    a.call("Stop", agent_id=agent_id, grace_seconds=0)
    assert a.wait(agent_id, timeout=5)["reason"] == "stopped"


def test_kill_ends_all_that_the_agent_started(a):
    agent_id = a.spawn("for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; sleep 60' & done; " + STUBBORN)
    a.until_output(agent_id, "ready")
    base = a.inspect(agent_id)["uid_base"]
    assert len(leftovers.processes_of_uids(a.daemon.name, base)) >= 5
    a.call("Kill", agent_id=agent_id)
    assert a.wait(agent_id, timeout=5)["reason"] == "killed"
    assert leftovers.processes_of_uids(a.daemon.name, base) == []


def test_another_signal_goes_to_the_agent_alone(a):
    agent_id = a.spawn("trap 'echo one; exit 11' USR1; echo ready; while :; do sleep 0.05; done")
    a.until_output(agent_id, "ready")
    a.call("Kill", agent_id=agent_id, signal=signal.SIGUSR1)
    ended = a.wait(agent_id)
    assert (ended["reason"], ended["exit_status"]) == ("exited", 11)


@pytest.mark.parametrize("number", [0, -1, 65, 1000])
def test_a_signal_that_there_is_not_is_refused(a, number):
    agent_id = a.spawn("sleep 60")
    with pytest.raises(VarlinkError) as error:
        a.call("Kill", agent_id=agent_id, signal=number)
    assert error.value.name == "org.varlink.service.InvalidParameter"
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def test_what_an_agent_leaves_behind_ends_with_it(a):
    folder = a.user.folder("leaves-behind")
    agent_id = a.spawn("setsid sh -c 'trap \"\" TERM HUP; echo ready; sleep 60' & "
                       "while [ ! -e end ]; do sleep 0.05; done; exit 0", workspace=str(folder))
    a.until_output(agent_id, "ready")
    base = a.inspect(agent_id)["uid_base"]
    assert len(leftovers.processes_of_uids(a.daemon.name, base)) >= 3
    (folder / "end").touch()
    assert a.wait(agent_id)["reason"] == "exited"
    assert leftovers.processes_of_uids(a.daemon.name, base) == []


def test_the_time_to_live_ends_it(a):
    start = time.monotonic()
    ended = end_of(a, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", ttl_seconds=1)
    assert ended["reason"] == "ttl" and 0.9 <= time.monotonic() - start < 5


def test_an_ended_agent_is_not_running(a):
    agent_id = a.spawn("true")
    a.wait(agent_id)
    for method in ("Stop", "Kill"):
        with pytest.raises(VarlinkError) as error:
            a.call(method, agent_id=agent_id)
        assert (error.value.name, error.value.parameters["state"]) == ("NotRunning", "ended")


def test_the_foreground_client_takes_its_agent_with_it(a):
    process, agent_id = a.start_run("echo ready; exec sleep 60")
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.communicate()
    assert a.wait(agent_id)["reason"] == "client_gone"


def test_the_foreground_client_passes_signals_on(a):
    process, agent_id = a.start_run("trap 'exit 21' INT; trap 'exit 22' TERM; echo ready; "
                                    "while :; do sleep 0.05; done")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 22


def test_wait_with_more_tells_the_state_at_once_and_the_end(a):
    agent_id = a.spawn("sleep 0.5")
    with a.connect() as connection:
        states = [reply["agent"]["state"] for reply in
                  connection.replies("Wait", {"agent_id": agent_id})]
    assert states[0] == "running" and states[-1] == "ended"


def test_many_can_wait_for_one(a):
    agent_id = a.spawn("sleep 0.5; exit 8")
    connections = [a.connect() for _ in range(20)]
    for connection in connections:
        connection.send("Wait", {"agent_id": agent_id})
    for connection in connections:
        assert connection.reply()["agent"]["exit_status"] == 8
        connection.close()


def test_the_agent_cannot_end_or_touch_its_first_process(a):
    result = a.run("kill -KILL 1; kill -STOP 1; ls -l /proc/1/fd /proc/1/exe >/dev/null; "
                   "cat /proc/1/environ; echo still here")
    assert result.text == "still here\n" and result.status == 0
    assert result.errors.lower().count("not permitted") + \
        result.errors.lower().count("denied") + result.errors.count("No such") >= 3, result.errors


def test_a_helper_of_the_cage_that_dies_is_a_failure_with_its_reason(a):
    agent_id = a.spawn("sleep 60")
    agent = a.inspect(agent_id)["agent"]
    with open(f"/proc/{agent['pid']}/status") as file:
        parent = next(line.split()[1] for line in file if line.startswith("PPid:"))
    os.kill(int(parent), signal.SIGKILL)
    ended = a.wait(agent_id, timeout=10)
    assert ended["reason"] == "failed" and ended["detail"], ended


def test_ended_agents_are_remembered_only_so_long(a):
    first = a.spawn("true")
    a.wait(first)
    for _ in range(70):
        a.wait(a.spawn("true"))
    assert len(a.call("List", all=True)["agents"]) <= 64
    with pytest.raises(VarlinkError) as error:
        a.inspect(first)
    assert error.value.name == "NoSuchAgent"


def test_stop_all_stops_the_callers_agents_alone(a, b):
    mine = [a.spawn("sleep 60") for _ in range(3)]
    theirs = b.spawn("sleep 60")
    result = a.cagectl("stop", "--all")
    assert result.status == 0, result.errors
    for agent_id in mine:
        assert a.wait(agent_id)["reason"] == "stopped"
    assert b.inspect(theirs)["agent"]["state"] == "running"
    b.call("Kill", agent_id=theirs)
    b.wait(theirs)


def test_cagectl_stop_kill_and_wait(a):
    for verb, reason in (("stop", "stopped"), ("kill", "killed")):
        agent_id = a.spawn("sleep 60")
        result = a.cagectl(verb, agent_id)
        assert result.status == 0, result.errors
        assert a.wait(agent_id)["reason"] == reason
    waited = a.spawn("exit 13")
    assert a.cagectl("wait", waited).status == 13
    agent_id = a.spawn("sleep 60")
    a.call("Kill", agent_id=agent_id)
    until(lambda: a.cagectl("wait", agent_id).status != 0)
