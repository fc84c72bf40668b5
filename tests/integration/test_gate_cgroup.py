"""Each gate is in cgroups of its own, beside its agent's beneath their owner's: what it may use, and
what becomes of one that uses more."""

import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from harness import leftovers, paths
from harness.daemon import Client, until

MEMORY = 1 << 30

# What is in the files, by the controller, on either version: name, content.
LIMITS = {
    "memory": [("memory.max", MEMORY), ("memory.swap.max", 0), ("memory.oom.group", 1),
               ("memory.limit_in_bytes", MEMORY), ("memory.memsw.limit_in_bytes", MEMORY),
               ("memory.kmem.tcp.limit_in_bytes", MEMORY)],
    "cpu": [("cpu.weight", 200), ("cpu.shares", 2048)],
    "pids": [("pids.max", 1)],
}

CLIENT = """
import os, socket, sys, time
def tunnel(host="127.0.0.1", port=3128):
    gate = os.environ["HTTP_PROXY"].removeprefix("http://").rstrip("/").split(":")
    s = socket.create_connection((gate[0], int(gate[1])), 60)
    s.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\\r\\n\\r\\n" % PORT)
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        piece = s.recv(1)
        if not piece:
            raise ConnectionResetError
        head += piece
    assert head.startswith(b"HTTP/1.1 200 "), head
    return s
def told(name):
    while not os.path.exists(name):
        time.sleep(0.02)
"""


def client(port, script):
    """A command that runs Python with `tunnel` and `told`, to a port of the host's loopback."""
    return ["/usr/bin/python3", "-uc", f"PORT = {port}\n{CLIENT}\n{script}"]


class Deaf:
    """Accepts, keeps every connection, and reads nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.kept = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                self.kept.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.kept:
            conn.close()


@pytest.fixture
def deaf():
    server = Deaf()
    yield server
    server.close()


def spawn_with_gate(a, deaf, script, **keys):
    """An agent with a tunnel, and what Inspect tells of it."""
    agent_id = a.spawn(command=client(deaf.port, f"kept = [tunnel()]\nprint('ready')\n{script}"),
                       allowed_hosts=[f"127.0.0.1:{deaf.port}"], **keys)
    a.until_output(agent_id, "ready")
    return agent_id, a.inspect(agent_id)


def end(a, agent_id):
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def members(folder):
    return [int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split()]


def test_a_gate_is_alone_in_its_cgroups_beneath_its_owners(a, deaf):
    agent_id, inspected = spawn_with_gate(a, deaf, "time.sleep(60)")
    network = inspected["network"]
    assert network["gate_cgroups"]
    for folder in network["gate_cgroups"]:
        assert members(folder) == [network["gate_pid"]], folder
        assert Path(folder).name == f"gate-{agent_id}"
        assert Path(folder).parent.name == f"owner-{a.user.uid}"
    assert ({Path(folder).parent for folder in network["gate_cgroups"]}
            == {Path(folder).parent for folder in inspected["cgroups"]})
    end(a, agent_id)


def test_the_limits_of_a_gate_are_in_force(a, deaf):
    """Its processor time weighs what its agent's does, so that neither starves the other."""
    agent_id, inspected = spawn_with_gate(a, deaf, "time.sleep(60)",
                                          resource_limits={"cpu_shares": 2048})
    controllers = {limit["controller"]: Path(limit["file"]).parent for limit in inspected["limits"]}
    folders = [Path(folder) for folder in inspected["network"]["gate_cgroups"]]
    for controller, files in LIMITS.items():
        folder, = [f for f in folders if f.parent == controllers[controller].parent]
        found = [(name, int((folder / name).read_text())) for name, _ in files
                 if (folder / name).exists()]
        assert found and set(found) <= set(files), (controller, found)
        if controller == "memory":
            assert len(found) == 3, found
    end(a, agent_id)


