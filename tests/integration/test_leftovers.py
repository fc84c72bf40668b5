"""After agents have ended, nothing of them is left; and after the daemon's own end neither."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from harness import leftovers
from harness.daemon import Client, Daemon, until

# One way to end for each agent: by itself (also with a gate), badly, by force, by time, before its
# start.
ENDS = ["exit 0", "exit 1", "kill -SEGV $$", "sleep 60", "setsid sleep 60 & exit 0",
        "curl --max-time 20 http://127.0.0.1:9/"]


LOCKS = Path("/run/systemd/nspawn-uid")


def locked(bases):
    """Which of the ranges are locked: for systemd-nspawn, and for other daemons of ours."""
    return [base for base in bases if (LOCKS / str(base)).exists()]


def test_nothing_is_left_of_many_agents(a, daemon):
    a.run("true")  # what the daemon makes once, it has made now
    before = leftovers.idle(daemon)
    bases = set()
    for round_number in range(4):
        ids = [a.spawn(script, ttl_seconds=0, allowed_hosts=["127.0.0.1:9"]) for script in ENDS]
        for agent_id in ids:
            bases.add(a.inspect(agent_id)["uid_base"])  # 0 if it has ended already
        a.call("Kill", agent_id=ids[3])
        for agent_id in ids:
            a.wait(agent_id)
    assert a.refused(command=["no-such-command"]).name == "SpawnFailed"
    leftovers.until_as(daemon, before)
    assert len(bases - {0}) >= 4
    for base in bases - {0}:
        assert leftovers.processes_of_uids(daemon.name, base) == []
    until(lambda: not locked(bases - {0}), what="the ranges are unlocked")


def test_what_is_there_while_an_agent_runs(a, daemon):
    """So that the tests above cannot pass by looking in the wrong place."""
    before = leftovers.idle(daemon)
    agent_id = a.spawn("sleep 60", allowed_hosts=["127.0.0.1:9"])
    during = leftovers.snapshot(daemon)
    assert locked([a.inspect(agent_id)["uid_base"]])
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert {Path(path).name for path in set(during["cgroups"]) - set(before["cgroups"])} == {
        f"owner-{a.user.uid}", f"agent-{agent_id}", f"gate-{agent_id}"}
    for what in ("processes", "cgroups", "links", "descriptors"):
        assert during[what] != before[what], what
    leftovers.until_as(daemon, before)


def _held(daemon):
    """The network namespaces that the daemon has descriptors of."""
    links = []
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(entry))
    return {link for link in links if link.startswith("net:[")}


def test_one_network_namespace_is_made_in_advance_and_given_to_one_agent(a, daemon):
    a.run("true")
    before = leftovers.idle(daemon)
    held = _held(daemon)
    ids = [a.spawn("sleep 60") for _ in range(3)]
    theirs = [os.readlink(f"/proc/{a.inspect(agent_id)['agent']['pid']}/ns/net") for agent_id in ids]
    during = _held(daemon)
    for agent_id in ids:
        a.call("Kill", agent_id=agent_id)
        a.wait(agent_id)
    assert len(set(theirs)) == len(ids)
    assert [name in held for name in theirs] == [True, False, False]
    assert not during & set(theirs)
    leftovers.until_as(daemon, before)
    assert len(_held(daemon)) == len(held)


def test_a_socket_passed_out_of_the_cage_does_not_keep_its_link(a, daemon):
    """It keeps the network namespace, but not the way out of it."""
    workspace = a.user.folder("pinned")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(workspace / "out"))
    listener.listen()
    os.chown(workspace / "out", a.user.uid, a.user.gid)
    listener.settimeout(10)
    a.run("true")
    before = leftovers.idle(daemon)
    agent_id = a.spawn(workspace=str(workspace), command=["/usr/bin/python3", "-c", """
