"""Who a caller is, by what each kernel has: SO_PEERPIDFD is there from 6.5 on, and options of sockets are
inherited otherwise from 6.16 on."""

import json

import pytest

pytestmark = pytest.mark.every_kernel

CALL = """
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/caged/caged.sock")
if sys.argv[2:]:
    if os.fork():
        os.wait()
        sys.exit()
    os.setgroups([])
    os.setresgid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
    os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
s.send(json.dumps({"method": sys.argv[1]}).encode() + b"\\0")
text = b""
while not text.endswith(b"\\0"):
    text += s.recv(65536)
print(text[:-1].decode())
"""


ALICE = "setpriv --reuid=alice --regid=alice --init-groups --"


def asker(guest):
    guest.write("/home/call", CALL, mode=0o644)

    def ask(prefix="", method="io.caged.List", uid=""):
        reply = json.loads(guest.output(f"{prefix} python3 /home/call {method} {uid}"))
        return reply["parameters"].get("reason") if "error" in reply else "served"
    return ask


@pytest.fixture
def ask(machine, caged):
    return asker(machine)


def test_namespaces_are_recognised(ask):
    assert ask() == ask(ALICE) == "served"
    for _ in range(5):
        assert "user namespace" in ask(f"{ALICE} unshare --user")
        assert "PID namespace" in ask(f"unshare --pid --fork {ALICE}")
    assert "PID namespace" in ask("unshare --pid --fork")
    assert "user namespace" in ask("unshare --user --map-root-user")
    assert ask("unshare --pid --fork", method="org.varlink.service.GetInfo") == "served"
    assert ask(f"unshare --mount --net --uts --ipc {ALICE}") == "served"


def test_subordinate_uids_are_recognised(ask, machine):
    somebody = "setpriv --reuid=1900000000 --regid=caged --clear-groups --"
    assert ask(somebody) == "served"
    machine.run("usermod --add-subuids 1900000000-1900000009 alice")
    assert "subordinate" in ask(somebody)


def test_a_connection_serves_who_made_it(ask, machine):
    assert "made it" in ask(uid=machine.output("id -u bob"))


def try_at_start(guest, ask):
    bob = guest.output("id -u bob")
    for _ in range(3):
        guest.systemctl("stop", "cagedd.service")
        assert ask() == "served"
        guest.systemctl("stop", "cagedd.service")
        assert "made it" in ask(uid=bob)


def test_who_connects_before_the_daemon_runs_is_known_too(ask, machine):
    """systemd's socket starts it: what was sent before it ran comes with its sender."""
    try_at_start(machine, ask)


def test_who_connects_before_the_daemon_runs_is_known_on_this_kernel_too(fast, fast_caged):
    try_at_start(fast, asker(fast))
