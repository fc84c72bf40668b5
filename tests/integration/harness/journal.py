"""A journal in a test's hand: a socket at the journal's place, which the test reads or does not,
and a daemon in a mount namespace that has it there."""

import contextlib
import ctypes
import socket
import struct
import threading

from .daemon import Daemon

TIMEOUT = 30
CLONE_NEWNET = 0x40000000


def short_socket():
    """A socket whose queue is as short as Linux makes it (10). systemd lengthens the queues of its
    host's network namespace (net.unix.max_dgram_qlen), so it is made in a new one; where it is
    found by a path does not hang on that (unix(7))."""
    made = []

    def make():
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0:
            made.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made, "unshare: the tests need root"
    return made[0]


def parse(data):
    """The fields of a message in the journal's native protocol, as bytes: a line NAME=value, or a
    line NAME, the length as 64 bits in little endian, the value and a newline."""
    fields = {}
    while data:
        line, data = data.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", data[:8])
            value, end, data = data[8:8 + size], data[8 + size:9 + size], data[9 + size:]
            assert end == b"\n"
        assert name.decode() not in fields, name
        fields[name.decode()] = value
    return fields


class Journal:
    """`run` is what the daemon finds at /run."""

    def __init__(self, run):
        self.path = run / "systemd" / "journal" / "socket"
        self.path.parent.mkdir(parents=True)
        self.entries = []
        self.socket = None
        self.open()

    def open(self):
        self.socket = short_socket()
        self.socket.settimeout(TIMEOUT)
        self.socket.bind(str(self.path))

    def close(self):
        self.socket.close()
        self.path.unlink()

    def take(self):
        """The next entry. One that is too large for a datagram comes as a memory file."""
        data, fds, flags, _ = socket.recv_fds(self.socket, 1 << 20, 1)
        assert not flags & socket.MSG_TRUNC
        if fds:
            assert not data
            with open(fds[0], "rb") as file:
                file.seek(0)
                data = file.read()
        self.entries.append(parse(data))
        return self.entries[-1]

    def take_until(self, **fields):
        """Takes entries until one has these fields."""
        wanted = {name: value.encode() for name, value in fields.items()}
        while True:
            entry = self.take()
            if wanted.items() <= entry.items():
                return entry

    def of(self, agent_id, **fields):
        """What was taken about an agent."""
        wanted = {"CAGED_AGENT": agent_id.encode(),
                  **{name: value.encode() for name, value in fields.items()}}
        return [entry for entry in self.entries if wanted.items() <= entry.items()]

    def lines(self, agent_id):
        """The agent's output so far; each line must have the number that follows."""
        lines = [entry for entry in self.of(agent_id) if "CAGED_STREAM" in entry]
        assert [int(line["CAGED_SEQUENCE"]) for line in lines] == list(range(1, len(lines) + 1))
        return [line["MESSAGE"] for line in lines]


class JournaledDaemon(Daemon):
    def __init__(self, base, group):
        super().__init__(base, group)
        self.run = self.folder / "run"
        self.journal = Journal(self.run)
        self.prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
                       f"mount --bind {self.run} /run && exec \"$@\"", "sh")

    @property
    def entry(self):
        return ("nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--")

    def close(self):
        """Ends it with its journal being read."""
        ended = threading.Event()
        self.journal.socket.settimeout(0.2)

        def read():
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    self.journal.take()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            self.stop()
        finally:
            ended.set()
            reader.join()
            self.journal.socket.close()
