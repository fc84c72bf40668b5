"""A member of the group who knows the kernel well and wants the daemon to stand still, to grow, or
to serve nobody else: every test here once did that."""

import array
import contextlib
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from harness.daemon import until
from harness.users import acting_as
from harness.varlink import VarlinkError

PIPE_MAX = 1 << 20  # what anybody may make of a pipe: /proc/sys/fs/pipe-max-size
SEND_FD = """python3 -c '
import array, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/workspace/socket")
s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))])
s.recv(1)
'"""
FILL_PIPES = f"""python3 -c '
import fcntl, os
for fd in (1, 2):
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, {PIPE_MAX})
    os.set_blocking(fd, False)
for i in range(200):
    for fd in (1, 2):
        try:
            os.write(fd, b"\\n" * 65536)
        except BlockingIOError:
            pass
os.kill(os.getpid(), 9)
'"""


def resident(daemon):
    return int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def slowest(client, seconds):
    """The longest that somebody else waits for an answer during some seconds."""
    worst, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        client.call("List")
        worst = max(worst, time.monotonic() - start)
    return worst


def listen_in(workspace, user):
    """A socket in a workspace at which the agent can meet a friend outside of its cage."""
    listener = socket.socket(socket.AF_UNIX)
    with acting_as(user):
        listener.bind(f"{workspace}/socket")
    listener.listen()
    listener.settimeout(20)
    return listener


def receive_fd(peer):
    _, fds, _, _ = socket.recv_fds(peer, 1, 1)
    return fds[0]


def test_an_output_pipe_that_lives_on_outside_does_not_keep_an_agent_from_its_end(a, b):
    """The agent hands its stdout to a process of its user's, which never stops to write."""
    card = a.card(SEND_FD)
    listener = listen_in(card["workspace"], a.user)
    a.daemon.spawn(a.user, card)
    peer, _ = listener.accept()
    pipe = receive_fd(peer)
    os.set_blocking(pipe, False)
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                os.write(pipe, b"\n" * 65536)
            except BlockingIOError:
                pass
            except BrokenPipeError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        peer.send(b"x")
        assert b.daemon.connect(b.user, 15).call("List") is not None
        assert a.wait(card["agent_id"], timeout=15)["reason"] == "exited"
    finally:
        stop.set()
        thread.join()
        os.close(pipe)
        peer.close()
        listener.close()


@pytest.mark.parametrize("method, parameters", [
    ("org.varlink.service.GetInterfaceDescription", {"interface": "io.caged"}),
    ("io.caged.List", {"all": True})])
def test_replies_that_nobody_reads_do_not_pile_up(a, b, daemon, method, parameters):
    request = json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"
    before = resident(daemon)
    with a.connect() as connection:
        connection.socket.setblocking(False)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                connection.send_some(request * 500)
            except BlockingIOError:
                time.sleep(0.01)
        assert resident(daemon) - before < 20 << 20
        assert slowest(b, 1) < 0.5


def test_a_heap_of_calls_is_not_answered_before_those_of_others(a, b):
    request = json.dumps({"method": "io.caged.List", "oneway": True}).encode() + b"\0"
    for i in range(60):
        a.spawn("sleep 300")
    connections = [a.connect() for _ in range(20)]
    try:
        for connection in connections:
            connection.socket.setblocking(False)
        for _ in range(4):
            for connection in connections:
                with contextlib.suppress(BlockingIOError):
                    connection.send_some(request * 1500)
            assert slowest(b, 0.3) < 0.3
    finally:
        for connection in connections:
            connection.close()
        assert slowest(b, 0.3) < 0.3
        for agent in a.call("List")["agents"]:
            a.call("Kill", agent_id=agent["agent_id"])


def test_calls_on_many_connections_are_not_answered_before_anothers_only_one(a, b, daemon, root):
    """What was done in which order is in the events: they are counted as it is done."""
    many = 100
    agents = {client: client.spawn("sleep 300", allowed_hosts=["example.org"]) for client in (a, b)}
    with contextlib.ExitStack() as stack:
        events = stack.enter_context(root.connect())
        events.send("Events", more=True)
        events.receive()
        connections = [stack.enter_context(a.connect()) for _ in range(many)]
        for connection in connections:
            connection.call("List")
        only = stack.enter_context(b.connect())
        only.call("List")
        os.kill(daemon.pid, signal.SIGSTOP)  # all of it is there when the daemon looks
        try:
            for i, connection in enumerate(connections):
                connection.send("ChangeHosts", {"agent_id": agents[a], "deny": [f"h{i}.example"]})
            only.send("Kill", {"agent_id": agents[b]})
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        before, done = None, 0
        while done < many or before is None:
            for event in events.receive()["parameters"]["events"]:
                done += event["kind"] == "reloaded"
                if (event["kind"], event["owner_uid"]) == ("stopping", b.user.uid):
                    before = done
        assert before <= many // 4, "b's call came after so many of a's"
    a.call("Kill", agent_id=agents[a])