def memory_files(folders):
    """Of the folder that has the memory controller: the limit, and what is used."""
    for folder in map(Path, folders):
        for limit, used in (("memory.max", "memory.current"),
                            ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            if (folder / limit).exists() and (folder / used).exists():
                return folder / limit, folder / used
    raise AssertionError(folders)


def set_memory(folders, size):
    limit, used = memory_files(folders)
    both = limit.parent / "memory.memsw.limit_in_bytes"  # never less than the other
    size = max(size, int(used.read_text()))
    for file in (both, limit) if size > int(limit.read_text()) else (limit, both):
        if file.exists():
            file.write_text(str(size))


FILL = """
told("fill")
def fill(s):
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(1 << 16))
    except BlockingIOError:
        pass
end = time.monotonic() + 100
try:
    while time.monotonic() < end:
        if len(kept) < 400:
            kept.append(tunnel())
        for s in kept[-50:]:  # a gate without processor time takes what waits for it later
            fill(s)
    sys.exit("the gate lived on")
except OSError:
    pass
print("the gate is gone")
told("again")
tunnel()
print("there is another")
time.sleep(60)
"""


def test_a_gate_without_memory_is_killed_told_of_and_replaced(a, deaf):
    """Its limit is moved to where it is reached soon. Connections are cut, none is let through, and
    the next one gets a new gate."""
    agent_id, inspected = spawn_with_gate(a, deaf, FILL, resource_limits={"max_open_files": 1024})
    gate, folders = inspected["network"]["gate_pid"], inspected["network"]["gate_cgroups"]
    workspace = Path(inspected["agent"]["workspace"])
    limit, used = memory_files(folders)
    set_memory(folders, int(used.read_text()) + (2 << 20))
    (workspace / "fill").touch()
    a.until_output(agent_id, "the gate is gone", timeout=120)
    a.daemon.log_lines(f"the gate of agent {agent_id} ", "it was killed: out of memory")
    assert a.inspect(agent_id)["agent"]["state"] == "running", "its agent is unharmed"
    set_memory(folders, MEMORY)
    (workspace / "again").touch()
    a.until_output(agent_id, "there is another", timeout=60)
    network = a.inspect(agent_id)["network"]
    assert network["gate_pid"] != gate
    assert members(folders[0]) == [network["gate_pid"]]
    end(a, agent_id)


def test_a_gate_that_somebody_killed_is_not_said_to_want_memory(a, deaf):
    agent_id, inspected = spawn_with_gate(a, deaf, "time.sleep(60)")
    os.kill(inspected["network"]["gate_pid"], signal.SIGKILL)
    lines = a.daemon.log_lines(f"the gate of agent {agent_id} ", "it was killed")
    assert not any("memory" in line for line in lines), lines
    end(a, agent_id)


def test_gates_of_a_killed_daemon_are_swept_by_the_next(own_daemon, people, deaf):
    a = Client(own_daemon, people["a"])
    _, inspected = spawn_with_gate(a, deaf, "time.sleep(60)")
    gate, folders = inspected["network"]["gate_pid"], inspected["network"]["gate_cgroups"]
    own_daemon.stop(signal.SIGKILL)
    until(lambda: not any(members(folder) for folder in folders), timeout=30,
          what=f"the gate {gate} ends with its daemon")
    assert all(Path(folder).exists() for folder in folders)
    own_daemon.start()
    assert not any(Path(folder).exists() for folder in folders)
    assert own_daemon.stop() == 0
    assert leftovers.cgroups(own_daemon.name) == []


EVERY = """
import select
for _ in range(N - 1):
    kept.append(tunnel())
ready, takers = select.poll(), {}
for s in kept:
    s.setblocking(False)
    takers[s.fileno()] = s
    ready.register(s, select.POLLOUT)
while found := ready.poll(1000):  # until none takes anything
    for fd, _ in found:
        try:
            while True:
                takers[fd].send(bytes(1 << 18))
        except BlockingIOError:
            pass
print("all are full")
time.sleep(60)
"""


class Flooding(Deaf):
    """Reads nothing either, and says what every connection takes."""

    def _serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            self.kept.append(conn)
            conn.setblocking(False)
            try:
                while True:
                    conn.send(bytes(1 << 18))
            except BlockingIOError:
                pass


def connections_max():
    text = (paths.ROOT / "common/caged-limits.h").read_text()
    return int(re.search(r"#define GATE_CONNECTIONS_MAX (\d+)", text)[1])


def test_a_gate_holds_all_its_connections_full_of_bytes(a):
    """As many as it may have, each with both buffers full and both ends deaf."""
    server = Flooding()
    n = connections_max()
    try:
        agent_id, inspected = spawn_with_gate(a, server, f"N = {n}\n{EVERY}",
                                              resource_limits={"max_open_files": n + 64})
        a.until_output(agent_id, "all are full", timeout=120)
        network = a.inspect(agent_id)["network"]
        assert network["gate_pid"] == inspected["network"]["gate_pid"], "it is the same gate"
        assert network["allowed"] == n
        # On version 1 sockets are counted apart; the sum has to do where they are not.
        used = memory_files(network["gate_cgroups"])[1]
        sockets = used.parent / "memory.kmem.tcp.usage_in_bytes"
        both = sum(int(file.read_text()) for file in (used, sockets) if file.exists())
        assert 40 << 10 < both / n and both < MEMORY, both
    finally:
        server.close()
    end(a, agent_id)
