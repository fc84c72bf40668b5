"""Hellos and TLS servers for tests of the gate: a certificate made once, real hellos by Python's ssl,
and those that the fuzz target has as seeds."""

import functools
import os
import pathlib
import ssl
import struct
import subprocess
import tempfile
import threading

from harness.gate import PUBLIC, Server

SEEDS = pathlib.Path(__file__).parents[2] / "fuzz/seeds/client-hello"
ALERTS = {"sni-mismatch": 112, "sni-missing": 109, "not-tls": 50, "hello-too-large": 50}


def seed(name):
    return (SEEDS / name).read_bytes()


_making = threading.Lock()


def certificate():
    """For the names of example; the file has the key, too."""
    with _making:
        return _certificate()


@functools.cache
def _certificate():
    folder = tempfile.mkdtemp(prefix="caged-tls-test-")
    path = os.path.join(folder, "both.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=example", "-addext",
                    f"subjectAltName=DNS:a.example,DNS:b.example,DNS:b.a.example,IP:{PUBLIC}", "-keyout", path,
                    "-out", path + ".crt"], check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as file, open(path + ".crt", encoding="ascii") as crt:
        file.write(crt.read())
    return path


def client_context():
    return ssl.create_default_context(cafile=certificate())


def hello(name):
    """The ClientHello of Python's ssl for a server of that name, or for none."""
    context = client_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def in_records(hello, size):
    """The same message in records of so many bytes."""
    message = hello[5:]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(message[at:at + size]))
                    + message[at:at + size] for at in range(0, len(message), size))


def echo_server(port, address=PUBLIC, curve=None):
    """TLS; echoes. `names` is what the hellos named. Where `curve` is not what a client begins with,
    the server asks for another hello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    if curve:
        context.set_ecdh_curve(curve)
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def handle(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            while data := tls.recv(65536):
                tls.sendall(data)
    server = Server(handle, address, port)
    server.names = names
    return server


def web_server(port):
    """TLS; answers each connection's first request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())

    def handle(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
    return Server(handle, PUBLIC, port)


def sink(port, address=PUBLIC):
    """Keeps what comes, all of it, when the connection ends: `received`."""
    def handle(conn):
        data = b""
        try:
            while piece := conn.recv(65536):
                data += piece
        finally:
            server.received.append(data)
    server = Server(handle, address, port)
    return server
