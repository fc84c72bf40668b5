"""The limits of a card: written where Inspect says, felt by the agent, told as the reason."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.daemon import until


def applied(a, agent_id):
    return {limit["limit"]: limit for limit in a.inspect(agent_id)["limits"]}


def test_inspect_tells_each_limit_and_its_file_holds_it(a):
    agent_id = a.spawn("sleep 60", resource_limits={
        "memory_mb": 100, "cpu_shares": 512, "max_processes": 33, "max_open_files": 77})
    limits = a.inspect(agent_id)["limits"]
    names = {limit["limit"] for limit in limits}
    assert {"memory_mb", "cpu_shares", "max_processes"} <= names
    for limit in limits:
        if limit["file"].startswith("/sys/fs/cgroup"):
            assert Path(limit["file"]).read_text().strip() == limit["written"], limit
    by_name = {limit["limit"]: limit for limit in limits}
    assert by_name["max_processes"]["value"] == 33
    assert str(100 * 1024 * 1024) in {limit["written"] for limit in limits}
    agent = a.inspect(agent_id)["agent"]
    for folder in a.inspect(agent_id)["cgroups"]:
        assert str(agent["pid"]) in (Path(folder) / "cgroup.procs").read_text().split(), folder
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def on_version_2(controller):
    """Whether this host has the controller on cgroup v2."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return controller in (Path(line.split()[4]) / "cgroup.controllers").read_text().split()
    return False


def test_swap_is_a_limit_of_its_own(a):
    agent_id = a.spawn("sleep 60", resource_limits={"memory_mb": 100, "swap_mb": 11})
    limit = applied(a, agent_id)["swap_mb"]
    a.call("Kill", agent_id=agent_id)
    # v1 has a limit of both together.
    assert limit["written"] == str((11 if on_version_2("memory") else 111) << 20)
    assert limit["value"] == 11


def test_a_threshold_of_memory_is_there_or_refused(a):
    limits = {"memory_mb": 100, "memory_high_mb": 64}
    if on_version_2("memory"):
        agent_id = a.spawn("sleep 60", resource_limits=limits)
        assert Path(applied(a, agent_id)["memory_high_mb"]["file"]).read_text() == f"{64 << 20}\n"
        return
    error = a.refused(resource_limits=limits)
    assert error.name == "NotSupported", error
    assert "memory_high_mb cannot be enforced" in error.parameters["reason"]
    assert "version 1" in error.parameters["reason"]


@pytest.mark.parametrize("key, number", [
    ("io_weight", 50), ("io_read_bps", 1 << 20), ("io_write_bps", 1 << 20), ("io_read_iops", 100),
    ("io_write_iops", 100)])
def test_a_limit_of_the_disk_is_refused_where_there_is_no_disk_or_no_controller(a, key, number):
    """A workspace on a tmpfs is on no disk, whatever the host."""
    workspace = a.user.folder("on-no-disk-" + os.urandom(4).hex())
    subprocess.run(["mount", "-t", "tmpfs", "none", workspace], check=True)
    try:
        os.chown(workspace, a.user.uid, a.user.gid)
        error = a.refused(workspace=str(workspace), resource_limits={key: number})
    finally:
        subprocess.run(["umount", "--lazy", workspace], check=True)
    assert error.name == "NotSupported", error
    assert error.parameters["reason"].startswith(f"{key} cannot be enforced: ")
    assert ("anonymous" if on_version_2("io") else "no io controller") in error.parameters["reason"]


def test_too_much_memory_ends_the_agent_for_want_of_memory(a):
    agent_id = a.spawn("exec python3 -c 'x = bytearray(200 << 20); print(len(x))'",
                       resource_limits={"memory_mb": 64})
    ended = a.wait(agent_id)
    assert ended["reason"] == "out_of_memory", ended
    assert a.output(agent_id)[0] == b""


def test_memory_in_tmp_counts_too(a):
    agent_id = a.spawn("exec head -c 200M /dev/zero > /tmp/big", resource_limits={"memory_mb": 64})
    ended = a.wait(agent_id)
    assert ended["reason"] == "out_of_memory" or ended["exit_status"] != 0, ended


