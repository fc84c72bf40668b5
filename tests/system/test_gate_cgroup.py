"""A gate's own cgroup on version 2, under the daemon's unit as it is installed."""

import pytest
from harness.agent_unit import AgentUnit

pytestmark = pytest.mark.every_kernel
DAEMON = "/sys/fs/cgroup/caged.slice/cagedd.service"

# Accepts, and reads nothing.
DEAF = """
import socket
s = socket.create_server(("127.0.0.1", 4711), backlog=512)
kept = []
while True: kept.append(s.accept()[0])
"""

TUNNELS = """
import os, socket, time
def tunnel():
    gate = os.environ["http_proxy"].split("/")[2].split(":")
    s = socket.create_connection((gate[0], int(gate[1])), 60)
    s.sendall(b"CONNECT 127.0.0.1:4711 HTTP/1.1\\r\\n\\r\\n")
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        piece = s.recv(1)
        if not piece: raise ConnectionResetError
        head += piece
    return s
kept = [tunnel()]
kept[0].setblocking(False)
open("ready", "w")
while not os.path.exists("fill"): time.sleep(0.05)
def gone():
    try: return kept[0].recv(1) == b""
    except BlockingIOError: return False
    except OSError: return True
while not gone():
    try:
        s = tunnel()
        s.setblocking(False)
        kept.append(s)
        while True: s.send(bytes(1 << 16))
    except OSError: pass
open("gone", "w")
while not os.path.exists("again"): time.sleep(0.05)
tunnel()
open("another", "w")
time.sleep(600)
"""

CARD = {"command": ["/usr/bin/python3", "-c", TUNNELS], "allowed_hosts": ["127.0.0.1:4711"],
        "resource_limits": {"cpu_shares": 2048}}


@pytest.fixture(autouse=True)
def deaf(machine):
    machine.write("/root/deaf.py", DEAF)
    machine.run("systemd-run --quiet --unit=deaf python3 /root/deaf.py")
    machine.until("ss -ltn | grep -q :4711", timeout=60)


def test_a_gate_without_memory_is_killed_told_of_and_replaced(machine, caged):
    agent_id = caged.spawn(None, **CARD)
    inspected = caged.inspect(agent_id)
    workspace = inspected["agent"]["workspace"]
    machine.until(f"test -e {workspace}/ready", timeout=60)
    network = caged.inspect(agent_id)["network"]
    folder, = network["gate_cgroups"]
    assert folder.startswith(f"{DAEMON}/owner-") and folder.endswith(f"/gate-{agent_id}")
    assert folder.rsplit("/", 1)[0] == inspected["cgroups"][0].rsplit("/", 1)[0]
    assert machine.output(f"cat {folder}/cgroup.procs") == str(network["gate_pid"])
    files = ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight", "pids.max")
    assert machine.output(f"cd {folder} && cat {' '.join(files)}").split() == [
        str(1 << 30), "0", "1", "200", "1"]
    machine.run(f"cd {folder} && echo $(($(cat memory.current) + 1000000)) > memory.max")
    machine.run(f"touch {workspace}/fill")
    machine.until(f"test -e {workspace}/gone", timeout=120)
    machine.run(f"echo {1 << 30} > {folder}/memory.max; touch {workspace}/again")
    machine.until(f"test -e {workspace}/another", timeout=120)
    after = caged.inspect(agent_id)
    assert after["agent"]["state"] == "running"
    assert after["network"]["gate_pid"] != network["gate_pid"]
    failed = machine.journal("_SYSTEMD_UNIT=cagedd.service",
                             "MESSAGE_ID=8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a08")
    assert {entry["CAGED_DETAIL"] for entry in failed} == {"it was killed: out of memory"}
    caged.cagectl("kill", agent_id)
    machine.until(f"! test -e {folder}", timeout=60)


def test_the_gate_of_a_unit_is_the_daemons(machine, caged):
    """Where the agent is, its unit's limits hold and systemd kills; the gate is not there."""
    unit = AgentUnit(machine, caged)
    unit.card(None, **CARD)
    unit.start()
    unit.wait_file("ready", timeout=60)
    inspected = caged.cagectl("inspect", "-j", "alpha", user=None).json()
    assert inspected["cgroups"] == [f"{unit.folder}/agent-alpha"]
    assert inspected["network"]["gate_cgroups"] == [f"{DAEMON}/owner-0/gate-alpha"]
    gate = inspected["network"]["gate_pid"]
    assert machine.output(f"cat {DAEMON}/owner-0/gate-alpha/cgroup.procs") == str(gate)
    unit.stop()
    machine.until(f"! test -e {DAEMON}/owner-0", timeout=60)
