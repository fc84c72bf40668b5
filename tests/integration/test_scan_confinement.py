"""What a caged-scan could still do if it were taken over (tests/escape/scan-confined.c): the real
confinement, entered by a program that then tries."""

import os
import subprocess

from harness import paths

EXPECTED = {
    "list-root": "ok", "list-folder": "ok", "list-above": "ok", "list-etc": "ENOENT", "list-above-etc": "ENOENT",
    "list-link": "ENOTDIR", "list-secret": "EACCES", "see-etc": "ENOENT", "read-file": "SIGSYS",
    "read-file-as-folder": "ENOTDIR", "write-file": "SIGSYS", "make-file": "SIGSYS", "follow-link": "SIGSYS",
    "write-elsewhere": "SIGSYS", "socket": "SIGSYS", "signal": "SIGSYS", "mount": "SIGSYS", "execute": "SIGSYS",
    "memory": "SIGSYS", "all-calls": "SIGSYS",
}


def test_a_scan_that_was_taken_over_can_do_next_to_nothing(people):
    """It can list folders of the workspace that its owner may list, and ask what is there. Any other
    call ends it."""
    user = people["a"]
    workspace = user.folder(f"taken-over-{os.urandom(3).hex()}")
    (workspace / "folder").mkdir()
    (workspace / "file").touch()
    (workspace / "link").symlink_to("/etc")
    (workspace / "secret").mkdir(mode=0o700)  # root's
    done = subprocess.run([paths.BUILD / "tests/escape/scan-confined", str(user.uid), str(user.gid), workspace],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    found = dict(line.split() for line in done.stdout.splitlines())
    if os.uname().machine == "x86_64":
        assert found.pop("all-calls-x32") == "SIGSYS"
    assert found == EXPECTED
    assert sorted(os.listdir(workspace)) == ["file", "folder", "link", "secret"]
