"""What test_gate*.py drive caged-gate with: a network of its own, a name server, servers, and the
part of cagedd (descriptors, sealed configuration, control socket).

The network: in_world runs a test in a thread that has its own network and mount namespaces, with
only a loopback interface and its own /etc/resolv.conf and /etc/hosts. Threads and processes that
are started from it are in there too; nothing of the machine is touched or reached."""

import collections
import concurrent.futures
import ctypes
import fcntl
import functools
import os
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from harness import paths

UID = 3000000
RESOLVER = "127.0.0.53"
# Addresses that are globally routable in form; in here a route leads them to loopback, and servers
# may have them, but they are no interface's.
PUBLIC = "11.22.33.44"
PUBLIC_2 = "11.22.33.45"
PUBLIC_6 = "2600:1::1"
# One that is an interface's: the host's own.
OWN = "11.22.33.99"
# Nobody answers there.
VOIDS = [f"12.0.0.{i}" for i in range(1, 6)]
VOID_6 = "2600:12::1"
# Private ones that the loopback interface has too.
PRIVATE = "10.1.2.3"
METADATA = "169.254.169.254"

HOSTS = """\
# a comment
127.0.0.1 localhost
11.22.33.44 in-hosts.example In-Hosts-Alias.example # trailing comment
10.1.2.3 private-in-hosts.example
bad-line
12.0.0.1 late-in-hosts.example
12.0.0.2 late-in-hosts.example
12.0.0.3 late-in-hosts.example
12.0.0.4 late-in-hosts.example
10.1.2.3 late-in-hosts.example
"""

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
F_ADD_SEALS, SEALS = 1033, 0xF

# -- the world --


def _enter_world():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: the tests need root")
    folder = tempfile.mkdtemp(prefix="caged-gate-test-")
    run = functools.partial(subprocess.run, check=True)
    run(["mount", "--make-rprivate", "/"])
    for name, text in (("resolv.conf", f"nameserver {RESOLVER}\n"), ("hosts", HOSTS)):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        run(["mount", "--bind", path, f"/etc/{name}"])
        os.unlink(path)
    os.rmdir(folder)
    run(["ip", "link", "set", "lo", "up"])
    for address in (OWN, PRIVATE, METADATA):
        run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
    with open("/proc/sys/net/ipv6/ip_nonlocal_bind", "w", encoding="ascii") as file:
        file.write("1")  # for IPv4 the route is enough
    for address in (PUBLIC, PUBLIC_2, PUBLIC_6):
        run(["ip", "route", "add", "local", address, "dev", "lo"])
    # What is sent to VOIDS goes to a machine that is not there: no answer of any kind.
    run(["ip", "link", "add", "void0", "type", "veth", "peer", "name", "void1"])
    for link in ("void0", "void1"):
        run(["ip", "link", "set", link, "up"])
    run(["ip", "address", "add", "12.255.0.1/8", "dev", "void0"])
    run(["ip", "address", "add", "2600:12::ffff/64", "dev", "void0", "nodad"])
    for address in (*VOIDS, VOID_6):
        run(["ip", "neighbour", "add", address, "lladdr", "02:00:00:00:00:01", "dev", "void0"])


class _World:
    thread = None
    servers = []


def add_server(server):
    """Something that the end of the test closes."""
    _World.servers.append(server)


def in_world(test):
    """Runs the test in the one thread that lives in the test network; closes its servers."""
    def run_and_clear(*args, **kwargs):
        try:
            test(*args, **kwargs)
        finally:
            while _World.servers:
                _World.servers.pop().close()

    @functools.wraps(test)
    def run(*args, **kwargs):
        if _World.thread is None:
            _World.thread = concurrent.futures.ThreadPoolExecutor(1, "world")
            _World.thread.submit(_enter_world).result()
        return _World.thread.submit(run_and_clear, *args, **kwargs).result()
    return run


# -- servers --


