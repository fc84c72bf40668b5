"""The fast lane holds what it promises to the tests that use it."""

import subprocess
from pathlib import Path

from harness import fast as lane


def test_an_agent_runs_and_its_entries_are_in_the_journal(fast, fast_caged):
    result = fast_caged.run("id -u; pwd; echo wrong >&2; exit 7", check=False, agent_id="quick")
    assert (result.status, result.text, result.errors) == (7, "1000\n/workspace\n", "wrong\n"), result
    assert "/workspace" in [entry["MESSAGE"] for entry in fast.journal("CAGED_AGENT=quick")]


def test_limits_are_held_by_the_controllers_where_they_are(fast_caged):
    result = fast_caged.run("exec tail /dev/zero", check=False,
                            resource_limits={"memory_mb": 64})
    assert result.status != 0
    assert "memory" in result.errors, result


def test_a_reset_undoes_what_a_test_did(fast):
    fast.run("touch /root/trace; systemctl stop cagedd.socket")
    fast.reset()
    fast.run("[ ! -e /root/trace ] && systemctl is-active cagedd.socket")


def test_a_reboot_keeps_the_disk(fast):
    before = fast.read("/proc/sys/kernel/random/boot_id")
    fast.run("touch /root/trace")
    fast.reboot()
    fast.run("[ -e /root/trace ]")
    assert fast.read("/proc/sys/kernel/random/boot_id") == before, "one kernel for all"


def test_the_kernels_settings_are_out_of_reach(fast):
    assert fast.run("echo 0 > /proc/sys/kernel/panic", check=False).status != 0
    assert fast.run("date --set @0", check=False).status != 0
    fast.run("echo 1 > /proc/sys/net/ipv4/ip_forward")  # of its own network namespace


def test_nothing_of_it_outlives_it():
    guest = lane.FastLane().start()
    process, name = guest.process.pid, guest.cgroup
    guest.run("systemd-run --quiet sleep 1000")
    guest.stop()
    assert not guest.folder.exists()
    for point, _ in lane.hierarchies():
        assert not (Path(point) / name).exists()
    done = subprocess.run(["ps", "-o", "args=", "--ppid", str(process)], capture_output=True)
    assert done.stdout == b""
