"""A kernel that has not what cages need: the daemon says at its start what is missing, and ends.

The kernel of a test is made older by a seccomp filter that gives ENOSYS for one system call, as old
kernels do, and the profiles of containers."""

import pytest

from harness import leftovers
from harness.daemon import Daemon, until

# Executes its further words without the system call of the first one. The filter is classic BPF
# (seccomp(2)): load the number; where it is that one, ENOSYS; else let it be.
WITHOUT = """
import ctypes, os, struct, sys
number = int(sys.argv[1])
code = b"".join(struct.pack("=HBBI", *row) for row in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)))
code = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, ctypes.byref(Program(4, ctypes.addressof(code))), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[2], sys.argv[2:])
"""


# Their numbers are the same on every architecture.
@pytest.mark.parametrize("number, told", [
    (424, "pidfd_send_signal: Function not implemented; Linux 5.1 brought it"),
    (430, "fsopen: Function not implemented; Linux 5.2 brought it"),
    (435, "clone3 into a cgroup: Function not implemented; Linux 5.7 brought it"),
    (436, "close_range with CLOSE_RANGE_CLOEXEC: Function not implemented; Linux 5.11 brought it"),
    (437, "openat2: Function not implemented; Linux 5.6 brought it"),
    (442, "mount_setattr, for idmapped mounts: Function not implemented; Linux 5.12 brought it")])
def test_a_kernel_that_is_too_old_is_refused_at_the_start(base, people, number, told):
    daemon = Daemon(base, people["group"])
    daemon.launch(under=["/usr/bin/python3", "-c", WITHOUT, str(number)])
    try:
        assert daemon.process.wait(20) == 1
    finally:
        daemon.process.kill()
    assert told in daemon.log(), daemon.log()
    assert "no cages here: this kernel (" in daemon.log()
    assert not daemon.socket.exists()
    assert leftovers.cgroups(daemon.name) == []


def test_a_filter_that_takes_away_what_cages_do_not_need_is_no_matter(base, people):
    """So it was not the filter itself that the others were refused for."""
    daemon = Daemon(base, people["group"])
    daemon.launch(under=["/usr/bin/python3", "-c", WITHOUT, "425"])  # io_uring_setup
    until(lambda: daemon.process.poll() is not None or daemon.socket.exists(), what="it serves or ends")
    assert daemon.stop() == 0, daemon.log()
