"""From card to finished agent: every verb of cagectl and of the Varlink interface, by a user."""

import json
import os
import signal

import pytest

from harness.daemon import until
from harness.varlink import VarlinkError

AGENT_KEYS = {"agent_id", "owner_uid", "agent", "workspace", "state", "spawned_usec"}


def test_run_shows_output_and_gives_the_exit_status(a):
    result = a.run("echo to stdout; echo to stderr >&2; exit 7")
    assert (result.stdout, result.stderr, result.status) == (b"to stdout\n", b"to stderr\n", 7)


def test_run_of_an_agent_that_a_signal_ends_gives_128_and_the_signal(a):
    assert a.run("kill -KILL $$").status == 128 + signal.SIGKILL


def test_what_the_agent_writes_in_the_workspace_is_its_owners(a):
    workspace = a.user.folder("written")
    a.run("mkdir deep && echo mine > deep/file && ln -s file deep/link", workspace=str(workspace))
    assert (workspace / "deep/file").read_text() == "mine\n"
    for path in (workspace / "deep", workspace / "deep/file", workspace / "deep/link"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (a.user.uid, a.user.gid), path


def test_the_agent_reads_what_its_owner_put_there(a):
    workspace = a.user.folder("read")
    private = workspace / "private"
    private.write_text("for me alone\n")
    os.chown(private, a.user.uid, a.user.gid)
    private.chmod(0o600)
    result = a.run("cat private; stat -c %U private; pwd", workspace=str(workspace))
    assert result.text == "for me alone\nagent\n/workspace\n", result.errors


def test_the_agents_input_is_empty(a):
    assert a.run("readlink /proc/self/fd/0; wc -c").text.split() == ["/dev/null", "0"]


def test_spawn_answers_while_the_agent_runs_and_wait_tells_its_end(a):
    card = a.card("echo started; sleep 0.5; exit 3")
    spawned = a.cagectl("spawn", a.cards.write(card))
    assert spawned.status == 0, spawned.errors
    assert card["agent_id"] in spawned.text
    assert a.inspect(card["agent_id"])["agent"]["state"] == "running"
    ended = a.wait(card["agent_id"])
    assert (ended["state"], ended["reason"], ended["exit_status"]) == ("ended", "exited", 3)
    assert ended["ended_usec"] - ended["spawned_usec"] >= 400_000
    assert a.cagectl("wait", card["agent_id"]).status == 3
    assert a.cagectl("logs", card["agent_id"]).stdout == b"started\n"


def test_spawn_wait_gives_the_exit_status(a):
    assert a.cagectl("spawn", "--wait", a.cards.write(a.card("exit 5"))).status == 5


def test_spawn_follow_shows_the_output(a):
    result = a.cagectl("spawn", "--follow", a.cards.write(a.card("echo one; sleep 0.3; echo two")))
    assert "one\ntwo\n" in result.text


def test_words_after_the_dashes_are_appended_to_the_command(a):
    card = a.card(command=["printf", "<%s>"])
    result = a.cagectl("run", a.cards.write(card), "--", "a b", "--", "-x")
    assert result.stdout == b"<a b><--><-x>", result.errors


def test_each_run_of_an_agent_has_an_invocation_id_of_its_own(a):
    seen = set()
    for _ in range(2):
        agent_id = a.spawn("true", agent_id="again")
        invocation_id = a.wait(agent_id)["invocation_id"]
        assert len(bytes.fromhex(invocation_id)) == 16
        assert invocation_id in a.cagectl("inspect", agent_id).text
        seen.add(invocation_id)
    assert len(seen) == 2


def test_list_and_inspect_show_a_running_agent(a):
    agent_id = a.spawn("sleep 60", ttl_seconds=50, resource_limits={"memory_mb": 64})
    agents = {agent["agent_id"]: agent for agent in a.call("List")["agents"]}
    agent = agents[agent_id]
    assert AGENT_KEYS <= agent.keys()
    assert (agent["owner_uid"], agent["state"]) == (a.user.uid, "running")
    assert 40 <= agent["ttl_left"] <= 50
    assert open(f"/proc/{agent['pid']}/comm").read() in ("sleep\n", "sh\n")
    inspected = a.inspect(agent_id)
    assert inspected["agent"]["agent_id"] == agent_id
    assert inspected["command"] == ["/bin/sh", "-c", "sleep 60"]
    assert inspected["card"]["resource_limits"] == {
        "memory_mb": 64, "swap_mb": 0, "cpu_shares": 1024, "max_processes": 512, "max_open_files": 1024}
    for words in (["list"], ["inspect", agent_id]):
        shown = a.cagectl(*words)
        assert shown.status == 0 and agent_id in shown.text, shown
        assert agent_id in json.dumps(json.loads(a.cagectl(*words, "-j").stdout))
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert agent_id not in [agent["agent_id"] for agent in a.call("List")["agents"]]
    assert agent_id in [agent["agent_id"] for agent in a.call("List", all=True)["agents"]]


def test_an_id_is_taken_while_its_agent_runs_and_free_after_it(a):
    card = a.card("sleep 60")
    a.daemon.spawn(a.user, card)
    with pytest.raises(VarlinkError) as error:
        a.daemon.spawn(a.user, card)
    assert (error.value.name, error.value.parameters["agent_id"]) == \
        ("AgentExists", card["agent_id"])
    again = a.cagectl("spawn", a.cards.write(card))
    assert again.status != 0 and card["agent_id"] in again.errors
    a.call("Kill", agent_id=card["agent_id"])
    a.wait(card["agent_id"])
    card["command"] = ["true"]
    a.daemon.spawn(a.user, card)
    assert a.wait(card["agent_id"])["exit_status"] == 0


def test_two_users_may_use_one_id_and_root_says_which(a, b, root):
    for client in (a, b):
        client.spawn("sleep 60", agent_id="same")
    with pytest.raises(VarlinkError) as error:
        root.call("Inspect", agent_id="same")
    assert error.value.name == "Ambiguous"
    assert sorted(error.value.parameters["owners"]) == sorted([a.user.uid, b.user.uid])
    root.call("Kill", agent_id="same", owner_uid=a.user.uid)
    assert a.wait("same")["reason"] == "killed"
    assert b.inspect("same")["agent"]["state"] == "running"
    b.call("Kill", agent_id="same")
    b.wait("same")


def test_events_tell_an_agents_life(a):
    with a.connect() as connection:
        connection.send("Events", {}, more=True)
        until(lambda: a.call("List") is not None)
        agent_id = a.spawn("exit 4")
        kinds = []
        while "ended" not in kinds:
            for event in connection.reply()["events"]:
                if event["agent_id"] == agent_id:
                    kinds.append(event["kind"])
                    last = event
    assert kinds == ["spawned", "running", "ended"]
    assert (last["reason"], last["exit_status"], last["owner_uid"]) == ("exited", 4, a.user.uid)


def test_cagectl_events_prints_them(a):
    process = a.daemon.start_cagectl(a.user, "events")
    try:
        until(lambda: process.poll() is None and a.call("List") is not None)
        agent_id = None

        def spawn_until_seen():
            nonlocal agent_id
            agent_id = a.spawn("true")
            a.wait(agent_id)
            os.set_blocking(process.stdout.fileno(), False)
            return agent_id.encode() in (process.stdout.read() or b"")

        until(spawn_until_seen, what="cagectl events shows an agent")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_the_log_has_an_entry_for_the_start_and_the_end(a, daemon):
    agent_id = a.spawn("exit 6")
    a.wait(agent_id)
    daemon.log_lines(f'CAGED_AGENT="{agent_id}"', at_least=2)


def test_the_service_describes_itself(a):
    with a.connect() as connection:
        info = connection.call("org.varlink.service.GetInfo")
        assert "io.caged" in info["interfaces"] and "org.varlink.service" in info["interfaces"]
        text = connection.call("org.varlink.service.GetInterfaceDescription",
                               {"interface": "io.caged"})["description"]
    assert text.index("interface io.caged") and "method Spawn(" in text


@pytest.mark.parametrize("method, name", [
    ("io.caged.Fly", "org.varlink.service.MethodNotFound"),
    ("io.other.Spawn", "org.varlink.service.InterfaceNotFound"),
    ("org.varlink.service.Fly", "org.varlink.service.MethodNotFound")])
def test_an_unknown_method_is_named_so(a, method, name):
    with a.connect() as connection:
        with pytest.raises(VarlinkError) as error:
            connection.call(method)
        assert error.value.name == name
        connection.call("List")  # the connection lives on


def test_a_command_that_is_not_there_is_named(a):
    error = a.refused(command=["no-such-command"])
    assert error.name == "SpawnFailed"
    assert "no-such-command" in json.dumps(error.parameters)
    assert error.parameters["errno"] == 2
    shown = a.cagectl("run", a.cards.write(a.card(command=["no-such-command"])))
    assert shown.status not in (0, 1) and "no-such-command" in shown.errors


@pytest.mark.parametrize("change, path", [
    ({"agent_id": "Upper"}, "$.agent_id"),
    ({"ttl_seconds": -1}, "$.ttl_seconds"),
    ({"resource_limits": {"memory_mb": "4G"}}, "$.resource_limits.memory_mb"),
    ({"resource_limits": {"memory": 4}}, "$.resource_limits.memory"),
    ({"allowed_hosts": ["ok.example", "not ok"]}, "$.allowed_hosts[1]"),
    ({"environment": {"A": 1}}, "$.environment.A"),
    ({"agent": "no-such-preset"}, "$.agent"),
    ({"surprise": True}, "$.surprise")])
def test_a_bad_card_is_refused_by_the_daemon_with_its_key(a, change, path):
    error = a.refused(**change)
    assert (error.name, error.parameters["path"]) == ("InvalidCard", path)
    assert error.parameters["found"] and error.parameters["expected"]


def test_eight_agents_run_side_by_side(a):
    paths = [a.cards.write(a.card(f"sleep 0.5; echo I am {number}; exit {number}"))
             for number in range(8)]
    processes = [a.daemon.start_cagectl(a.user, "run", path) for path in paths]
    for number, process in enumerate(processes):
        stdout, stderr = process.communicate(timeout=60)
        assert (stdout, process.returncode) == (f"I am {number}\n".encode(), number), stderr