class Dns:
    """A name server, UDP and TCP, for the names in `zone`: a list of addresses; [] for a name
    without any; a list of lists: one after the other (rebinding); "silent"; "servfail";
    ("truncated", addresses): whole by TCP alone. Other names do not exist."""

    def __init__(self, zone):
        self.zone = zone
        self.queries = []
        self.tcp_queries = []
        self._counts = {}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((RESOLVER, 53))
        self.tcp = socket.create_server((RESOLVER, 53))
        self.threads = [threading.Thread(target=serve, daemon=True)
                        for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self.threads:
            thread.start()
        add_server(self)  # closed then at the latest, or no other could have its port

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()

    def _addresses(self, name, kind):
        entry = self.zone.get(name)
        if isinstance(entry, tuple):
            return entry[1]
        if entry and isinstance(entry[0], list):
            n = self._counts.get((name, kind), 0)
            self._counts[name, kind] = n + 1
            return entry[min(n, len(entry) - 1)]
        return entry

    def _answer(self, query, tcp):
        end = 12
        labels = []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode())
            end += 1 + query[end]
        kind = struct.unpack("!H", query[end + 1:end + 3])[0]
        name = ".".join(labels).lower()
        (self.tcp_queries if tcp else self.queries).append(name)
        entry = self.zone.get(name)
        if entry == "silent":
            return None
        question = query[12:end + 5]
        code = 2 if entry == "servfail" else 3 if entry is None else 0
        truncated = isinstance(entry, tuple) and not tcp
        answers = b""
        count = 0
        for address in [] if code or truncated else self._addresses(name, kind):
            v6 = ":" in address
            if kind != (28 if v6 else 1):
                continue
            data = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address)
            answers += struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(data)) + data
            count += 1
        flags = 0x8180 | (0x0200 if truncated else 0) | code
        return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + answers

    def _serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                if not query:
                    return
                answer = self._answer(query, False)
                if answer:
                    self.udp.sendto(answer, peer)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            with conn:
                head = conn.recv(2, socket.MSG_WAITALL)
                while len(head) == 2:
                    query = conn.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
                    answer = self._answer(query, True)
                    conn.sendall(struct.pack("!H", len(answer)) + answer)
                    head = conn.recv(2, socket.MSG_WAITALL)


def dns_of(zone):
    """A fixture: what a test in the world calls for a name server with this zone."""
    @pytest.fixture
    def dns():
        made = []

        def make():
            made.append(Dns(zone))
            return made[0]
        yield make
        for server in made:
            server.close()
    return dns


