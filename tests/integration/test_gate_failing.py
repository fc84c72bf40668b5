"""A gate that fails never opens: whichever way it goes, the agent's connections are cut or refused, no
byte passes that was not decided about, and the next connection finds a gate with the newest hosts.
(Killed for its cgroup's memory: test_gate_cgroup.py; an update that it cannot take:
test_gate_update.py, test_reload.py.)"""

import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import tls, tunnels
from harness.daemon import Client, until
from harness.servers import Listening
from harness.tunnels import (Echo, ask_at, in_network, in_network_of, is_alive, is_cut, status_of,
                             tunnel)

TLS_PORT = 8883  # on such a port a tunnel's first bytes are held back

@pytest.fixture
def secret():
    """A server that no card lists."""
    server = Echo()
    yield server
    server.shutdown()
    server.server_close()
    assert server.accepted == 0, "somebody got through"


def place_of(client, agent_id):
    """Once it is there to be looked into."""
    until(lambda: client.inspect(agent_id)["agent"]["state"] == "running")
    return tunnels.place_of(client, agent_id)


def gate_of(client, agent_id):
    return client.inspect(agent_id)["network"].get("gate_pid")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def said_to(conn, data):
    """What an end hears when it says something, or that it is cut."""
    try:
        conn.sendall(data)
        return conn.recv(65536)
    except (ConnectionResetError, BrokenPipeError):
        return b""


# -- killed --


def test_what_a_killed_gate_held_is_cut_and_goes_nowhere(a, agent, echoes, secret):
    """A tunnel, half a head, and a hello that was not judged yet."""
    with Listening(port=TLS_PORT) as server:
        card = agent(allowed_hosts=[echoes[0].host, server.host])
        agent_id = card["agent_id"]
        place = place_of(a, agent_id)
        open_tunnel = tunnel(a, agent_id, echoes[0].host)
        hello, status = ask_at(place, server.host)
        assert status == "200"
        hello.sendall(tls.hello("a.example")[:200])  # wrong as well, but not known to be
        far = server.accept()
        gate = gate_of(a, agent_id)
        os.kill(gate, signal.SIGKILL)
        assert is_cut(open_tunnel) and is_cut(hello)
        try:
            assert far.recv(1) == b"", "a byte of what was not judged"
        except ConnectionResetError:
            pass
        until(lambda: gate_of(a, agent_id) != gate, what="its end is noticed")
        assert status_of(a, agent_id, secret.host) == "403"
        assert is_alive(tunnel(a, agent_id, echoes[0].host))
        assert gate_of(a, agent_id) not in (None, gate)
        far.close()


def test_hosts_that_went_while_there_was_no_gate_stay_gone(a, agent, echoes):
    first, second = echoes[0].host, echoes[1].host
    card = agent(allowed_hosts=[first])
    agent_id = card["agent_id"]
    place_of(a, agent_id)
    for listed, gone in ((second, first), (first, second)) * 3:
        assert is_alive(tunnel(a, agent_id, gone))
        os.kill(gate_of(a, agent_id), signal.SIGKILL)  # whether that is noticed first or later
        a.call("Reload", card={**card, "allowed_hosts": [listed]})
        assert until(lambda: ask_until_answered(a, agent_id, gone)) == "403"
        assert status_of(a, agent_id, listed) == "200"


def ask_until_answered(client, agent_id, host):
    """Nothing, where the connection went down with the gate that was killed."""
    try:
        return status_of(client, agent_id, host)
    except OSError:
        return None


ASK = r"""
import socket, sys

address, port, host = sys.argv[1], int(sys.argv[2]), sys.argv[3]
while True:
    try:
        with socket.create_connection((address, port), timeout=10) as conn:
            conn.sendall(f"CONNECT {host} HTTP/1.1\r\n\r\n".encode())
            print(conn.recv(12)[9:].decode() or "cut", flush=True)
    except OSError:
        print("cut", flush=True)
"""


class Asking:
    """Asks for a tunnel to a host again and again, in a process in the agent's network."""

    def __init__(self, place, host):
        pid, (address, port) = place
        self.seen = set()
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/proc/{pid}/ns/net", "/usr/bin/python3", "-c", ASK, address,
             str(port), host], stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.seen.add(line.strip())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def test_a_gate_that_is_killed_again_and_again_lets_nothing_through(a, agent, echoes, secret):
    card = agent(allowed_hosts=[echoes[0].host])
    agent_id = card["agent_id"]
    place = place_of(a, agent_id)
    allowed, other = Asking(place, echoes[0].host), Asking(place, secret.host)
    try:
        for _ in range(10):
            for asking, status in ((allowed, "200"), (other, "403")):
                asking.seen.clear()
                until(lambda a=asking, s=status: s in a.seen, 30)
                assert asking.seen <= {status, "cut"}, asking.seen
            try:
                os.kill(until(lambda: gate_of(a, agent_id), 30), signal.SIGKILL)
            except ProcessLookupError:
                pass
    finally:
        allowed.close()
        other.close()


# -- out of something --

NORMAL_FILES = 3000  # or a little less than the gate gives itself
NORMAL_DATA = 256 << 20


