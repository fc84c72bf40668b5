"""A cage without a daemon: the built caged-init, started as cagedd starts it, with the test in the
daemon's place at the control socket. common/init-spec.h is the contract."""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

from . import paths
from .patience import PATIENCE

INIT = paths.CAGED_INIT
LAUNCHER = paths.BUILD / "tests" / "escape" / "launch-init"
PROFILE = paths.POLICY / "seccomp" / "default.json"

(VERSION, AGENT_ID, UID_BASE, OWNER_UID, OWNER_GID, FOLDER_UID, FOLDER_GID, MAX_OPEN_FILES,
 TMPFS_BYTES, TERMINAL, ROWS, COLUMNS, NAME_SERVER, PROTECT_GIT, ARGUMENT, ENVIRONMENT,
 FILE, AGENT_FILE, MOUNT, WORKSPACE) = range(1, 21)
GO, STARTED, FAILED, ERRNO, DETAIL, EXITED = range(1, 7)
NUMBERS = (VERSION, UID_BASE, OWNER_UID, OWNER_GID, FOLDER_UID, FOLDER_GID, MAX_OPEN_FILES,
           TMPFS_BYTES, TERMINAL, ROWS, COLUMNS, NAME_SERVER, PROTECT_GIT)
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

BASE = 3000 * 65536
OWNER = 12345
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


def record(kind, value=b""):
    if isinstance(value, int):
        value = struct.pack("=Q", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return struct.pack("=HHI", kind, 0, len(value)) + value


def mount(target, writable=False, uid=None, gid=None, folder_uid=None, folder_gid=None):
    """The value of a MOUNT record."""
    uid, gid = OWNER if uid is None else uid, OWNER if gid is None else gid
    ids = (writable, uid, gid, uid if folder_uid is None else folder_uid,
           gid if folder_gid is None else folder_gid)
    return struct.pack("=5I", *ids) + target.encode() + b"\0"


def specification(command, environment=None, files=(), agent_files=(), mounts=(), **changes):
    """The records as a list of (type, value), so that a test can spoil them."""
    numbers = {VERSION: 5, UID_BASE: BASE, OWNER_UID: OWNER, OWNER_GID: OWNER,
               FOLDER_UID: OWNER, FOLDER_GID: OWNER,
               MAX_OPEN_FILES: 512, TMPFS_BYTES: 64 << 20, TERMINAL: 0,
               ROWS: 0, COLUMNS: 0, NAME_SERVER: 0, PROTECT_GIT: 1}
    numbers.update({globals()[name]: value for name, value in changes.items() if name != "id"})
    records = list(numbers.items()) + [(AGENT_ID, changes.get("id", "bare")), (WORKSPACE, "/home/user/workspace")]
    records += [(ARGUMENT, word) for word in command]
    variables = {"PATH": PATH, "HOME": "/home/agent"} if environment is None else environment
    records += [(ENVIRONMENT, f"{name}={value}") for name, value in variables.items()]
    records += [(FILE, path.encode() + b"\0" + text.encode()) for path, text in files]
    records += [(AGENT_FILE, path.encode() + b"\0" + text.encode()) for path, text in agent_files]
    records += [(MOUNT, value) for value in mounts]
    return records


def encode(records):
    return b"".join(record(kind, value) for kind, value in records)


def decode(data):
    result = []
    while data:
        kind, zero, length = struct.unpack_from("=HHI", data)
        assert zero == 0
        value = data[8:8 + length]
        result.append((kind, value))
        data = data[8 + length:]
    return result


def memfd(data, sealed=True):
    fd = os.memfd_create("spec", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if sealed:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return fd


class Failed(Exception):
    """caged-init's FAILED message."""

    def __init__(self, step, error, detail):
        super().__init__(f"{step}: {os.strerror(error)}: {detail}")
        self.step, self.error, self.detail = step, error, detail


class Cage:
    """One caged-init. `data` is the specification's bytes."""

    def __init__(self, data, workspace, sealed=True, profile=PROFILE, output=None,
                 folders=()):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        self.output, self.errors = b"", b""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        spec = memfd(data, sealed)
        pass_fds = [theirs.fileno(), spec, out_end, err_end]
        if isinstance(profile, int):
            pass_fds.append(profile)
        self.process = subprocess.Popen(
            [LAUNCHER, INIT, str(theirs.fileno()), str(spec), str(out_end), str(err_end),
             workspace, str(profile), *folders], pass_fds=pass_fds, stdout=subprocess.PIPE, text=True)
        for fd in (spec, out_end, err_end):
            os.close(fd)
        theirs.close()
        self.threads = [threading.Thread(target=self._read, args=(out, "output"), daemon=True),
                        threading.Thread(target=self._read, args=(err, "errors"), daemon=True)]
        for thread in self.threads:
            thread.start()
        line = self.process.stdout.readline()
        self.pid = int(line) if line else None
        self.pidfd = self.terminal = None

    def _read(self, fd, name):
        while data := os.read(fd, 65536):
            setattr(self, name, getattr(self, name) + data)
        os.close(fd)

    def receive(self):
        """The next message as a list of (type, value), and descriptors; [] at the end of file."""
        data, fds, _, _ = socket.recv_fds(self.control, 8192, 4)
        return decode(data), fds

    def _expect(self, kind):
        message, fds = self.receive()
        if message and message[0][0] == FAILED:
            values = dict(message)
            detail = values.get(DETAIL, b"\0")[:-1].decode()
            raise Failed(values[FAILED][:-1].decode(),
                         struct.unpack("=Q", values[ERRNO])[0], detail)
        assert message and message[0][0] == kind, message
        return message[0][1], fds

    def go(self):
        try:
            self.control.send(record(GO))
        except BrokenPipeError:
            pass  # it failed before; the next message says at what
        value, fds = self._expect(STARTED)
        assert value == b""
        self.pidfd = fds[0]
        self.terminal = fds[1] if len(fds) > 1 else None
        return self

    def wait(self):
        """The agent's wait status."""
        value, _ = self._expect(EXITED)
        return struct.unpack("=Q", value)[0]

    def output_ended(self, timeout=PATIENCE):
        for thread in self.threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self.threads)

    def gone(self, timeout=PATIENCE):
        """Waits for the end of PID 1; its own wait status."""
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        assert ready, "PID 1 still lives"
        return int(self.process.stdout.readline())

    def agent_pid(self):
        text = Path(f"/proc/self/fdinfo/{self.pidfd}").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pid:")))

    def close(self):
        self.control.close()
        for fd in (self.pidfd, self.terminal):
            if fd is not None:
                os.close(fd)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def run(command, workspace, folders=(), **arguments):
    """Runs a command to its end: (wait status, output, errors)."""
    data = encode(specification(command, **arguments))
    with Cage(data, workspace, folders=folders) as cage:
        status = cage.go().wait()
        assert cage.output_ended(), "the output did not end with the agent"
        return status, cage.output.decode(), cage.errors.decode()
