"""Attempts to get out, from inside real cages (tests/escape): each must meet exactly the refusal
that it names. Some need something outside to aim at,
which is made here and works for us, so that the attempt could succeed."""

import json
import os
import shutil
import socket
import subprocess
import threading

import pytest

from harness import paths
from harness.daemon import Client

if paths.ESCAPE.exists():
    ATTEMPTS = json.loads(subprocess.run([paths.ESCAPE, "--list"], capture_output=True,
                                         check=True).stdout)
else:  # reported as a failure below, not as a missing test
    ATTEMPTS = []
ALONE = [attempt for attempt in ATTEMPTS if not attempt["arguments"]]


@pytest.fixture(scope="module")
def cage(daemon, people):
    """A workspace with the escape program in it, and the results of all attempts by name."""
    a = Client(daemon, people["a"])
    workspace = a.user.folder("escape")
    shutil.copy(paths.ESCAPE, workspace / "escape")
    os.chmod(workspace / "escape", 0o755)
    result = a.run(None, command=["/workspace/escape", "--all"], workspace=str(workspace))
    lines = dict(line.split(": ", 1) for line in result.text.splitlines() if ": " in line)
    return workspace, lines, result


def test_there_are_attempts():
    assert len(ALONE) >= 40


@pytest.mark.parametrize("attempt", ALONE, ids=lambda attempt: attempt["name"])
def test_an_attempt_is_refused_as_it_should(cage, attempt):
    _, lines, result = cage
    assert lines.get(attempt["name"]) in attempt["expected"], (lines.get(attempt["name"]), result)


def test_the_cage_lives_on_after_all_of_them(cage, a):
    workspace, _, result = cage
    assert result.text.endswith("0 not as expected\n") and result.status == 0, result
    assert a.run("echo well").stdout == b"well\n"


# -- attempts that are aimed at something outside --


def attempt(a, cage, name, *arguments):
    """The outcome of one attempt: the errno's name, or what it says if it got through."""
    assert name in [entry["name"] for entry in ATTEMPTS]
    workspace = cage[0]
    result = a.run(None, command=["/workspace/escape", name, *map(str, arguments)],
                   workspace=str(workspace))
    assert result.text.startswith(f"{name}: "), result
    return result.text.removeprefix(f"{name}: ").strip().removesuffix(", expected ENOENT")


@pytest.mark.parametrize("path", [
    "/etc/shadow", "/etc/sudoers", "/etc/machine-id", "/root/.bashrc", "/var/lib/dpkg", "/boot",
    "/run/caged", "/sys/kernel", "/dev/vda", "/dev/mem", "/dev/kmsg", "/proc/kcore",
    "/workspace/../../etc/shadow", "/proc/1/root/etc", "/proc/self/root/etc/shadow"])
def test_host_paths_are_not_there(a, cage, path):
    assert attempt(a, cage, "host-path", path) in ("ENOENT", "EACCES")


def test_the_daemons_socket_is_not_there(a, cage, daemon):
    assert attempt(a, cage, "host-path", daemon.socket) == "ENOENT"


def test_another_users_workspace_is_not_there(a, b, cage):
    folder = b.user.folder("secret-plans", 0o777)
    assert attempt(a, cage, "host-path", folder) == "ENOENT"


@pytest.mark.parametrize("name, maker, word", [
    ("host-shared-memory", ["ipcmk", "-M", "4096", "-p", "0666"], "-m"),
    ("host-semaphores", ["ipcmk", "-S", "1", "-p", "0666"], "-s"),
    ("host-messages", ["ipcmk", "-Q", "-p", "0666"], "-q")])
def test_the_hosts_system_v_objects_are_not_there(a, cage, name, maker, word):
    done = subprocess.run(maker, capture_output=True, text=True, check=True)
    number = done.stdout.split()[-1]
    try:
        listed = subprocess.run(["ipcs", word], capture_output=True, text=True, check=True).stdout
        key = next(line.split()[0] for line in listed.splitlines() if line.split()[1:2] == [number])
        assert attempt(a, cage, name, int(key, 16)) == "ENOENT"
    finally:
        subprocess.run(["ipcrm", word, number], check=True)