class Server:
    """A TCP server: `handle(connection)` runs in a thread for each connection, and may keep what
    it was sent in `received`. The world closes it when the test is over."""

    def __init__(self, handle, address=PUBLIC, port=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        outer = self
        self.received = []
        self.accepted = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.accepted += 1
                try:
                    handle(self.request)
                except OSError:
                    pass  # resets are part of the tests

        class Threaded(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False
            address_family = family
            request_queue_size = 1024

        self.server = Threaded((address, port), Handler)
        self.address, self.port = self.server.server_address[:2]
        self.open = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        _World.servers.append(self)

    def wait_received(self, count):
        """What so many connections were sent, once they have ended."""
        end = time.monotonic() + 15
        while len(self.received) < count:
            assert time.monotonic() < end, self.received
            time.sleep(0.01)
        return self.received

    def close(self):
        if self.open:
            self.open = False
            self.server.shutdown()
            self.server.server_close()


def read_until(conn, end=b"\r\n\r\n"):
    data = b""
    while end not in data:
        piece = conn.recv(65536)
        if not piece:
            break
        data += piece
    return data


def receive(conn, size):
    """Exactly so many bytes, or fewer at the end of file."""
    data = b""
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return data


def read_all(conn):
    data = []
    while True:
        piece = conn.recv(1 << 20)
        if not piece:
            return b"".join(data)
        data.append(piece)


def read_answer(conn, head_alone=False):
    """One answer with the interim ones before it, and not a byte behind it; to the end of the
    connection if that is where it ends, or if it says that it is the last."""
    data = b""
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = conn.recv(1)
            if not byte:
                return Answer(data + head)
            head += byte
        data += head
        answer = Answer(head)
        if not 100 <= answer.status < 200 or answer.status == 101:
            break
    if answer.headers.get("connection") == "close":
        return Answer(data + read_all(conn))
    if head_alone or answer.status in (101, 204, 304):
        return Answer(data)
    if "transfer-encoding" not in answer.headers:
        return Answer(data + receive(conn, int(answer.headers["content-length"])))
    size = None
    while size != 0:
        line = b""
        while not line.endswith(b"\r\n"):
            line += conn.recv(1)
        size = int(line.partition(b";")[0], 16)
        data += line + receive(conn, size + 2)  # without trailers
    return Answer(data)


def http_server(body=b"hello", address=PUBLIC, port=0):
    """Answers each connection's first request and keeps everything that it then was sent."""
    def handle(conn):
        data = read_until(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        conn.shutdown(socket.SHUT_WR)
        data += read_all(conn)
        server.received.append(data)
    server = Server(handle, address, port)
    return server


def echo_server(address=PUBLIC, port=0):
    """Sends back what it gets, and the end of file too."""
    def handle(conn):
        while data := conn.recv(1 << 16):
            conn.sendall(data)
    return Server(handle, address, port)


# -- the gate --

CONFIG = {"version": 1, "agent_id": 2, "uid": 3, "allow": 4, "private": 5, "parent": 6,
          "forward": 7, "deny": 8, "transparent": 9, "ask": 10, "parent_auth": 11}
READY, FAILED, DECISION, UPDATED, END = 1, 2, 3, 11, 14
UPDATE, PART = 1, 2  # what cagedd says
FIELDS = {4: "method", 5: "host", 6: "port", 7: "address", 8: "rule", 9: "reason", 10: "status",
          12: "request", 13: "count", 15: "bytes_up", 16: "bytes_down", 17: "duration_usec"}
GROUPS = {DECISION: [12, 4, 5, 6, 7, 8, 9, 10, 13], END: [4, 5, 6, 7, 8, 9, 15, 16, 17, 13]}
NUMBERS = {DECISION, 6, 10, UPDATED, 12, 13, END, 15, 16, 17}
VERDICTS = ["refused", "allowed", "held"]


def record(kind, value):
    if isinstance(value, int):
        value = struct.pack("=Q", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return struct.pack("=HHI", kind, 0, len(value)) + value


def records(data):
    while data:
        kind, zero, size = struct.unpack("=HHI", data[:8])
        assert zero == 0
        value = data[8:8 + size]
        data = data[8 + size:]
        if kind in NUMBERS:
            yield kind, struct.unpack("=Q", value)[0]
        else:
            assert value == b"" or value.endswith(b"\0")
            yield kind, value[:-1].decode()


def group(message):
    """Takes the first group, a decision or an end, out of a message's records."""
    kind, number = message.pop(0)
    order = GROUPS[kind]
    fields, message[:len(order)] = message[:len(order)], []
    assert [field for field, _ in fields] == order, (kind, fields)
    found = {FIELDS[field]: value for field, value in fields}
    if kind == END:
        found["request"] = number
    else:
        found["verdict"] = VERDICTS[number]
    assert (found["request"] == 0) == (found["count"] > 1), found
    return kind, found


def configuration(allow=(), private=(), parent=None, forwards=(), uid=UID, agent_id="tester",
                  deny=(), parent_auth=None, transparent=False, ask=None):
    data = record(CONFIG["version"], 1) + record(CONFIG["agent_id"], agent_id)
    data += record(CONFIG["uid"], uid)
    data += b"".join(record(CONFIG["allow"], x) for x in allow)
    data += b"".join(record(CONFIG["private"], x) for x in private)
    if parent:
        data += record(CONFIG["parent"], parent)
    if parent_auth:
        data += record(CONFIG["parent_auth"], parent_auth)
    data += b"".join(record(CONFIG["forward"], x) for x in forwards)
    data += b"".join(record(CONFIG["deny"], x) for x in deny)
    if ask:
        data += record(CONFIG["ask"], ask)
    return data + (record(CONFIG["transparent"], b"") if transparent else b"")


def memfd(data, seals=SEALS):
    fd = os.memfd_create("gate-config", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Gate:
    """A running caged-gate, started as cagedd starts it."""

    def __init__(self, allow=(), *, config=None, seals=SEALS, listener=True, forwards=(),
                 ready=True, record_buffer=None, **kwargs):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if record_buffer:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, record_buffer)
        if config is None:
            config = configuration(allow, forwards=forwards, **kwargs)
        if isinstance(listener, socket.socket):
            self.listener = listener  # another than usual; taken over
        else:
            self.listener = (socket.create_server(("127.0.0.1", 0), backlog=1024) if listener
                             else socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.port = self.listener.getsockname()[1] if listener else None
        self.forwards = [socket.create_server(("127.0.0.1", 0)) for _ in forwards]
        # As if addresses were synthetic: the listener for them, and the socket for names.
        self.transparent = ([socket.create_server(("127.0.0.1", 0)),
                             socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
                            if kwargs.get("transparent") else [])
        if self.transparent:
            self.transparent[1].bind(("127.0.0.1", 0))
        self.settings = {"forwards": forwards, **kwargs}  # what an update may not change
        config_fd = memfd(config, seals)
        self.pid = self._spawn([theirs.fileno(), config_fd, self.listener.fileno(),
                                *(f.fileno() for f in self.forwards + self.transparent)])
        os.close(config_fd)
        theirs.close()
        self.listener.close()
        self.forward_ports = [f.getsockname()[1] for f in self.forwards]
        self.status = None
        self.control.settimeout(15)
        self.decisions, self.ends = [], []  # that came and were not asked for
        if ready:
            assert self.message() == [(READY, "")]

    @staticmethod
    def _spawn(fds):
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200) for fd in fds]
        null = os.open("/dev/null", os.O_RDWR)
        # stderr stays: the gate writes nothing there, but a sanitizer does.
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(high)]
        environment = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        pid = os.posix_spawn(paths.CAGED_GATE, ["caged-gate"], environment, file_actions=actions)
        for fd in high + [null]:
            os.close(fd)
        return pid

    def message(self):
        data = self.control.recv(65536)
        return list(records(data))

    def take(self, message):
        """The groups of a message, until somebody asks for them."""
        while message:
            kind, found = group(message)
            (self.ends if kind == END else self.decisions).append(found)

    def take_ready(self):
        """What has come: a gate whose socket is full lets nothing through."""
        self.control.setblocking(False)
        try:
            while True:
                self.take(self.message())
        except BlockingIOError:
            self.control.settimeout(15)

    def record(self):
        """The next decision, whole."""
        while not self.decisions:
            self.take(self.message())
        return self.decisions.pop(0)

    def end(self, **expected):
        """The next end; of those that have these values, if some are given."""
        while True:
            for i, end in enumerate(self.ends):
                if expected.items() <= end.items():
                    return self.ends.pop(i)
            self.take(self.message())

    @staticmethod
    def _brief(found):
        """A decision without the number of its request."""
        assert found["verdict"] != "held", found
        return {"allowed": found["verdict"] == "allowed",
                **{key: value for key, value in found.items()
                   if key not in ("verdict", "request", "count")}}

    def decision(self):
        record = self.record()
        assert record["count"] == 1, record
        return self._brief(record)

    def counted(self, n):
        """Decisions about so many requests, some of which may be told by one: how many of each
        verdict and reason."""
        found = collections.Counter()
        while found.total() < n:
            record = self.record()
            found[record["verdict"], record["reason"]] += record["count"]
        assert found.total() == n, found
        return found

    def no_decision(self, seconds=0.3):
        end = time.monotonic() + seconds
        try:
            while not self.decisions:
                self.control.settimeout(max(end - time.monotonic(), 0.01))
                self.take(self.message())
            raise AssertionError(f"there is another record: {self.decisions}")
        except TimeoutError:
            self.control.settimeout(15)

    def send_update(self, config, part=3500, end=None):
        """As cagedd sends one, up to `end` bytes of it."""
        self.control.send(record(UPDATE, len(config)))
        for at in range(0, len(config[:end]), part):
            self.control.send(record(PART, config[at:min(at + part, end or len(config))]))

    def updated(self):
        """The answer to an update: how many connections it cut, and the records before it."""
        while True:
            message = self.message()
            if message[0][0] != UPDATED:
                self.take(message)
                continue
            assert len(message) == 1, message
            decisions, self.decisions = self.decisions, []
            return message[0][1], [self._brief(found) for found in decisions]

    def update(self, allow=(), **kwargs):
        """Other lists of hosts, and waits until they are in force."""
        self.send_update(configuration(allow, **{**self.settings, **kwargs}))
        return self.updated()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def send(self, data):
        conn = self.connect()
        conn.sendall(data)
        return conn

    def ask(self, data):
        """Sends bytes on a connection and reads one answer, to the connection's end if it is the
        last on it."""
        with self.send(data) as conn:
            return read_answer(conn, data.startswith(b"HEAD "))

    def tunnel(self, target):
        """A CONNECT that must succeed: the connection, behind the answer's head."""
        conn = self.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = conn.recv(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 200 "), head
        return conn

    def dialling(self):
        """The addresses that it tries to connect to at this moment."""
        inodes = set()
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass  # just closed
        found = []
        for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            with open(f"/proc/{self.pid}/net/{name}", encoding="ascii") as table:
                for line in table.readlines()[1:]:
                    words = line.split()
                    if words[3] == "02" and f"socket:[{words[9]}]" in inodes:  # SYN_SENT
                        packed = bytes.fromhex(words[2].split(":")[0])
                        packed = b"".join(packed[i:i + 4][::-1] for i in range(0, len(packed), 4))
                        found.append(socket.inet_ntop(family, packed))
        return sorted(found)

    def wait(self, seconds=10):
        """The exit status (negative: a signal)."""
        end = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError("the gate is still there")
            else:
                time.sleep(0.01)
        return self.status

    def close(self):
        """Ends it as cagedd does, and sees that it was well to its end."""
        self.control.close()
        assert self.wait() == 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.status is None and kind is None:
            self.close()
        elif self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        self.control.close()
        for forward in self.forwards + self.transparent:
            forward.close()


class Answer:
    def __init__(self, data):
        self.raw = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if data else None
        self.headers = {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}
        self.reason = self.headers.get("x-caged-reason")
        self.text = self.body.decode("latin-1")
