"""What a kernel lacks is refused or replaced, as the README's table says."""

import pytest

pytestmark = pytest.mark.every_kernel


def test_a_workspace_on_tmpfs_is_taken_where_the_kernel_can_idmap_it(caged, machine):
    machine.run("mkdir /on-tmpfs && mount -t tmpfs none /on-tmpfs && chown alice:alice /on-tmpfs")
    result = caged.run("echo hello > file", workspace="/on-tmpfs", check=False)
    if tuple(map(int, machine.version.split("."))) >= (6, 3):
        assert result.status == 0, result
        assert machine.output("cat /on-tmpfs/file; stat -c %U /on-tmpfs/file") == "hello\nalice"
    else:
        assert result.status != 0 and "cannot be idmapped" in result.errors, result


def test_without_room_for_user_namespaces_the_daemon_says_so_and_does_not_start(machine):
    machine.run("echo 0 > /proc/sys/user/max_user_namespaces")
    assert machine.systemctl("restart", "cagedd.service", check=False).status != 0
    # By the name that it gives itself: what it said is there however soon it was gone, its unit is not.
    told = [entry["MESSAGE"] for entry in machine.journal("SYSLOG_IDENTIFIER=cagedd")]
    assert any("user.max_user_namespaces" in message for message in told), told
