"""A client that wants to harm: whatever it sends and wherever it stops, the daemon serves the next
client at once, and nothing is left over."""

import contextlib
import json
import os
import random
import socket

import pytest

from harness import leftovers
from harness.daemon import until
from harness.users import acting_as
from harness.varlink import Disconnected, VarlinkError


@pytest.fixture(autouse=True)
def unharmed(daemon, a):
    """Each test leaves a daemon that serves at once and holds what it held before."""
    a.wait(a.spawn("true", ttl_seconds=9))  # what the daemon makes once, it makes now
    before = leftovers.idle(daemon)
    yield
    for agent in a.call("List")["agents"]:
        with contextlib.suppress(VarlinkError):  # it may have ended since
            a.call("Kill", agent_id=agent["agent_id"])
        a.wait(agent["agent_id"])
    leftovers.until_as(daemon, before)


@pytest.mark.parametrize("data", [
    b"\0", b"\0" * 1000, b"{}\0", b"[]\0", b"null\0", b"true\0", b"1\0", b'"x"\0', b"{\0", b"}\0",
    b'{"method"}\0', b'{"method":1}\0', b'{"method":null,"parameters":{}}\0',
    b'{"method":"io.caged.List","parameters":[]}\0', b'{"method":"io.caged.List","parameters":1}\0',
    b'{"method":"io.caged.List","more":1}\0', b'{"method":"io.caged.List","oneway":"x"}\0',
    b'{"method":"io.caged.List","method":"io.caged.Stop"}\0',
    b'{"method":"io.caged.Li\\u0000st"}\0', b'{"method":"' + b"a" * 5000 + b'"}\0',
    b'{"method":""}\0', b'{"method":"."}\0', b'{"method":".List"}\0', b'{"method":"io.caged."}\0',
    b"\xff\xfe\0", b'{"method":"\xff"}\0', b'{"method":"\xed\xa0\x80"}\0',
    b"[" * 60000 + b"\0", b'{"a":' * 12000 + b"\0", b'{"x":1e999999}\0',
    b'{"x":' + b"9" * 5000 + b"}\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\0",
    os.urandom(4096).replace(b"\0", b"x") + b"\0"],
    ids=lambda data: repr(data[:24]) + str(len(data)))
def test_nonsense_is_answered_by_an_error_or_the_end(a, data):
    with a.connect(timeout=5) as connection:
        connection.send_bytes(data)
        try:
            message = connection.receive()
            assert "error" in message, message
        except Disconnected:
            pass


def test_a_request_over_the_greatest_size_is_refused(a):
    with a.connect(timeout=10) as connection:
        try:
            connection.send_bytes(b'{"method":"' + b"a" * 200_000)
            assert connection.ended()
        except Disconnected:
            pass


