"""Real HTTP/1.1 servers for the tests of the gate: they read requests as framed, keep connections
alive, and keep every byte that reached them."""

import threading
import time

from harness.gate import PUBLIC, Server


class Request:
    """What a server read: all bytes in `raw`."""

    def __init__(self, head, body, rest):
        self.raw = head + body
        self.body = body
        self.line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.fields = [tuple(field.split(": ", 1)) for field in fields]
        self.came_along = rest  # bytes behind it that were there already

    def field(self, name):
        return next((v for k, v in self.fields if k.lower() == name.lower()), None)


class _Reader:
    def __init__(self, conn, keep):
        self.conn = conn
        self.data = b""
        self.keep = keep

    def more(self):
        piece = self.conn.recv(65536)
        self.keep(piece)
        self.data += piece
        return bool(piece)

    def until(self, end):
        while end not in self.data:
            if not self.more():
                return None
        found, _, self.data = self.data.partition(end)
        return found + end

    def size(self, size):
        while len(self.data) < size:
            if not self.more():
                return None
        found, self.data = self.data[:size], self.data[size:]
        return found

    def chunked(self):
        body = b""
        while True:
            line = self.until(b"\r\n")
            if line is None:
                return None
            size = int(line.partition(b";")[0], 16)
            body += line
            if size == 0:
                break
            body += self.size(size + 2)
        while True:
            line = self.until(b"\r\n")
            if line is None:
                return None
            body += line
            if line == b"\r\n":
                return body

    def request(self):
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        request = Request(head, b"", b"")
        if request.field("Transfer-Encoding"):
            body = self.chunked()
        else:
            body = self.size(int(request.field("Content-Length") or 0))
        return None if body is None else Request(head, body, self.data)


def ok(body=b"hello", fields=b""):
    return b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


class HttpServer:
    """`answer(request, conn)` gives the bytes of an answer, or None when it has said all itself and
    the connection ends. `requests` are all that were read whole; `connections` holds what reached
    each connection, to the byte; `ended` counts those whose client is gone."""

    def __init__(self, answer=lambda request, conn: ok(), address=PUBLIC, port=0):
        self.requests = []
        self.connections = []
        self.ended = 0
        self.answer = answer
        self._changed = threading.Condition()
        self.server = Server(self._handle, address, port)
        self.port = self.server.port

    @property
    def accepted(self):
        return self.server.accepted

    def _handle(self, conn):
        with self._changed:
            mine = len(self.connections)
            self.connections.append(b"")

        def keep(data):
            with self._changed:
                self.connections[mine] += data
                self._changed.notify_all()
        reader = _Reader(conn, keep)
        try:
            while (request := reader.request()) is not None:
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                data = self.answer(request, conn)
                if data is None:
                    return
                conn.sendall(data)
        finally:
            with self._changed:
                self.ended += 1
                self._changed.notify_all()

    def wait(self, condition, seconds=20):
        """Until condition(self) holds."""
        end = time.monotonic() + seconds
        with self._changed:
            while not condition(self):
                left = end - time.monotonic()
                assert left > 0, (self.connections, self.ended)
                self._changed.wait(left)
