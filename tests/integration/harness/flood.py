"""Very many connections at once, from a process of their own: `Flood` makes them, `Echo` serves them.
Both run as programs, also inside a cage (FLOOD, with /usr/bin/python3)."""

import json
import resource
import subprocess

# argv: address, port, how many, what each says as soon as it is connected (repr of bytes), how many
# seconds to look. Prints what they heard as JSON when told to on standard input (any line), and at
# its end. Its end closes all.
FLOOD = r"""
import ast, collections, errno, json, resource, select, socket, sys, time

address, port, count, said = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), ast.literal_eval(sys.argv[4])
seconds = float(sys.argv[5])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, max(hard, count + 64)))
poll = select.epoll()
conns, left, heard, first = {}, {}, {}, {}
for _ in range(count):
    conn = socket.socket()
    conn.setblocking(False)
    conn.connect_ex((address, port))
    conns[conn.fileno()] = conn
    left[conn.fileno()] = said
    heard[conn.fileno()] = "nothing"
    first[conn.fileno()] = b""
    poll.register(conn.fileno(), select.EPOLLOUT)

def report():
    print(json.dumps(collections.Counter(heard.values())), flush=True)

def write(fd):
    try:
        n = conns[fd].send(left[fd][:65536]) if left[fd] else 0
        left[fd] = left[fd][n:]
        if heard[fd] == "nothing":
            heard[fd] = "connected"
        if not left[fd]:
            poll.modify(fd, select.EPOLLIN)
    except BlockingIOError:
        pass

def read(fd):
    data = conns[fd].recv(65536)
    if data and heard[fd] in ("nothing", "connected"):
        first[fd] += data
        if len(first[fd]) >= 12:
            heard[fd] = first[fd][9:12].decode("latin-1")
    elif not data:
        poll.unregister(fd)
        if heard[fd] in ("nothing", "connected"):
            heard[fd] = "closed"

try:
    poll.register(0, select.EPOLLIN)
except PermissionError:  # /dev/null
    pass
print("begun", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    for fd, events in poll.poll(1):
        if fd == 0:
            if not sys.stdin.buffer.raw.read(1):
                poll.unregister(0)
                if seconds > 100:
                    sys.exit()
            else:
                report()
            continue
        try:
            if events & select.EPOLLOUT:
                write(fd)
            if events & ~select.EPOLLOUT:
                read(fd)
        except OSError as error:
            poll.unregister(fd)
            heard[fd] = errno.errorcode.get(error.errno, "?") + " after " + heard[fd]
report()
"""

# argv: address, port. Accepts without end, and sends back what comes.
ECHO = r"""
import resource, select, socket, sys

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=4096)
server.setblocking(False)
poll = select.epoll()
poll.register(server.fileno(), select.EPOLLIN)
conns = {}
print(server.getsockname()[1], flush=True)
while True:
    for fd, events in poll.poll():
        if fd == server.fileno():
            try:
                conn = server.accept()[0]
            except OSError:
                continue
            conns[conn.fileno()] = conn
            poll.register(conn.fileno(), select.EPOLLIN)
            continue
        try:
            data = conns[fd].recv(65536)
            if data:
                conns[fd].setblocking(True)
                conns[fd].sendall(data)
        except OSError:
            data = b""
        if not data:
            poll.unregister(fd)
            conns.pop(fd).close()
"""


def raise_limit(count):
    """Of this process, whatever it was started with: so many descriptors may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), max(hard, count)))


class Program:
    def __init__(self, text, *words):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", text, *map(str, words)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line(self):
        return self.process.stdout.readline()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Echo(Program):
    def __init__(self, address, port=0):
        super().__init__(ECHO, address, port)
        self.port = int(self.line())


class Flood(Program):
    def __init__(self, address, port, count, said, seconds=1000):
        super().__init__(FLOOD, address, port, count, repr(said), seconds)
        assert self.line() == b"begun\n"

    def heard(self):
        """How many heard what: a status, "nothing" (not connected), "connected", ..."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return json.loads(self.line())
