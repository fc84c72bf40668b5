"""What the tests of `transparent` share: a daemon in the test network of harness/gate.py, questions
to name servers, and ways into an agent's network."""

import contextlib
import shlex
import socket
import struct

import pytest

from harness import leftovers
from harness.daemon import Client, Daemon, until
from harness.gate import Dns, in_world
from harness.tunnels import in_network_of

PYTHON = "/usr/bin/python3"
WITHOUT_PROXY = "unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY NODE_USE_ENV_PROXY; "

A, AAAA, TXT, PTR = 1, 28, 16, 12
NO_SUCH_NAME, REFUSED = 3, 5


@pytest.fixture(scope="module")
def world(base, people):
    """A daemon in the test network."""
    made = []

    @in_world
    def start():
        made.append(Daemon(base, people["group"]).start())

    @in_world
    def stop():
        pid = made[0].pid
        assert made[0].process.poll() is None, made[0].log()[-4000:]
        assert made[0].stop() == 0, made[0].log()[-4000:]
        assert until(lambda: not leftovers.processes(pid, made[0].name), what="no process is left")

    start()
    yield made[0]
    stop()


@pytest.fixture
def a(world, people):
    return Client(world, people["a"])


@pytest.fixture
def b(world, people):
    return Client(world, people["b"])


@contextlib.contextmanager
def names(zone):
    """The host's name server."""
    dns = Dns(zone)
    try:
        yield dns
    finally:
        dns.close()


def python(code):
    return f"{PYTHON} -c {shlex.quote(code)}"


def run(client, script, **keys):
    """Runs a script in a transparent cage, without the proxy variables."""
    return client.run(WITHOUT_PROXY + script, transparent=True, **keys)


@contextlib.contextmanager
def agent(client, ask_seconds=None, **keys):
    """A transparent agent that sleeps, seen from inside of its network."""
    card = client.card("sleep 1000", **{"transparent": True, **keys})
    agent_id = card["agent_id"]
    client.daemon.spawn(client.user, card, **({"ask_seconds": ask_seconds} if ask_seconds else {}))
    try:
        until(lambda: client.inspect(agent_id)["agent"]["state"] == "running")
        with client.connect(timeout=30) as events:
            yield Inside(client, agent_id, events)
    finally:
        client.call("Kill", agent_id=agent_id)
        client.wait(agent_id)


class Inside:
    """The network of an agent, from inside; and what its gate decides from now on."""

    def __init__(self, client, agent_id, events):
        self.client, self.agent_id = client, agent_id
        self._events, self._decisions = events, []
        events.send("Events", {"agent_id": agent_id}, more=True)
        client.call("List")  # so that it was taken in before what follows
        inspected = self.inspect()
        self.pid = inspected["agent"]["pid"]
        self.gate = inspected["network"]["gate_address"]
        self.address = inspected["network"]["agent_address"]

    def inspect(self):
        return self.client.inspect(self.agent_id)

    def network(self):
        return self.inspect()["network"]

    def decisions(self, wanted, **match):
        """The first `wanted` ones that match, once there are as many."""
        while True:
            found = [event for event in self._decisions
                     if all(event[key] == value for key, value in match.items())]
            if len(found) >= wanted:
                return found[:wanted]
            self._decisions += [event for event in self._events.reply()["events"]
                                if event["kind"] == "network"]

    def do(self, function, *words):
        """The function's result, called in the agent's network."""
        return in_network_of(self.pid, lambda: function(*words))

    def resolve(self, name, kind=A):
        """(code, addresses) of a name, by the agent's name server."""
        return self.do(ask, self.gate, name, kind)

    def address_of(self, name):
        code, addresses = self.resolve(name)
        assert (code, len(addresses)) == (0, 1), (name, code, addresses)
        return addresses[0]

    def connect(self, address, port):
        return self.do(socket.create_connection, (address, port), 30)

    def talk(self, address, port, data):
        """What comes back for some bytes and an end of file; None for a reset."""
        try:
            with self.connect(address, port) as conn:
                conn.sendall(data)
                conn.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := conn.recv(65536):
                    answer += piece
                return answer
        except (ConnectionResetError, BrokenPipeError):
            return None
        except OSError as error:
            if error.errno == 107:  # ENOTCONN: reset before the shutdown
                return None
            raise


def question(name, kind=A, number=1, flags=0x0100, klass=1, opt=b""):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return (struct.pack("!HHHHHH", number, flags, 1, 0, 0, 1 if opt else 0) + labels + b"\0"
            + struct.pack("!HH", kind, klass) + opt)


def exchange(server, data, timeout=3, tries=8):
    """The answer to a datagram, which is sent again while none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((server, 53))
        for _ in range(tries):
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                s.send(data)
                return s.recv(4096)
    raise TimeoutError(f"no answer from {server}")


def ask(server, name, kind=A):
    data = question(name, kind)
    return parse(exchange(server, data), data)


def ask_many(server, wanted):
    """The addresses of names (a list) that all have one; many questions at once."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((server, 53))
        s.settimeout(5)
        for first in range(0, len(wanted), 25):
            missing = dict(enumerate(wanted[first:first + 25]))
            while missing:
                for number, name in missing.items():
                    s.send(question(name, number=number))
                with contextlib.suppress(TimeoutError):
                    for _ in range(len(missing)):
                        answer = s.recv(4096)
                        name = missing.pop(struct.unpack("!H", answer[:2])[0], None)
                        if name:
                            assert answer[3] == 0x80 and answer[7] == 1, answer
                            found[name] = socket.inet_ntoa(answer[-4:])
    return found


def parse(answer, data):
    """(code, addresses) of an answer without OPT to this question."""
    number, flags, questions, answers, authorities, more = struct.unpack("!HHHHHH", answer[:12])
    assert number == struct.unpack("!H", data[:2])[0] and flags & 0x8000 and questions == 1
    assert authorities == 0 and more == 0
    assert answer[12:len(data)] == data[12:], "the question comes back as it was"
    rest, addresses = answer[len(data):], []
    for _ in range(answers):
        name, kind, klass, ttl, size = struct.unpack("!HHHIH", rest[:12])
        assert (name, kind, klass, size) == (0xC00C, 1, 1, 4) and 0 < ttl <= 60
        addresses.append(socket.inet_ntoa(rest[12:16]))
        rest = rest[16:]
    assert rest == b""
    return flags & 15, addresses