import socket
pinned = socket.socket()
out = socket.socket(socket.AF_UNIX)
out.connect("/workspace/out")
socket.send_fds(out, [b"x"], [pinned.fileno()])
"""])
    connection, _ = listener.accept()
    connection.settimeout(10)
    _, fds, _, _ = socket.recv_fds(connection, 1, 1)
    try:
        assert len(fds) == 1
        a.wait(agent_id)
        for _ in range(25):  # agents that go on ending do not put it off
            a.run("true")
            time.sleep(0.1)
        leftovers.until_as(daemon, before, timeout=2)
    finally:
        for fd in fds:
            os.close(fd)
        connection.close()
        listener.close()


def test_two_agents_never_share_a_range_of_uids(a):
    ids = [a.spawn("sleep 60") for _ in range(6)]
    bases = {a.inspect(agent_id)["uid_base"] for agent_id in ids}
    for agent_id in ids:
        a.call("Kill", agent_id=agent_id)
        a.wait(agent_id)
    assert len(bases) == 6 and all(base % 65536 == 0 for base in bases)


STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def _busy(daemon, people):
    a = Client(daemon, people["a"])
    ids = [a.spawn(STUBBORN), a.spawn("sleep 60")]
    a.until_output(ids[0], "ready")
    return [a.inspect(agent_id)["uid_base"] for agent_id in ids]


def _nothing(daemon, pid, bases):
    assert leftovers.processes(pid, daemon.name) == []
    for base in bases:
        assert leftovers.processes_of_uids(daemon.name, base) == []
    assert leftovers.cgroups(daemon.name) == []


def test_a_daemon_told_to_end_ends_its_agents_and_leaves_nothing(own_daemon, people):
    bases = _busy(own_daemon, people)
    pid = own_daemon.pid
    assert own_daemon.stop(signal.SIGTERM) == 0, own_daemon.log()[-3000:]
    _nothing(own_daemon, pid, bases)
    assert not own_daemon.socket.exists()


def test_a_foreground_client_is_told_when_the_daemon_ends(own_daemon, people):
    a = Client(own_daemon, people["a"])
    process, _ = a.start_run("echo ready; sleep 60")
    assert process.stdout.readline() == b"ready\n"
    own_daemon.stop(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0 and errors, errors


def test_agents_of_a_killed_daemon_do_not_outlive_it_and_the_next_clears_up(own_daemon, people):
    """PID 1 of each cage sees its daemon go; cgroups that are left are removed at the next start."""
    bases = _busy(own_daemon, people)
    pid = own_daemon.pid
    own_daemon.stop(signal.SIGKILL)
    until(lambda: not any(leftovers.processes_of_uids(own_daemon.name, base)
                          for base in bases),
          what="the agents end with their daemon")
    own_daemon.start()
    a = Client(own_daemon, people["a"])
    assert a.run("echo again").stdout == b"again\n"
    assert a.call("List")["agents"] == []
    assert own_daemon.stop() == 0
    _nothing(own_daemon, pid, bases)


@pytest.mark.parametrize("same", ["socket", "name"])
def test_a_second_daemon_in_the_same_place_is_refused_and_touches_nothing(
        own_daemon, people, base, same):
    """Not even what it would take for leftovers of an earlier one: the first one's agents."""
    a = Client(own_daemon, people["a"])
    agent_id = a.spawn("sleep 60")
    second = Daemon(base, people["group"])
    setattr(second, same, getattr(own_daemon, same))
    second.launch()
    try:
        assert second.process.wait(10) != 0
    finally:
        second.process.kill()
    assert "another cagedd" in second.log(), second.log()
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    assert a.run("echo first").stdout == b"first\n"


@pytest.mark.parametrize("words, told", [
    (["--socket"], "--socket"), (["--nonsense"], "nonsense"), (["--libexec-dir", "/nonexistent"],
     "/nonexistent"), (["--data-dir", "/nonexistent"], "/nonexistent"),
    (["--socket", "/nonexistent/x/sock"], "/nonexistent/x/sock"),
    (["--socket", "/tmp/" + "x" * 200], "xxx"), (["surprise"], "surprise")])
def test_a_daemon_that_cannot_work_says_why_and_ends(base, people, words, told):
    daemon = Daemon(base, people["group"])
    daemon.launch(*words)
    try:
        assert daemon.process.wait(10) != 0
    finally:
        daemon.process.kill()
    assert told in daemon.log(), daemon.log()
    assert leftovers.cgroups(daemon.name) == []


def test_a_file_in_the_socket_s_place_is_not_removed(base, people):
    daemon = Daemon(base, people["group"])
    daemon.socket.write_text("precious")
    daemon.launch()
    try:
        assert daemon.process.wait(10) == 1
    finally:
        daemon.process.kill()
    assert f"cannot listen at {daemon.socket}: File exists" in daemon.log()
    assert daemon.socket.read_text() == "precious"


def test_a_group_that_there_is_not_leaves_the_daemon_to_root(base, people):
    daemon = Daemon(base, "no-such-group-here").start()
    try:
        with pytest.raises(PermissionError):
            daemon.connect(people["a"])
        assert Client(daemon, people["root"]).call("List")["agents"] == []
    finally:
        assert daemon.stop() == 0
