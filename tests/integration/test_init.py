"""caged-init alone: the real program in real namespaces, with the test in cagedd's place (see
harness/bare_cage.py). What the daemon adds (network, limits) is tested elsewhere."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from harness import bare_cage, paths
from harness.bare_cage import BASE, OWNER, Cage, Failed, encode, memfd, run, specification
from harness.daemon import until

ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # one BPF return: SECCOMP_RET_ALLOW


@pytest.fixture
def workspace(base, request):
    path = base / f"init-{abs(hash(request.node.name))}"
    path.mkdir()
    os.chown(path, OWNER, OWNER)
    yield path
    subprocess.run(["rm", "-rf", "--", path], check=True)


def shell(script, workspace, **arguments):
    """The output of a shell script that must succeed."""
    status, output, errors = run(["sh", "-c", script], workspace, **arguments)
    assert status == 0, (output, errors)
    return output


def status_of(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def descriptors_of(pid):
    folder = Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}


def started(command, workspace, **arguments):
    return Cage(encode(specification(command, **arguments)), workspace)


def failure(data, workspace, **arguments):
    """The failure of a cage that must not start, whose PID 1 must then be gone."""
    with Cage(data, workspace, **arguments) as cage:
        with pytest.raises(Failed) as caught:
            cage.go()
        assert os.waitstatus_to_exitcode(cage.gone()) == 1
        assert cage.output == b""
    return caught.value


# -- how it ends --


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 7", 7 << 8), ("kill -9 $$", 9), ("kill -TERM $$", 15),
    ("kill -CHLD 1; exit 3", 3 << 8)])
def test_the_agents_wait_status_is_told(workspace, script, status):
    assert run(["sh", "-c", script], workspace)[0] == status


def test_pid_1_ends_with_the_agent(workspace):
    with started(["true"], workspace) as cage:
        assert cage.go().wait() == 0
        assert cage.gone() == 0


def test_everything_ends_with_the_agent(workspace):
    """A child in a session of its own, that ignores signals, keeps neither cage nor output."""
    script = "(trap '' TERM HUP; setsid sleep 1000) & echo out; echo err >&2; exit 4"
    with started(["sh", "-c", script], workspace) as cage:
        assert cage.go().wait() == 4 << 8
        assert cage.output_ended()
        assert (cage.output, cage.errors) == (b"out\n", b"err\n")
        assert cage.gone() == 0


def test_output_ends_though_pid_1_lives(workspace):
    """PID 1 does not hold the pipes."""
    with started(["sh", "-c", "exec >&- 2>&-; exec sleep 1000"], workspace) as cage:
        cage.go()
        assert cage.output_ended()
        assert cage.process.poll() is None


def test_end_of_the_control_socket_ends_the_cage(workspace):
    with started(["sh", "-c", "trap '' TERM; sleep 1000"], workspace) as cage:
        cage.go()
        pidfd = os.dup(cage.pidfd)
        cage.control.close()
        assert os.waitstatus_to_exitcode(cage.gone()) == 1
        assert select.select([pidfd], [], [], 10)[0], "the agent lives"
        os.close(pidfd)


def test_any_message_after_go_ends_the_cage(workspace):
    with started(["sleep", "1000"], workspace) as cage:
        cage.go()
        cage.control.send(bare_cage.record(bare_cage.GO))
        assert os.waitstatus_to_exitcode(cage.gone()) == 1


def test_orphans_are_reaped(workspace):
    script = "for i in 1 2 3 4 5; do (sh -c 'sleep 0.05' &) ; done; sleep 0.5; sleep 1000"
    with started(["sh", "-c", script], workspace) as cage:
        cage.go()
        children = Path(f"/proc/{cage.pid}/task/{cage.pid}/children")
        deadline = time.monotonic() + 10
        while children.read_text().split() != [str(cage.agent_pid())]:
            assert time.monotonic() < deadline, children.read_text()
            time.sleep(0.05)


def test_signals_by_the_pidfd_reach_the_agent(workspace):
    script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    with started(["sh", "-c", script], workspace) as cage:
        cage.go()
        while b"ready" not in cage.output:
            time.sleep(0.01)
        signal.pidfd_send_signal(cage.pidfd, signal.SIGTERM)
        assert cage.wait() == 5 << 8
        assert cage.output_ended() and cage.output.endswith(b"got\n")


# -- before it starts --


def test_nothing_runs_before_go(workspace):
    with started(["touch", "/workspace/ran"], workspace) as cage:
        assert not select.select([cage.control], [], [], 0.3)[0], "it spoke before GO"
        assert not (workspace / "ran").exists()
        cage.go().wait()
    assert (workspace / "ran").exists()


def test_nobody_has_privileges_at_the_barrier(workspace):
    with started(["true"], workspace) as cage:
        deadline = time.monotonic() + 10
        children = Path(f"/proc/{cage.pid}/task/{cage.pid}/children")
        while not children.read_text() or any(
                int(status_of(pid)["CapPrm"], 16) for pid in [cage.pid, *children.read_text().split()]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        cage.go().wait()


def test_an_end_of_file_before_go_starts_nothing(workspace):
    with started(["touch", "/workspace/ran"], workspace) as cage:
        cage.control.shutdown(socket.SHUT_RDWR)
        assert os.waitstatus_to_exitcode(cage.gone()) == 1
    assert not (workspace / "ran").exists()


@pytest.mark.parametrize("message", [
    b"x", bare_cage.record(bare_cage.STARTED), bare_cage.record(bare_cage.GO, b"more"),
    bare_cage.record(bare_cage.GO) * 2, bytes(2000)],
    ids=["garbage", "another record", "GO with a value", "GO twice", "too long"])
def test_anything_but_go_starts_nothing(workspace, message):
    with started(["touch", "/workspace/ran"], workspace) as cage:
        cage.control.send(message)
        answer, _ = cage.receive()
        assert dict(answer)[bare_cage.FAILED] == b"barrier\0"
        assert os.waitstatus_to_exitcode(cage.gone()) == 1
    assert not (workspace / "ran").exists()


GOOD = specification(["true"])


SPOILED = {
    "truncated": encode(GOOD)[:-1],
    "a byte more": encode(GOOD) + b"\0",
    "doubled": encode(GOOD + [(bare_cage.UID_BASE, BASE)]),
    "unknown record": encode(GOOD + [(77, b"")]),
    "missing record": encode([r for r in GOOD if r[0] != bare_cage.OWNER_GID]),
    "no command": encode(specification([])),
    "odd base": encode(specification(["true"], UID_BASE=BASE + 1)),
    "base of the host": encode(specification(["true"], UID_BASE=0)),
    "owner root": encode(specification(["true"], OWNER_UID=0)),
    "group root": encode(specification(["true"], OWNER_GID=0)),
    "file elsewhere": encode(specification(["true"], files=[("/usr/x", "")])),
    "file with dots": encode(specification(["true"], files=[("/etc/../usr/x", "")])),
    "too many words": encode(specification(["true"] + ["x"] * 256)),
    "empty": b"",
    "too large": bytes(600 * 1024),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_specification_is_refused(workspace, name):
    assert failure(SPOILED[name], workspace).step == "spec"


def test_a_specification_that_is_not_sealed_is_refused(workspace):
    caught = failure(encode(GOOD), workspace, sealed=False)
    assert (caught.step, caught.error) == ("spec", errno.EPERM)


@pytest.mark.parametrize("program, sealed, step", [
    (ALLOW_ALL, False, "seccomp"), (ALLOW_ALL + b"x", True, "seccomp"), (b"", True, "seccomp"),
    (ALLOW_ALL * 5000, True, "seccomp"), (b"\xff" * 8, True, "privileges")],
    ids=["not sealed", "odd size", "empty", "too long", "not a program"])
def test_a_spoiled_filter_is_refused(workspace, program, sealed, step):
    fd = memfd(program, sealed)
    caught = failure(encode(GOOD), workspace, profile=fd)
    os.close(fd)
    assert caught.step == step


@pytest.mark.parametrize("command, error", [
    ("no-such-command", errno.ENOENT), ("/etc/passwd", errno.EACCES), ("/usr", errno.EACCES),
    ("/workspace/nothing", errno.ENOENT)])
def test_a_command_that_cannot_run_is_named_with_its_error(workspace, command, error):
    caught = failure(encode(specification([command, "x"])), workspace)
    assert (caught.step, caught.error, caught.detail) == ("command", error, command)


def test_a_workspace_that_cannot_be_idmapped_is_refused():
    caught = failure(encode(GOOD), "/sys/kernel")
    assert (caught.step, caught.error) == ("workspace", errno.EINVAL)
    assert "cannot be idmapped" in caught.detail


def test_a_workspace_that_its_owner_may_not_enter_is_refused(workspace):
    os.chown(workspace, 0, 0)
    workspace.chmod(0o700)
    caught = failure(encode(GOOD), workspace)
    assert caught.step in ("workspace", "protect") and caught.error == errno.EACCES


# -- who the agent is --


def test_the_agent_is_nobody_special_and_has_no_capability(workspace):
    fields = shell("grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp:|Sig|Shd)' /proc/self/status; "
                   "pwd; umask; id -un; id -gn; ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc; "
                   "hostname; readlink /proc/self/fd/0", workspace, id="name-7")
    lines = fields.splitlines()
    values = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert values["Uid"] == values["Gid"] == "1000\t1000\t1000\t1000"
    assert values["Groups"].strip() == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(values[name], 16) == 0, name
    for name in ("SigPnd", "SigBlk", "SigIgn", "ShdPnd"):
        assert int(values[name], 16) == 0, name
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")
    assert lines[-10:] == ["/workspace", "0022", "agent", "agent", "512", "512", "0", "0", "name-7",
                           "/dev/null"]


def test_the_host_sees_ids_of_the_range_and_a_user_namespace(workspace):
    with started(["sleep", "1000"], workspace) as cage:
        cage.go()
        init, agent = status_of(cage.pid), status_of(cage.agent_pid())
        assert agent["Uid"].split() == agent["Gid"].split() == [str(BASE + 1000)] * 4
        assert init["Uid"].split() == init["Gid"].split() == [str(BASE + 999)] * 4
        for fields in (init, agent):
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(fields[name], 16) == 0, name
            assert fields["Groups"].strip() == ""
            assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        host = os.readlink("/proc/self/ns/user")
        namespaces = {os.readlink(f"/proc/{pid}/ns/user") for pid in (cage.pid, cage.agent_pid())}
        assert len(namespaces) == 1 and host not in namespaces


def test_agent_and_pid_1_have_only_the_descriptors_they_need(workspace):
    with started(["sleep", "1000"], workspace) as cage:
        cage.go()
        agent = descriptors_of(cage.agent_pid())
        assert sorted(agent) == [0, 1, 2]
        assert agent[0] == "/dev/null"
        deadline = time.monotonic() + 10  # it closes what it has just sent
        while len(init := descriptors_of(cage.pid)) > 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(init) == [0, 1, 2, 3]
        assert {init[fd] for fd in (0, 1, 2)} == {"/dev/null"}
        assert init[3].startswith("socket:")


def test_pid_1_keeps_no_secrets_and_little_memory(workspace):
    secret = "hunter2-hunter2"
    with started(["sleep", "1000"], workspace,
                 environment={"PATH": bare_cage.PATH, "KEY": secret}) as cage:
        cage.go()
        found = False
        with open(f"/proc/{cage.pid}/mem", "rb") as memory:
            for line in Path(f"/proc/{cage.pid}/maps").read_text().splitlines():
                start, end = (int(x, 16) for x in line.split()[0].split("-"))
                if "r" not in line.split()[1] or "[v" in line:
                    continue
                memory.seek(start)
                found = found or secret.encode() in memory.read(end - start)
        assert not found
        rollup = Path(f"/proc/{cage.pid}/smaps_rollup").read_text()
        anonymous = next(int(line.split()[1]) for line in rollup.splitlines()
                         if line.startswith("Anonymous:"))
        assert anonymous <= 100, rollup


def test_the_environment_is_what_was_specified(workspace):
    variables = {"PATH": bare_cage.PATH, "A": "", "B": "two words\nand a line", "C": "=="}
    status, output, _ = run(["/usr/bin/env", "-0"], workspace, environment=variables)
    assert status == 0
    assert dict(item.split("=", 1) for item in output.split("\0")[:-1]) == variables


def test_command_is_looked_up_in_the_specified_path(workspace):
    (workspace / "bin").mkdir()
    program = workspace / "bin" / "mine"
    program.write_text("#!/bin/sh\necho mine $1\n")
    program.chmod(0o755)
    status, output, _ = run(["mine", "x y"], workspace,
                            environment={"PATH": "/workspace/bin:/usr/bin"})
    assert (status, output) == (0, "mine x y\n")


# -- what it sees --


def test_files_are_the_owners_on_disk(workspace):
    (workspace / "theirs").write_text("text")
    os.chown(workspace / "theirs", OWNER, OWNER)
    (workspace / "roots").write_text("text")
    (workspace / "roots").chmod(0o644)
    out = shell("mkdir d; echo a > d/f; ln -s f d/l; stat -c %u:%g . theirs roots; echo >> theirs; "
                "echo x >> roots || echo refused", workspace)
    assert out.split() == ["1000:1000", "1000:1000", "65534:65534", "refused"]
    for name in ("d", "d/f", "d/l", "theirs"):
        st = (workspace / name).lstat()
        assert (st.st_uid, st.st_gid) == (OWNER, OWNER), name
    assert (workspace / "roots").read_text() == "text"


def test_root_holds_nothing_else(workspace):
    links = {name for name in ("lib32", "lib64", "libx32") if os.path.islink(f"/{name}")}
    assert set(shell("ls -A /", workspace).split()) == links | {
        "bin", "dev", "etc", "home", "lib", "proc", "root", "run", "sbin", "tmp", "usr", "var",
        "workspace"}
    assert set(shell("ls -A /dev", workspace).split()) == {
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero"}
    etc = set(shell("ls -A /etc", workspace).split())
    assert etc <= {f"java-{version}-openjdk" for version in (11, 17, 21, 25)} | {
                   "alternatives", "ca-certificates", "group", "hostname", "hosts", "ld.so.cache",
                   "ld.so.conf", "ld.so.conf.d", "localtime", "mtab", "nsswitch.conf", "os-release",
                   "passwd", "pki", "resolv.conf", "ssl"}
    assert {"passwd", "group", "hosts", "resolv.conf", "ssl"} <= etc
    assert set(shell("ls -A /etc/ssl", workspace).split()) <= {"certs", "openssl.cnf"}
    assert shell("ls -A /home", workspace).split() == ["agent"]
    assert shell("ls -A /run /var/empty /proc/driver", workspace).split() == [
        "/proc/driver:", "/run:", "/var/empty:"]


def test_a_cage_has_the_name_server_of_its_specification_or_none(workspace):
    assert shell("cat /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf",
                 workspace) == "hosts: files dns\n"
    out = shell("cat /etc/resolv.conf", workspace, NAME_SERVER=0x644000A1)
    assert out.splitlines()[0] == "nameserver 100.64.0.161" and out.count("nameserver") == 1


def test_usr_is_roots_inside(workspace):
    assert shell("stat -c %u:%g:%a / /usr /usr/bin/env /etc /etc/passwd /home /workspace/..",
                 workspace).split() == ["0:0:755", "0:0:755", "0:0:755", "0:0:755", "0:0:644",
                                        "0:0:755", "0:0:755"]


def test_every_mount_is_nosuid_and_only_the_listed_are_writable(workspace):
    """Every mount nosuid; every one nodev but the devices; read-only but what is listed."""
    writable = {"/workspace", "/proc", "/dev/pts", "/dev/shm", "/tmp", "/home/agent"}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    points = set()
    for line in shell("cat /proc/self/mountinfo", workspace).splitlines():
        fields = line.split()
        point, flags = fields[4], set(fields[5].split(","))
        points.add(point)
        assert "nosuid" in flags, line
        assert ("ro" in flags) == (point not in writable), line
        # Covers in /proc are the device null again.
        assert "nodev" in flags or point in devices | {"/dev/pts"} or fields[3] == "/null", line
        assert not any(field.startswith(("shared:", "master:")) for field in fields), line
        if point in ("/usr", "/workspace"):
            assert "idmapped" in flags, line
    assert writable | devices | {"/", "/usr", "/proc/sys", "/var/empty"} <= points


def test_only_own_processes_are_seen(workspace):
    out = shell("ls /proc | grep -E '^[0-9]+$'; ls -d /proc/1; true", workspace)
    assert "1" not in out.split() and "/proc/1" not in out


def test_tmp_and_home_are_private_and_bounded(workspace):
    script = ("for d in /tmp /home/agent /dev/shm /var/tmp; do echo x > $d/x && rm $d/x || exit 1; "
              "done; cp /bin/true /tmp/true && /tmp/true || exit 2; "
              "head -c 2000000 /dev/zero > /tmp/big 2>/dev/null; stat -c %s /tmp/big; "
              "stat -c %u:%a /tmp /home/agent /home")
    out = shell(script, workspace, TMPFS_BYTES=1 << 20).split()
    assert int(out[0]) <= 1 << 20
    assert out[1:] == ["0:1777", "1000:755", "0:755"]
    assert not Path("/tmp/big").exists()


def test_devices_work(workspace):
    out = shell("echo x > /dev/null; : >> /dev/null; head -c 2 /dev/zero | od -An -tx1; "
                "head -c 16 /dev/urandom | wc -c; head -c 16 /dev/random | wc -c; "
                "/bin/echo x 2>&1 > /dev/full | grep -c 'No space'; echo a | cat /dev/stdin", workspace)
    assert out.split() == ["00", "00", "16", "16", "1", "a"]


def test_output_can_be_opened_by_name_but_not_read(workspace):
    status, output, errors = run(
        ["sh", "-c", "echo a > /dev/stdout; echo b > /dev/stderr; cat < /dev/stdout"], workspace)
    assert status != 0
    assert (output, errors.splitlines()[0]) == ("a\n", "b") and "Permission denied" in errors


def test_files_of_the_specification_are_placed_with_their_owners(workspace):
    out = shell("cd /; stat -c '%u %g %a %n' etc/caged/ca.pem etc/caged home/agent/.config "
                "home/agent/.config/tool/conf home/agent/.cache home/agent/.cache/c; "
                "cat etc/caged/ca.pem home/agent/.cache/c; "
                "echo > home/agent/.config/tool/conf && echo WRITTEN; true", workspace,
                files=[("/etc/caged/ca.pem", "one"), ("/home/agent/.config/tool/conf", "two")],
                agent_files=[("/home/agent/.cache/c", "three")])
    assert out.splitlines() == [
        "0 0 644 etc/caged/ca.pem", "0 0 755 etc/caged", "0 0 755 home/agent/.config",
        "0 0 644 home/agent/.config/tool/conf", "1000 1000 755 home/agent/.cache",
        "1000 1000 644 home/agent/.cache/c", "onethree"]


@pytest.mark.parametrize("path, error", [
    ("/etc/passwd", errno.EEXIST), ("/etc/ssl/certs/mine.pem", errno.EROFS),
    ("/etc/passwd/x", errno.ENOTDIR), ("/etc/localtime/x", errno.ENOTDIR)])
def test_a_file_that_cannot_be_placed_is_named(workspace, path, error):
    caught = failure(encode(specification(["true"], files=[(path, "x")])), workspace)
    assert (caught.step, caught.error, caught.detail) == ("files", error, path)


def test_the_cage_sees_its_own_cgroup_as_the_root(workspace):
    """The cage's own group is its root."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    group = Path(next(m[1] for m in mounts if m[2] == "cgroup2")) / f"caged-test-init-{os.getpid()}"
    group.mkdir()
    try:
        own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines()
                   if line.startswith("0::"))[3:]
        (group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            output = shell("grep ^0:: /proc/self/cgroup", workspace)
        finally:
            (group.parent / own.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
        assert output == "0::/\n"
    finally:
        group.rmdir()


# -- the terminal --


def read_until(fd, text, timeout=10):
    data, deadline = b"", time.monotonic() + timeout
    while text not in data:
        assert time.monotonic() < deadline, data
        if select.select([fd], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                data += os.read(fd, 4096)
    return data


def test_a_terminal_is_the_agents_controlling_one(workspace):
    script = ("tty; stat -c %U:%G:%a $(tty); ls -l /proc/$$/fd | grep -c pts; "
              "read line < /dev/tty; echo \"got $line\"; sleep 1000")
    with started(["bash", "-c", script], workspace, TERMINAL=1) as cage:
        cage.go()
        fcntl.ioctl(cage.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        os.write(cage.terminal, b"typed\n")
        data = read_until(cage.terminal, b"got typed")
        assert b"/dev/pts/0" in data and b"agent:tty:620" in data and b"\n3\r" in data
        os.write(cage.terminal, b"\x03")
        assert cage.wait() == signal.SIGINT


def test_the_terminal_is_the_only_one_and_closes(workspace):
    with started(["sh", "-c", "ls /dev/pts; exit 6"], workspace, TERMINAL=1) as cage:
        cage.go()
        data = read_until(cage.terminal, b"ptmx")
        assert data.split() == [b"0", b"ptmx"]
        assert cage.wait() == 6 << 8
        cage.gone()
        with pytest.raises(OSError) as caught:
            while os.read(cage.terminal, 4096):
                pass
        assert caught.value.errno == errno.EIO


def test_terminals_of_one_cage_are_few(workspace):
    """All cages of the host share the kernel's number of PTYs."""
    script = ("import os\n"
              "opened = []\n"
              "try:\n"
              "    while True:\n"
              "        opened.append(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))\n"
              "except OSError as error:\n"
              "    print(len(opened), error.errno)\n")
    status, output, _ = run(["/usr/bin/python3", "-c", script], workspace, MAX_OPEN_FILES=512)
    assert (status, output) == (0, f"64 {errno.ENOSPC}\n")


# -- what it shares with the host: the kernel's counts --


def test_inotify_of_a_cage_takes_nothing_from_the_host(workspace):
    """The kernel counts instances for each user of the host, and for the maker of a user namespace
    what is done in it: that must be a user of the cage's own."""
    script = ("import ctypes, time\n"
              "libc = ctypes.CDLL(None)\n"
              "while libc.inotify_init1(0) >= 0:\n"
              "    pass\n"
              "print('all', flush=True)\n"
              "time.sleep(1000)\n")
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    command = ["/usr/bin/python3", "-c", script]
    libc = ctypes.CDLL(None, use_errno=True)
    with started(command, workspace, MAX_OPEN_FILES=limit + 100) as cage:
        cage.go()
        until(lambda: b"all" in cage.output, what="it has all it can get")
        fd = libc.inotify_init1(os.O_CLOEXEC)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        os.close(fd)
        status, _, _ = run(["/usr/bin/python3", "-c", "import ctypes; "
                            "raise SystemExit(ctypes.CDLL(None).inotify_init1(0) < 0)"], workspace,
                           UID_BASE=BASE + 65536)
        assert status == 0


def test_the_daemons_oom_score_is_not_inherited(workspace):
    """It may be a low one; a high one serves here, since not every root may lower it."""
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    own.write_text("5")
    try:
        with started(["cat", "/proc/self/oom_score_adj"], workspace) as cage:
            assert cage.go().wait() == 0 and cage.output_ended()
            assert cage.output == b"0\n"
    finally:
        own.write_text(before)


def test_core_files_priorities_and_open_files_are_limited(workspace):
    """Whatever the daemon has."""
    text = shell("cat /proc/self/limits", workspace)
    limits = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == ["512", "512"]
    assert limits["Max realtime priority"] == ["0", "0"]
    assert limits["Max nice priority"] == ["0", "0"]


# -- programs that agents start --


@pytest.mark.parametrize("script, expected", [
    ("printf 'int puts(const char *);int main(void){puts(\"hello\");}' > a.c && gcc a.c -o a && ./a",
     "hello"),
    ("git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x "
     "&& git log --format=%s", "x"),
    ("/usr/bin/python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]))'",
     "[1, 2]"),
    ("/usr/bin/python3 -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 9)'",
     "True"),
    ("/usr/bin/python3 -c 'import socket; print(socket.if_nameindex())'", "[(1, 'lo')]"),
    ("bash -c 'cat <(echo substituted)'", "substituted"),
    ("/usr/bin/python3 -c 'import os, mmap; f = os.memfd_create(\"x\"); os.truncate(f, 9); "
     "print(len(mmap.mmap(f, 9)))'", "9"),
])
def test_a_tool_that_agents_start_works(workspace, script, expected):
    assert shell(script, workspace).strip() == expected


# -- escapes --


def attempts():
    text = subprocess.run([paths.ESCAPE, "--list"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(text)


@pytest.fixture(scope="module")
def escapes(base):
    """A workspace with the program in it."""
    path = base / "escapes"
    path.mkdir()
    program = path / "escape"
    program.write_bytes(paths.ESCAPE.read_bytes())
    program.chmod(0o755)
    os.chown(path, OWNER, OWNER)
    return path


def escape(workspace, *words, **arguments):
    with Cage(encode(specification(["/workspace/escape", *map(str, words)])), workspace,
              **arguments) as cage:
        status = cage.go().wait()
        assert cage.output_ended()
        return os.waitstatus_to_exitcode(status), cage.output.decode().strip()


@pytest.mark.parametrize("attempt", [a for a in attempts() if not a["arguments"]],
                         ids=lambda attempt: attempt["name"])
def test_an_escape_is_refused_without_a_daemon(escapes, attempt):
    code, output = escape(escapes, attempt["name"])
    assert output in [f"{attempt['name']}: {error}" for error in attempt["expected"]]
    assert code == 0


def test_escapes_leave_nothing_in_the_workspace(escapes):
    assert [path.name for path in escapes.iterdir()] == ["escape"]


@pytest.mark.parametrize("name", ["clone3", "ptrace-seize", "chmod-setuid", "creat-setuid",
                                  "packet-socket", "executable-stack", "openat2"])
def test_without_the_filter_an_escape_tells_the_difference(escapes, name):
    """The attempts can fail: what seccomp refuses, nothing else refuses in the same way."""
    fd = memfd(ALLOW_ALL)
    with Cage(encode(specification(["/workspace/escape", name])), escapes, profile=fd) as cage:
        status = cage.go().wait()
        assert cage.output_ended()
    os.close(fd)
    escapes.chmod(0o755)
    (escapes / "escape-x").unlink(missing_ok=True)
    if name in ("ptrace-seize", "packet-socket"):  # the kernel refuses too, by the credentials
        assert b": EPERM" in cage.output
    else:
        assert b"SUCCEEDED" in cage.output and os.waitstatus_to_exitcode(status) == 1


def test_on_the_host_an_escape_succeeds():
    result = subprocess.run([paths.ESCAPE, "host-shadow"], stdout=subprocess.PIPE, check=False)
    assert result.returncode == 1 and b"SUCCEEDED" in result.stdout


def test_files_of_the_host_are_not_there(escapes, base):
    for path in (base, "/etc/shadow", "/etc/machine-id", "/boot"):
        assert escape(escapes, "host-path", path) == (0, "host-path: ENOENT")


def test_the_loopback_of_the_host_is_not_reached(escapes):
    for family, address, name, error in (
            (socket.AF_INET, "127.0.0.1", "host-loopback", "ECONNREFUSED"),
            (socket.AF_INET6, "::1", "host-loopback-6", "ECONNREFUSED")):
        with socket.socket(family) as listener:
            listener.bind((address, 0))
            listener.listen()
            port = listener.getsockname()[1]
            assert escape(escapes, name, port) == (0, f"{name}: {error}")


def test_an_abstract_socket_of_the_host_is_not_reached(escapes):
    name = f"caged-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        assert escape(escapes, "abstract-socket", name) == (0, "abstract-socket: ECONNREFUSED")


def test_system_v_objects_of_the_host_are_not_there(escapes):
    libc = ctypes.CDLL(None, use_errno=True)
    key, create = 0x0CA6ED00 + os.getpid() % 256, 0o1666
    ids = {"host-shared-memory": (libc.shmget(key, 4096, create), libc.shmctl),
           "host-semaphores": (libc.semget(key, 1, create), lambda i, c, b: libc.semctl(i, 0, c)),
           "host-messages": (libc.msgget(key, create), libc.msgctl)}
    try:
        for name, (identifier, _) in ids.items():
            assert identifier >= 0
            assert escape(escapes, name, key) == (0, f"{name}: ENOENT")
    finally:
        for identifier, control in ids.values():
            control(identifier, 0, None)


def test_a_process_of_the_host_cannot_be_signalled(escapes):
    assert escape(escapes, "signal-host-process", os.getpid()) == (0, "signal-host-process: ESRCH")


def test_orphans_do_not_keep_the_cage(escapes):
    """PID 1 sees the end of the agent and of the daemon though orphans die without end."""
    words = ["/workspace/escape", "outlive-by-orphans", "8"]
    with Cage(encode(specification(words + ["1"])), escapes) as cage:
        assert cage.go().wait() == 0
        assert cage.gone() == 0
    with Cage(encode(specification(words + ["1000"])), escapes) as cage:
        cage.go()
        time.sleep(0.5)
        cage.control.close()
        assert os.waitstatus_to_exitcode(cage.gone()) == 1