def test_a_process_of_the_same_user_outside_cannot_be_signalled(a, cage):
    with subprocess.Popen(a.user.command("sleep", "60")) as outside:
        try:
            assert attempt(a, cage, "signal-host-process", outside.pid) in ("ESRCH", "EPERM")
            assert outside.poll() is None
        finally:
            outside.terminate()


@pytest.mark.parametrize("family, address, name", [
    (socket.AF_INET, "127.0.0.1", "host-loopback"), (socket.AF_INET6, "::1", "host-loopback-6")])
def test_the_hosts_loopback_is_not_the_cages(a, cage, family, address, name):
    with socket.create_server((address, 0), family=family) as server:
        assert attempt(a, cage, name, server.getsockname()[1]) in ("ECONNREFUSED", "EADDRNOTAVAIL",
                                                                   "EAFNOSUPPORT", "ENETUNREACH")


def test_an_abstract_socket_of_the_host_is_not_there(a, cage):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0caged-test-abstract")
        server.listen()
        assert attempt(a, cage, "abstract-socket", "caged-test-abstract") == "ECONNREFUSED"


@pytest.mark.parametrize("address", ["169.254.169.254", "1.1.1.1", "10.255.255.53", "192.168.0.1"])
def test_addresses_outside_have_no_route(a, cage, address):
    assert attempt(a, cage, "unrouted", address, 80) == "ENETUNREACH"


def test_the_gates_other_ports_are_closed(a, cage):
    card = a.card(None, workspace=str(cage[0]), command=[
        "/bin/sh", "-c", "g=${http_proxy#http://}; exec /workspace/escape closed-port ${g%:*} 22"])
    result = a.cagectl("run", a.cards.write(card))
    assert result.text == "closed-port: ECONNREFUSED\n", result


def test_other_agents_addresses_have_no_route(a, b, cage):
    other = b.spawn("sleep 60")
    network = b.inspect(other)["network"]
    try:
        for address in (network["gate_address"], network["agent_address"]):
            for port in (network["gate_port"], 22):
                assert attempt(a, cage, "unrouted", address, port) == "ENETUNREACH"
    finally:
        b.call("Kill", agent_id=other)
        b.wait(other)


def test_a_workspace_full_of_links_leads_nowhere(a, base):
    """Links that the owner, or an earlier agent, left in the workspace are followed in the cage."""
    workspace = a.user.folder("links")
    for number, target in enumerate(("/etc/shadow", "/root", "/proc/1/root/etc/shadow",
                                     "../../../../etc/shadow", "/run/caged")):
        (workspace / f"link{number}").symlink_to(target)
    (workspace / "file").write_text("mine")
    (workspace / "link-inside").symlink_to("file")
    result = a.run("for l in link*; do { cat $l || ls $l/; } >/dev/null 2>&1 && echo got $l; done; true",
                   workspace=str(workspace))
    assert result.text == "got link-inside\n", result


def test_a_rename_race_on_the_workspace_never_leads_outside(a, people):
    """While cages start, the workspace's path flips between the folder and a link to /etc."""
    folder = a.user.folder("race")
    (folder / "mine").write_text("yes")
    elsewhere = a.user.home / "race-away"
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            folder.rename(elsewhere)
            folder.symlink_to("/etc")
            folder.unlink()
            elsewhere.rename(folder)

    thread = threading.Thread(target=flip)
    thread.start()
    started = 0
    try:
        for _ in range(40):
            result = a.run("ls /workspace; touch /workspace/was-here", workspace=str(folder))
            if result.status == 0:
                started += 1
                assert result.text.split()[0] == "mine" and "shadow" not in result.text, result
            else:
                assert "/etc belongs to root" in result.errors or str(folder) in result.errors
    finally:
        stop.set()
        thread.join()
    assert started > 0 and not os.path.exists("/etc/was-here")