def test_logs_end_although_their_lines_leave_the_ring_meanwhile(a):
    agent_id = a.spawn("i=0; while :; do head -c 60000 /dev/zero | tr '\\0' '\\1'; echo; done")
    until(lambda: a.call("Logs", agent_id=agent_id, lines=1)["lines"], what="output")
    time.sleep(1)
    with a.connect(timeout=10) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send("Logs", {"agent_id": agent_id}, more=True)
        time.sleep(2)
        lost, told, message = 0, 0, {"continues": True}
        while message.get("continues"):
            message = connection.receive()
            lost += message["parameters"]["lost"]
            told += len(message["parameters"]["lines"])
        assert lost > 0
    a.call("Kill", agent_id=agent_id)


def test_a_stop_cannot_put_off_the_end_that_an_earlier_one_set(a):
    agent_id = a.spawn("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    a.until_output(agent_id, "ready")
    start = time.monotonic()
    a.call("Stop", agent_id=agent_id, grace_seconds=1)
    for _ in range(4):
        with contextlib.suppress(VarlinkError):
            a.call("Stop", agent_id=agent_id, grace_seconds=3600)
        time.sleep(0.2)
    assert a.wait(agent_id, timeout=5)["reason"] == "stopped"
    assert time.monotonic() - start < 5


def lingering_socket():
    """A TCP socket whose last close waits, for as long as it likes, for a peer that does not read."""
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(b"x" * 65536)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, array.array("i", [1, 30]).tobytes())
    server.close()
    return client, peer


@pytest.mark.parametrize("how", ["unused", "workspace", "key", "junk", "one too many", "unread"])
def test_a_descriptor_whose_close_takes_long_holds_nobody_up(a, b, daemon, how):
    client, peer = lingering_socket()
    connection = a.connect(timeout=5)
    if how == "unread":
        connection.send("Events", more=True)
        connection.receive()
    os.kill(daemon.pid, signal.SIGSTOP)  # so that its copy is the last one
    try:
        if how in ("workspace", "key"):
            card = a.card("true", api_key_file="/key")
            with acting_as(a.user):
                folder = os.open(card["workspace"], os.O_RDONLY)
            fds = [client.fileno(), folder] if how == "workspace" else [folder, client.fileno()]
            connection.send("Spawn", {"card": card, "workspace_fd": 0, "api_key_fd": 1}, fds)
            os.close(folder)
        elif how == "one too many":
            connection.send("List", fds=[0] * 8 + [client.fileno()])
        else:
            connection.send_bytes(b"junk\0", [client.fileno()])
        client.close()
        if how == "unread":
            connection.close()
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    try:
        start = time.monotonic()
        b.daemon.connect(b.user, 10).call("List")
        assert time.monotonic() - start < 2
    finally:
        connection.close()
        peer.close()


def test_agents_that_print_empty_lines_hold_nobody_up(a, b):
    agents = [a.spawn("yes '' & yes '' >&2") for _ in range(6)]
    try:
        assert slowest(b, 3) < 0.5
    finally:
        for agent_id in agents:
            a.call("Kill", agent_id=agent_id)


def test_full_pipes_of_agents_that_end_hold_nobody_up_and_take_no_memory(a, b, daemon):
    before = resident(daemon)
    connections = [a.connect(timeout=20) for _ in range(4)]
    for connection in connections:
        card = a.card(FILL_PIPES)
        a.daemon.spawn(a.user, card, connection, foreground=True)
    assert slowest(b, 4) < 0.5
    assert resident(daemon) - before < 4 * (16 << 20)
    for connection in connections:
        connection.close()
    # Eight million lines are logged first: nothing is lost, and that takes its time.
    until(lambda: not a.call("List")["agents"], 90, "the agents end with their clients")


def test_a_cage_that_fails_and_gets_no_processor_to_end_on_holds_nobody_up(a, b, daemon):
    """What is killed has to run once more. Beside its owner's other agents it may wait for that for
    minutes, and nobody waits with it; until then its id is taken."""
    loops = "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait"
    busy = [a.spawn(loops, resource_limits={"cpu_shares": 262144}) for _ in range(2 * os.cpu_count())]
    keys = {"agent_id": "starved", "resource_limits": {"cpu_shares": 2}, "command": ["true"]}
    ports = [f"127.0.0.1:{port}" for port in range(7000, 7017)]  # one more than can be led into a cage
    try:
        for _ in range(3):
            error = a.refused(**{**keys, "allowed_hosts": ports})
            assert error.name in ("NotSupported", "AgentExists"), error
            assert b.daemon.connect(b.user, 20).call("List") == {"agents": []}
    finally:
        for agent_id in busy:
            a.call("Kill", agent_id=agent_id)

    def is_free():
        try:
            return a.spawn(**keys)
        except VarlinkError as error:
            assert error.name == "AgentExists", error

    assert a.wait(until(is_free, what="it has ended"))["exit_status"] == 0
