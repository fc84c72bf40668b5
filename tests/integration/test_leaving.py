"""SIGUSR1: the daemon ends when it is idle, to be started anew (for upgrades); no request is lost."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness import leftovers, paths
from harness.daemon import Client, Daemon, until
from harness.much import change_much
from harness.varlink import Disconnected

ANEW = 75
LEAVE_QUIET, LEAVE_DRAIN = 30, 5  # seconds: common/caged-limits.h


class ActivatedDaemon(Daemon):
    """A cagedd that is passed its listening socket, as systemd does it (sd_listen_fds(3)); the
    socket listens whether a daemon runs or not."""

    def __init__(self, base, group):
        super().__init__(base, group)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.socket))
        os.chmod(self.socket, 0o666)
        self.listener.listen(16)

    def launch(self, *words):
        script = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", "bash", "-c", script,
                 str(self.listener.fileno()), paths.CAGEDD,
                 "--libexec-dir", self.libexec, "--data-dir", paths.POLICY,
                 "--cgroup", self.name, "--group", self.group, "--policy", self.policy, *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                pass_fds=[self.listener.fileno()],
                env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"})
        self.pids.append(self.process.pid)


@pytest.fixture
def activated(base, people):
    daemon = ActivatedDaemon(base, people["group"]).start()
    yield daemon
    if daemon.process and daemon.process.poll() is None:
        daemon.stop()
    daemon.listener.close()


@pytest.fixture
def a(own_daemon, people):
    return Client(own_daemon, people["a"])


def tell_to_leave(daemon):
    """Returns when the daemon has taken the signal, or has ended by it."""
    daemon.process.send_signal(signal.SIGUSR1)
    until(lambda: "SIGUSR1" in daemon.log() or daemon.process.poll() is not None,
          what="the signal is taken")


def left(daemon, timeout=10):
    """The exit status of a daemon that ends by itself; it leaves nothing."""
    status = daemon.process.wait(timeout)
    daemon.process = None
    assert leftovers.cgroups(daemon.name) == []
    return status


def test_an_idle_daemon_ends_at_once(own_daemon):
    with pytest.raises(subprocess.TimeoutExpired):
        own_daemon.process.wait(1)  # nothing comes to it any more but the signal
    started = time.monotonic()
    own_daemon.process.send_signal(signal.SIGUSR1)
    assert left(own_daemon) == ANEW
    assert time.monotonic() - started < 5
    assert not own_daemon.socket.exists()


def test_a_daemon_told_to_leave_serves_until_its_last_agent_has_ended(own_daemon, a):
    first = a.spawn("sleep 60")
    tell_to_leave(own_daemon)
    second = a.spawn("sleep 60")  # served, though it was told
    assert {agent["agent_id"] for agent in a.call("List")["agents"]} == {first, second}
    a.call("Kill", agent_id=first)
    assert a.wait(first)["reason"] == "killed"
    with pytest.raises(subprocess.TimeoutExpired):
        own_daemon.process.wait(1)
    assert a.inspect(second)["agent"]["state"] == "running"
    own_daemon.process.send_signal(signal.SIGUSR1)  # once more: nothing new
    with a.connect() as connection:
        connection.send("Wait", {"agent_id": second})
        a.call("Kill", agent_id=second)
        assert connection.reply()["agent"]["reason"] == "killed"
    assert left(own_daemon) == ANEW


def test_a_daemon_told_to_leave_can_still_be_stopped(own_daemon, a):
    a.spawn("sleep 60")
    tell_to_leave(own_daemon)
    assert own_daemon.stop() == 0


def test_a_foreground_client_learns_of_its_agents_end_from_a_daemon_that_leaves(own_daemon, a):
    """Its last line and its exit status are asked for after the agent has ended."""
    process, agent_id = a.start_run("while [ ! -e go ]; do sleep 0.02; done; echo last words; exit 7")
    until(lambda: agent_id in {agent["agent_id"] for agent in a.call("List")["agents"]})
    workspace = a.inspect(agent_id)["agent"]["workspace"]
    tell_to_leave(own_daemon)
    Path(workspace, "go").touch()
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, b"last words\n"), errors
    assert left(own_daemon) == ANEW


def test_a_client_between_two_calls_is_waited_for(own_daemon, a):
    with a.connect() as connection:
        card = a.card("exit 3")
        own_daemon.spawn(a.user, card, connection, foreground=True)
        assert a.wait(card["agent_id"])["exit_status"] == 3
        tell_to_leave(own_daemon)
        with pytest.raises(subprocess.TimeoutExpired):
            own_daemon.process.wait(2)
        assert connection.call("Wait", {"agent_id": card["agent_id"]})["agent"]["exit_status"] == 3
        another = a.card("sleep 60")  # and an agent may be its next wish
        own_daemon.spawn(a.user, another, connection, foreground=True)
        assert a.inspect(another["agent_id"])["agent"]["state"] == "running"
    assert left(own_daemon, 20) == ANEW


def test_a_client_that_says_nothing_is_not_waited_for_without_end(own_daemon, a):
    """What it has sent by then was answered; what it sends later does not seem to have been taken."""
    with a.connect(LEAVE_QUIET + 20) as quiet, a.connect() as half:
        assert quiet.call("List")["agents"] == []
        half.send_bytes(b'{"method": "io.caged.List')
        started = time.monotonic()
        tell_to_leave(own_daemon)
        assert quiet.call("List")["agents"] == []
        assert left(own_daemon, LEAVE_QUIET + 15) == ANEW
        assert time.monotonic() - started > LEAVE_QUIET - 2
        with pytest.raises(Disconnected):
            quiet.send("List")
        assert half.ended()


def test_who_follows_events_gets_a_last_reply(own_daemon, a):
    with a.connect() as connection:
        events = connection.replies("Events")
        assert next(events)["events"] == []
        agent_id = a.spawn("exit 4")
        tell_to_leave(own_daemon)
        # It ends by itself, neither by an error nor by the end of the connection alone.
        seen = [event for reply in events for event in reply["events"]]
        assert [(event["agent_id"], event["exit_status"]) for event in seen
                if event["kind"] == "ended"] == [(agent_id, 4)]
        assert connection.ended()
    assert left(own_daemon) == ANEW


def test_a_reader_who_does_not_read_is_not_waited_for_without_end(own_daemon, a):
    with a.connect() as connection:
        connection.send("Events", more=True)
        agent_id = a.spawn("sleep 60")
        change_much(a, agent_id)
        tell_to_leave(own_daemon)
        started = time.monotonic()
        a.call("Kill", agent_id=agent_id)
        assert left(own_daemon, LEAVE_DRAIN + 10) == ANEW
        assert time.monotonic() - started > LEAVE_DRAIN - 1, "the reader's replies fitted into the socket"


def test_who_connects_between_two_daemons_is_served_by_the_next(activated, people):
    a = Client(activated, people["a"])
    agent_id = a.spawn("sleep 60")
    tell_to_leave(activated)
    a.call("Kill", agent_id=agent_id)
    assert left(activated) == ANEW
    with a.connect() as connection:  # is not refused: the socket is not the daemon's
        connection.send("List")
        activated.launch()
        assert connection.reply()["agents"] == []
    another = a.spawn("exit 5")
    assert a.wait(another)["exit_status"] == 5


def test_no_call_is_lost_while_daemons_take_turns(activated, people):
    """A client that calls without pause, each time on a new connection, and daemons that are told
    to leave without pause: every call is answered."""
    script = """trap 'go_on=' TERM; go_on=yes count=0
        while [ "$go_on" ]; do "$0" list >/dev/null || exit 1; count=$((count + 1)); done
        echo $count"""
    words = activated.cagectl_words(people["a"], "list")[:-2]
    caller = subprocess.Popen([*words, "bash", "-c", script, paths.CAGECTL],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(15):
        activated.process.send_signal(signal.SIGUSR1)
        assert activated.process.wait(LEAVE_QUIET + 10) == ANEW
        activated.start()
    assert caller.poll() is None, caller.communicate()
    caller.terminate()  # the loop: setpriv(1) has become it
    answered, errors = caller.communicate(timeout=30)
    assert caller.returncode == 0 and int(answered) >= 10, errors