def test_a_stream_that_never_ends_a_message_takes_no_memory(a, daemon):
    def resident():
        with open(f"/proc/{daemon.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    before = resident()
    with a.connect(timeout=5) as connection:
        with pytest.raises((Disconnected, TimeoutError)):
            for _ in range(400):
                connection.send_bytes(b" " * 65536)
    assert resident() - before < 4 << 20


def test_half_a_message_holds_nobody_up(a):
    halves = []
    for size in (1, 10, 30):
        connection = a.connect()
        connection.send_bytes(b'{"method":"io.caged.List","parameters":{}}\0'[:size])
        halves.append(connection)
    assert a.call("List") is not None
    for connection in halves:
        connection.close()


def test_a_message_byte_by_byte_is_understood(a):
    with a.connect() as connection:
        for byte in b'{"method":"io.caged.List"}\0':
            connection.send_bytes(bytes([byte]))
        assert "agents" in connection.reply()


def test_many_messages_in_one_write_are_all_answered_in_order(a):
    with a.connect() as connection:
        connection.send_bytes(b"".join(
            json.dumps({"method": "io.caged.Inspect", "parameters": {"agent_id": f"x{i}"}}).encode()
            + b"\0" for i in range(500)))
        for i in range(500):
            assert connection.receive()["parameters"]["agent_id"] == f"x{i}"


def test_a_client_that_asks_and_never_reads_is_cut_off(a, daemon):
    """Its replies are bounded; others are served meanwhile."""
    agent_id = a.spawn("head -c 900000 /dev/zero | tr '\\0' x | fold -w 100; sleep 60")
    a.until_output(agent_id, "x")
    with a.connect(timeout=1) as connection:
        connection.socket.setblocking(False)
        request = json.dumps({"method": "io.caged.Logs", "parameters": {"agent_id": agent_id}})
        for _ in range(3000):
            try:
                connection.send_some(request.encode() + b"\0")
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                break
        assert a.call("List") is not None
        with open(f"/proc/{daemon.pid}/statm") as file:
            assert int(file.read().split()[1]) * 4096 < 100 << 20


def test_a_flood_of_connections_of_one_user_leaves_room_for_others(a, b, root):
    flood = []
    try:
        for _ in range(400):
            try:
                flood.append(a.connect(timeout=2))
            except (ConnectionError, BlockingIOError, TimeoutError):
                break
        assert len(flood) > 100
        assert b.call("List") is not None and root.call("List") is not None
        with pytest.raises((Disconnected, VarlinkError, BrokenPipeError)):
            flood[-1].call("List")
    finally:
        for connection in flood:
            connection.close()
    until(lambda: _serves(a), what="the flooding user is served again")


def _serves(client):
    try:
        return client.call("List") is not None
    except (Disconnected, VarlinkError, BrokenPipeError):
        return False


def test_too_many_descriptors_end_the_connection_and_are_closed(a):
    with a.connect(timeout=5) as connection:
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
        try:
            with pytest.raises(Disconnected):
                connection.send("List", fds=fds)
                connection.receive()
        finally:
            for fd in fds:
                os.close(fd)


def test_descriptors_that_no_call_uses_are_closed(a):
    with a.connect() as connection:
        for _ in range(50):
            fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
            connection.call("List", fds=fds)
            for fd in fds:
                os.close(fd)
        for junk in (b"junk\0", b"{}\0"):
            fd = os.open("/dev/null", os.O_RDONLY)
            try:
                connection.send_bytes(junk, [fd])
                connection.receive()
            except Disconnected:
                break
            finally:
                os.close(fd)


def test_its_own_connection_as_a_descriptor_keeps_nothing_alive(a):
    with a.connect() as connection:
        connection.send("List", fds=[connection.socket.fileno()])
        connection.reply()


SCALARS = [None, True, -1, 2**63 - 1, 1.5, "", "x", "\u0001", [], [1], {}, {"x": 1}]
REQUESTS = {
    "Spawn": ["card", "arguments", "workspace_fd", "api_key_fd", "proxy_auth_fd", "foreground",
              "terminal"],
    "Stop": ["agent_id", "owner_uid", "grace_seconds"],
    "Kill": ["agent_id", "owner_uid", "signal"],
    "List": ["all"],
    "Inspect": ["agent_id", "owner_uid"],
    "Logs": ["agent_id", "owner_uid", "follow", "lines"],
    "Wait": ["agent_id", "owner_uid"],
}


@pytest.mark.parametrize("method, key", [(m, k) for m, keys in REQUESTS.items() for k in keys])
def test_wrong_types_in_every_parameter_are_answered(a, method, key):
    with a.connect(timeout=10) as connection:
        card = a.card("true")
        good = {"Spawn": {"card": card, "workspace_fd": 0}, "List": {}}.get(
            method, {"agent_id": "not-there"})
        for value in SCALARS:
            fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
            connection.send(method, {**good, key: value}, [fd])
            os.close(fd)
            message = connection.receive()
            assert "error" in message or "parameters" in message, message
            if "error" not in message and method == "Spawn":
                connection.call("Wait", {"agent_id": card["agent_id"]})


@pytest.mark.parametrize("method", REQUESTS)
def test_a_parameter_that_there_is_not_is_named(a, method):
    with a.connect() as connection:
        with pytest.raises(VarlinkError) as error:
            connection.call(method, {"agent_id": "x", "surprise": 1} if method != "List"
                            else {"surprise": 1})
        assert error.value.name in ("org.varlink.service.InvalidParameter", "InvalidCard")
        assert "surprise" in str(error.value) or method == "Spawn"


CARD_KEYS = ["agent_id", "agent", "workspace", "command", "api_provider", "api_key_file", "proxy",
             "proxy_auth_file", "resource_limits", "allowed_hosts", "private_hosts", "denied_hosts",
             "ttl_seconds", "seccomp_profile", "transparent", "protect", "environment", "mounts"]


@pytest.mark.parametrize("key", CARD_KEYS)
def test_wrong_types_in_every_key_of_a_card_are_refused_by_that_key(a, key):
    with a.connect(timeout=10) as connection:
        for value in ("x" if key == "transparent" else True, 1.5, [[[1]]], {"x": {"y": 1}}, -(2**60)):
            card = a.card("true")
            card[key] = value
            fd = os.open(a.user.home, os.O_RDONLY | os.O_DIRECTORY)
            with pytest.raises(VarlinkError) as error:
                connection.call("Spawn", {"card": card, "workspace_fd": 0}, [fd])
            os.close(fd)
            assert error.value.name == "InvalidCard", (value, error.value)
            assert error.value.parameters["path"].startswith(f"$.{key}"), (value, error.value)


def disconnect_after_spawn(a, delay_loops, **flags):
    card = a.card("sleep 60")
    with acting_as(a.user):
        fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
    connection = a.connect()
    connection.send("Spawn", {"card": card, "workspace_fd": 0, **flags}, [fd])
    os.close(fd)
    for _ in range(delay_loops):
        a.call("List")
    connection.close()
    return card["agent_id"]


@pytest.mark.parametrize("delay", [0, 1, 5, 20, 60])
def test_a_foreground_client_that_leaves_at_any_moment_takes_its_agent_with_it(a, delay):
    agent_id = disconnect_after_spawn(a, delay, foreground=True)
    until(lambda: agent_id not in str(a.call("List")), what="the agent goes with its client")


@pytest.mark.parametrize("delay", [0, 5, 20])
def test_a_terminal_that_nobody_takes_is_no_matter(a, delay):
    agent_id = disconnect_after_spawn(a, delay, foreground=True, terminal=True)
    until(lambda: agent_id not in str(a.call("List")), what="the agent goes with its client")


def test_a_client_that_leaves_while_it_waits_logs_or_listens(a):
    agent_id = a.spawn("sleep 60")
    for method, parameters in (("Wait", {"agent_id": agent_id}),
                               ("Logs", {"agent_id": agent_id, "follow": True}),
                               ("Events", {})):
        for _ in range(20):
            connection = a.connect()
            connection.send(method, parameters, more=True)
            connection.close()
    assert a.inspect(agent_id)["agent"]["state"] == "running"


def test_a_client_that_only_shuts_its_writing_side_still_gets_its_answer(a):
    with a.connect() as connection:
        connection.send("List")
        connection.socket.shutdown(socket.SHUT_WR)
        assert "agents" in connection.reply()


def test_a_second_call_while_a_more_call_runs_is_no_way_in(a):
    agent_id = a.spawn("sleep 60")
    with a.connect(timeout=3) as connection:
        connection.send("Wait", {"agent_id": agent_id}, more=True)
        connection.reply()
        for _ in range(10):
            connection.send("Events", {}, more=True)
        assert a.call("List") is not None


def test_random_bytes_and_mutated_requests_do_no_harm(a):
    chance = random.Random(20)
    seed = json.dumps({"method": "io.caged.Spawn", "parameters": {
        "card": a.card("true"), "workspace_fd": 0}}).encode() + b"\0"
    for _ in range(150):
        data = bytearray(seed)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with a.connect(timeout=5) as connection:
            try:
                connection.send_bytes(bytes(data))
                connection.socket.shutdown(socket.SHUT_WR)
                while True:
                    connection.receive()
            except (Disconnected, ValueError):
                pass


def test_commands_that_leave_no_room_are_refused(a):
    assert a.refused(command=["x"] * 300).parameters["path"].startswith("$.command")
    error = a.refused(command=["true"], environment={f"N{i}": "v" for i in range(300)})
    assert error.parameters["path"] == "$.environment"
    card = a.card("true")
    with pytest.raises(VarlinkError):
        a.daemon.spawn(a.user, card, arguments=["x"] * 300)
