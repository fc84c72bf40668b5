"""Servers of the host that tests share: one whose connections the test itself drives, web servers,
and a parent proxy that notes what it is asked for. (Those of harness/gate.py end with their world.)"""

import contextlib
import http.server
import socket
import socketserver
import threading


class Listening:
    """A server whose connections the test has in its hands."""

    def __init__(self, address="127.0.0.2", port=0):
        self.listener = socket.create_server((address, port))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.host = f"{address}:{self.port}"

    def accept(self):
        conn = self.listener.accept()[0]
        conn.settimeout(20)
        return conn

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@contextlib.contextmanager
def serving(server):
    """While it serves."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers with the path, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"path {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def web_server(address):
    server = http.server.ThreadingHTTPServer((address, 0), Pages)
    server.daemon_threads = True
    return serving(server)


class ParentProxy(socketserver.ThreadingTCPServer):
    """Notes the heads that it is sent, and plays every destination itself."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.heads = []
        super().__init__(("127.0.0.1", 0), _ParentProxyHandler)

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def users(self):
        """What each request said of its user."""
        return [[line.split(": ", 1)[1] for line in head if line.lower().startswith("proxy-auth")]
                for head in self.heads]


class _ParentProxyHandler(socketserver.StreamRequestHandler):
    def _head(self):
        lines = []
        while (line := self.rfile.readline()).strip():
            lines.append(line.decode().strip())
        return lines

    def handle(self):
        head = self._head()
        if not head:
            return
        self.server.heads.append(head)
        if head[0].startswith("CONNECT"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self._head()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n"
                         b"by the parent\n")
