"""The virtual machine holds what it promises to the tests that use it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import paths, scratch
from harness.guest import CommandFailed

PROGRAM = """
import sys
sys.path.insert(0, {system!r})
from harness import product, qemu, scratch
folder = scratch.make("machine")
qemu.make_overlay(folder / "disk.qcow2", product.image() / "root.ext4")
machine = qemu.Qemu(folder, "6.12", folder / "disk.qcow2")
print(machine.process.pid, folder, flush=True)
machine.wait(600)
"""


def test_a_command_comes_back_with_its_status_and_both_outputs(machine):
    result = machine.run("cat; echo wrong >&2; exit 3", data=b"\0\n\xff", check=False)
    assert (result.status, result.stdout, result.stderr) == (3, b"\0\n\xff", b"wrong\n")
    assert machine.run("kill -TERM $$", check=False).status == -signal.SIGTERM
    assert machine.output("id -un; id -Gn", user="alice") == "alice\nalice caged"


def test_a_command_that_fails_or_takes_too_long_fails_the_test(machine):
    with pytest.raises(CommandFailed, match="status 4"):
        machine.run("exit 4")
    with pytest.raises(CommandFailed, match="too long"):
        machine.run("echo begun; sleep 100", timeout=1)
    assert machine.output("echo still there") == "still there"


def test_commands_run_side_by_side(machine):
    first = machine.start_command("while [ ! -e /run/go ]; do sleep 0.05; done; echo gone")
    second = machine.start_command("sleep 100")
    machine.run("touch /run/go")
    assert first.wait(check=True).text == "gone\n"
    second.signal(signal.SIGKILL)
    assert second.wait().status == -signal.SIGKILL


def test_files_go_in_and_out(machine, tmp_path):
    data = os.urandom(3 << 20)
    machine.write("/srv/folder/file", data, owner="alice:alice", mode=0o640)
    assert machine.output("stat -c '%U %a' /srv/folder/file") == "alice 640"
    copy = machine.fetch("/srv/folder", tmp_path) / "file"
    assert copy.read_bytes() == data
    machine.push(tmp_path, "/opt")
    assert machine.read("/opt/folder/file") == data
    assert machine.output("stat -c %U /opt/folder/file") == "root"


def test_a_reset_undoes_what_a_test_did_and_sets_the_clock(machine):
    machine.run("touch /root/trace; systemctl stop cagedd.socket; date --set @1000")
    machine.reset()
    machine.run("[ ! -e /root/trace ] && systemctl is-active cagedd.socket")
    assert abs(float(machine.output("date +%s.%N")) - time.time()) < 10


def test_after_a_reset_a_machine_that_died_is_there_again(machine):
    machine.qemu.process.kill()
    machine.qemu.process.wait()
    machine.reset()
    assert machine.output("systemctl is-system-running") == "running"


@pytest.mark.parametrize("way", ["reboot", "crash"])
def test_the_disk_stays(machine, way):
    machine.run("touch /root/trace; sync")
    before = machine.read("/proc/sys/kernel/random/boot_id")
    getattr(machine, way)()
    machine.run("[ -e /root/trace ]")
    assert machine.read("/proc/sys/kernel/random/boot_id") != before


def test_nothing_of_a_machine_outlives_a_killed_test_process():
    program = PROGRAM.format(system=str(paths.ROOT / "tests" / "system"))
    process = subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, text=True)
    pid, folder = process.stdout.readline().split()
    assert Path(folder).is_dir() and Path(f"/proc/{pid}").exists()
    process.kill()
    process.wait()
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "QEMU lives on"
        time.sleep(0.02)
    scratch.remove_stale()
    assert not Path(folder).exists()