def limit(pid, what, value):
    """Its soft limit, which may be set by who has its uid (prlimit(2))."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        uid = next(line.split()[1] for line in file if line.startswith("Uid:"))
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "prlimit",
                    f"--pid={pid}", f"--{what}={value}:"], check=True)


def data_size(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))


def test_a_gate_without_descriptors_refuses_and_recovers(a, agent, echoes, secret):
    card = agent(allowed_hosts=[echoes[0].host])
    agent_id = card["agent_id"]
    place = place_of(a, agent_id)
    conn = tunnel(a, agent_id, echoes[0].host)
    gate = gate_of(a, agent_id)
    idle = descriptors(gate)
    limit(gate, "nofile", idle + 1)
    try:
        # One more: the client's own, and none for the server.
        for host, status in ((echoes[0].host, "503"), (secret.host, "403")):
            failed, said = ask_at(place, host)
            assert said == status
            failed.close()
            until(lambda: descriptors(gate) == idle)
        # None at all: a connection waits, and is not lost.
        limit(gate, "nofile", idle)
        answers = []
        waiting = [threading.Thread(target=lambda host=host: answers.append(ask_at(place, host)))
                   for host in (echoes[0].host, secret.host)]
        for thread in waiting:
            thread.start()
        assert is_alive(conn), "what is open goes on"
        before = echoes[0].accepted
        waiting[0].join(1)
        assert answers == [] and echoes[0].accepted == before
    finally:
        limit(gate, "nofile", NORMAL_FILES)
    for thread in waiting:
        thread.join(30)
    assert sorted(status for _, status in answers) == ["200", "403"]
    assert is_alive(conn) and gate_of(a, agent_id) == gate
    a.daemon.log_lines(agent_id, 'CAGED_CODE="gate-failed"')


def test_a_gate_without_memory_refuses_and_the_next_connection_is_served(a, agent, echoes, secret):
    """It may refuse, cut or end; what it must not do is let something pass unread."""
    with Listening(port=TLS_PORT) as server:
        card = agent(allowed_hosts=[echoes[0].host, server.host])
        agent_id = card["agent_id"]
        place = place_of(a, agent_id)
        assert is_alive(tunnel(a, agent_id, echoes[0].host))
        gate = gate_of(a, agent_id)
        limit(gate, "data", data_size(gate))
        wrong = tls.hello("a.example")  # for an address there may be none
        head = f"CONNECT {server.host} HTTP/1.1\r\nX: {'x' * 20000}\r\n"
        held, far, heard = [], [], set()
        for i in range(150):
            try:
                if i % 3 == 0:  # takes memory, and stays
                    conn, status = ask_at(place, "unlisted.example:1")
                elif i % 3 == 1:
                    conn, status = ask_at(place, secret.host)
                else:
                    conn, status = ask_at(place, server.host)
                    if status == "200":
                        far.append(server.accept())
                        for at in range(0, len(wrong), 100):
                            conn.sendall(wrong[at:at + 100])
                heard.add((i % 3, status))
            except OSError:
                heard.add((i % 3, "cut"))
                continue
            held.append(conn)
            try:
                held.append(half_a_head(place, head))
            except OSError:
                heard.add((3, "cut"))
        assert {(0, "200"), (1, "200")}.isdisjoint(heard), heard
        assert heard & {(2, "503"), (2, "cut"), (3, "cut"), (2, "")} or gone(gate), \
            f"memory did not run out: {heard}"
        for conn in far:
            try:
                assert conn.recv(65536) == b""
            except ConnectionResetError:
                pass
            conn.close()
        if not gone(gate):
            limit(gate, "data", NORMAL_DATA)
        for conn in held:
            conn.close()
        assert until(lambda: ask_until_answered(a, agent_id, secret.host), 30) == "403"
        assert until(lambda: ask_until_answered(a, agent_id, echoes[0].host), 30) == "200"


def half_a_head(place, head):
    pid, address = place
    conn = in_network_of(pid, lambda: socket.create_connection(address, timeout=10))
    conn.sendall(head.encode())
    return conn


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


# -- the daemon gone --


def test_without_its_daemon_there_is_no_gate_and_no_way(own_daemon, people, echoes):
    """The daemon is killed: its gates end, tunnels are cut, and from the agent's network, kept alive
    here, nothing is reached."""
    a = Client(own_daemon, people["a"])
    with Listening(port=TLS_PORT) as server:
        agent_id = a.spawn("sleep 600", allowed_hosts=[echoes[0].host, server.host])
        pid, address = place_of(a, agent_id)
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        conn = tunnel(a, agent_id, echoes[0].host)
        hello, status = ask_at((pid, address), server.host)
        assert status == "200"
        hello.sendall(tls.hello(None)[:100])
        far = server.accept()
        gate = gate_of(a, agent_id)
        own_daemon.stop(signal.SIGKILL)
        until(lambda: gone(gate), 30, "the gate ends")
        assert said_to(conn, b"ping") == b""
        assert said_to(hello, tls.hello(None)[100:]) == b""
        try:
            assert far.recv(1) == b""
        except ConnectionResetError:
            pass
        with pytest.raises(OSError):
            in_network(network, lambda: socket.create_connection(address, timeout=5))
        os.close(network)
        far.close()
    own_daemon.start()  # which clears up
    assert own_daemon.stop() == 0