def test_memory_below_the_limit_is_no_matter(a):
    result = a.run("exec python3 -c 'x = bytearray(20 << 20); print(len(x))'",
                   resource_limits={"memory_mb": 64})
    assert (result.stdout, result.status) == (b"20971520\n", 0)


def test_too_many_processes_fail_and_are_the_reason(a):
    agent_id = a.spawn("i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; echo all; exit 0",
                       resource_limits={"max_processes": 20})
    ended = a.wait(agent_id)
    assert ended["reason"] == "tasks_limit", ended
    assert b"all" not in a.output(agent_id)[0]


def test_an_agent_that_met_its_limit_of_tasks_and_went_on_has_exited(a):
    agent_id = a.spawn("python3 -c 'import os, time\nfor i in range(40):\n  try:\n"
                       "    os.fork() or (time.sleep(30), os._exit(0))\n  except OSError: pass'; exit 0",
                       resource_limits={"max_processes": 20})
    ended = a.wait(agent_id)
    assert (ended["reason"], ended["exit_status"]) == ("exited", 0), ended


def test_a_fork_bomb_stays_in_its_cage(a):
    agent_id = a.spawn("b() { b | b & }; b; sleep 60", resource_limits={"max_processes": 60},
                       ttl_seconds=2)
    assert a.run("echo still served").stdout == b"still served\n"
    a.wait(agent_id)


@pytest.mark.parametrize("script, told", [
    ("ulimit -Hn; ulimit -Sn", ["77", "77"]),
    ("ulimit -Hc; ulimit -Sc", ["0", "0"])])
def test_limits_of_the_process(a, script, told):
    result = a.run(script, resource_limits={"max_open_files": 77})
    assert result.text.split() == told


def test_opening_more_files_than_allowed_fails(a):
    result = a.run("exec python3 -c 'x = [open(\"/dev/null\") for i in range(100)]'",
                   resource_limits={"max_open_files": 64})
    assert "Too many open files" in result.errors and result.status == 1


SPIN_FROM_GO = """exec taskset -c 0 python3 -c '
import os, time
open(os.environ["AGENT_ID"], "w")
while not os.path.exists("go"):
    time.sleep(0.02)
end, before = time.monotonic() + 4, time.process_time()
while time.monotonic() < end: pass
print(time.process_time() - before)'"""


def test_the_weight_of_the_cpu_is_felt(a):
    """Two spinning agents on one processor share it by their weights, about four to one: however
    much of it others leave them."""
    folder = a.user.folder("cpu-weight")
    runs = [a.start_run(SPIN_FROM_GO, workspace=str(folder), resource_limits={"cpu_shares": shares})[0]
            for shares in (4096, 1024)]
    until(lambda: len(list(folder.iterdir())) == 2, timeout=30, what="both are at the start")
    (folder / "go").touch()
    much, little = (float(process.communicate(timeout=60)[0]) for process in runs)
    assert much > 1.5 * little, (much, little)


def test_socket_buffers_count_as_memory(a):
    """They do by themselves on cgroup v2; on v1 a sum of its own bounds them."""
    result = a.run(None, resource_limits={"memory_mb": 64, "max_open_files": 1024},
                   command=["/usr/bin/python3", "-c", """
import socket
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
pairs, queued = [], 0
for _ in range(120):
    one = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    pairs += [one, other]
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        end.setblocking(False)
        try:
            while True:
                queued += end.send(bytes(65536))
        except (BlockingIOError, OSError):
            pass
print(queued >> 20)
"""], timeout=90)
    # More than the limit is not to be had: the kernel refuses it, or kills for it.
    assert "out of memory" in result.errors or int(result.text) < 160, result


def test_a_quota_of_processor_time_is_kept(a):
    """Also while the cage is built: that is the agent's time too."""
    result = a.run("exec python3 -c 'import time\nend = time.monotonic() + 2\n"
                   "while time.monotonic() < end: pass\nprint(time.process_time())'",
                   resource_limits={"cpu_quota_percent": 20})
    assert 0.1 < float(result.stdout) < 0.8, result


def test_an_agent_with_the_least_quota_starts_and_ends_in_time(a):
    agent_id = a.spawn("while :; do :; done", resource_limits={"cpu_quota_percent": 1})
    a.call("Kill", agent_id=agent_id)
    assert a.wait(agent_id, timeout=5)["reason"] == "killed"
