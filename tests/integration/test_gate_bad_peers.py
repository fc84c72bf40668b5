"""caged-gate between ends that behave badly (harness/gate.py): that end their half early, stall,
trickle or reset, at any moment and in both directions. What they do harms their own connection
alone, and nothing of it stays behind."""

import os
import socket
import threading
import time

import pytest

from harness.daemon import until
from harness.gate import (PUBLIC, Gate, Server, echo_server, in_world, read_all, read_until,
                          receive)
from harness.gate_waits import begin_waits, waited
from harness.servers import Listening

SIZE = 3 << 20


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


def sockets(gate):
    """How many the gate has; a few pipes it keeps for the next."""
    folder = f"/proc/{gate.pid}/fd"
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith("socket:") for link in links)


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    conn.close()


# -- halves that end --


def send_all_from(conn, data):
    thread = threading.Thread(target=conn.sendall, args=(data,))
    thread.start()
    return thread


@in_world
@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("then", ["goes on", "ends too", "resets"])
def test_an_end_that_closed_its_half_still_hears_the_other(first, then):
    data = os.urandom(SIZE)
    with Listening(PUBLIC) as server, Gate([f"{PUBLIC}:{server.port}"]) as gate:
        idle = sockets(gate)
        client = gate.tunnel(f"{PUBLIC}:{server.port}")
        client.settimeout(20)
        ends = {"client": client, "server": server.accept()}
        quiet, other = ends.pop(first), ends.popitem()[1]
        quiet.sendall(b"my last words")
        quiet.shutdown(socket.SHUT_WR)
        assert read_all(other) == b"my last words"
        if then == "goes on":
            for at in range(0, SIZE, SIZE // 4):
                sender = send_all_from(other, data[at:at + SIZE // 4])
                assert receive(quiet, SIZE // 4) == data[at:at + SIZE // 4]
                sender.join()
        if then == "resets":
            reset(other)
            with pytest.raises(ConnectionResetError):
                read_all(quiet)
        else:
            other.close()
            assert read_all(quiet) == b""
        quiet.close()
        until(lambda: sockets(gate) == idle, what="nothing stays behind")
        assert gate.end()["reason"] == {
            "goes on": "closed", "ends too": "closed",
            "resets": "server-gone" if first == "client" else "client-gone"}[then]


@in_world
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_a_client_that_closes_its_half_with_the_request_gets_the_whole_answer(method):
    body = os.urandom(SIZE)
    with Listening(PUBLIC) as server, Gate([f"{PUBLIC}:{server.port}"]) as gate:
        idle = sockets(gate)
        authority = f"{PUBLIC}:{server.port}"
        target = authority if method == "CONNECT" else f"http://{authority}/"
        client = gate.send(f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        conn = server.accept()
        if method == "GET":
            assert read_until(conn).startswith(b"GET / HTTP/1.1\r\n")
        else:
            assert read_all(conn) == b""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
        sender = send_all_from(conn, answer + body)
        assert read_all_or(client, SIZE, conn, sender).endswith(body)
        client.close()
        conn.close()
        until(lambda: sockets(gate) == idle, what="nothing stays behind")


def read_all_or(client, size, conn, sender):
    """Until the body is whole; then the server closes."""
    data = read_until(client)
    while len(data) < size:
        piece = client.recv(1 << 20)
        assert piece, len(data)
        data += piece
    sender.join()
    conn.close()
    return data + read_all(client)


# -- servers that reset, at every moment --


@in_world
@pytest.mark.parametrize("said", [b"", b"part of"])
@pytest.mark.parametrize("heard", [1, 1000, 100000])
def test_a_server_that_resets_a_tunnel_resets_its_client_and_no_other(said, heard):
    """In the middle of what it is sent."""
    def handle(conn):
        receive(conn, heard)
        conn.sendall(said)
        reset(conn)
    bad, good = Server(handle), echo_server()
    with Gate([f"{PUBLIC}:{bad.port}", f"{PUBLIC}:{good.port}"]) as gate:
        other = gate.tunnel(f"{PUBLIC}:{good.port}")
        idle = sockets(gate)
        for _ in range(10):
            with gate.tunnel(f"{PUBLIC}:{bad.port}") as conn:
                with pytest.raises((ConnectionResetError, BrokenPipeError)):
                    while True:
                        conn.sendall(bytes(100001))
                        time.sleep(0.001)
            assert gate.end()["reason"] == "server-gone"
        other.sendall(b"ping")
        assert receive(other, 4) == b"ping"
        until(lambda: sockets(gate) == idle, what="nothing stays behind")
        other.close()


# -- servers that trickle or stall --


@in_world
@pytest.mark.parametrize("tunnel", [True, False])
def test_what_trickles_passes_byte_by_byte(tunnel):
    """Each byte arrives before the next one is sent."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + b"x" * 300
    with Listening(PUBLIC) as server, Gate([f"{PUBLIC}:{server.port}"]) as gate:
        authority = f"{PUBLIC}:{server.port}"
        if tunnel:
            client = gate.tunnel(authority)
            conn = server.accept()
        else:
            client = gate.send(f"GET http://{authority}/ HTTP/1.1\r\n"
                               "Connection: close\r\n\r\n".encode())
            conn = server.accept()
            read_until(conn)
        client.settimeout(20)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = 0 if tunnel else answer.index(b"\r\n\r\n") + 4
        got = b""
        for i in range(len(answer)):
            conn.sendall(answer[i:i + 1])
            while len(got if tunnel else got.partition(b"\r\n\r\n")[2]) < i + 1 - head:
                got += client.recv(1)
        conn.close()
        if tunnel:
            assert read_all(client) == b""
        assert got.endswith(b"\r\n\r\n" + b"x" * 300)
        client.close()


class Stuck:
    """A server that fills what its clients take, and takes nothing."""

    def __init__(self):
        self.listener = socket.create_server((PUBLIC, 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.conns = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            fill(conn)
            self.conns.append(conn)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for conn in self.conns:
            reset(conn)


def fill(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    conn.setblocking(False)
    try:
        while True:
            conn.send(bytes(1 << 16))
    except BlockingIOError:
        pass


@in_world
def test_tunnels_that_are_stuck_at_both_ends_harm_no_other():
    echo = echo_server()
    with Stuck() as server, \
            Gate([f"{PUBLIC}:{server.port}", f"{PUBLIC}:{echo.port}"]) as gate:
        other = gate.tunnel(f"{PUBLIC}:{echo.port}")
        other.settimeout(20)
        idle = sockets(gate)
        stuck = []
        for _ in range(200):
            stuck.append(gate.tunnel(f"{PUBLIC}:{server.port}"))
            fill(stuck[-1])
        until(lambda: len(server.conns) == 200)
        before = cpu_seconds(gate)
        start = time.monotonic()
        for _ in range(200):
            other.sendall(b"ping")
            assert receive(other, 4) == b"ping"
        assert time.monotonic() - start < 10
        time.sleep(0.5)
        assert cpu_seconds(gate) - before < 0.4, "it does not spin"
        for conn in stuck:
            reset(conn)
        until(lambda: sockets(gate) == idle, what="nothing stays behind")
        other.close()


def cpu_seconds(gate):
    with open(f"/proc/{gate.pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# -- what takes long (begun before the first test) --


@pytest.mark.parametrize("name", ["parent_stalls", "parent_trickles"])
def test_a_parent_proxy_that_does_not_come_to_its_answer_times_out(name):
    """20 s (GATE_DIAL_TIMEOUT), whatever trickles in."""
    answer, seconds, reason = waited(name)
    assert (answer.status, answer.reason, reason) == (502, "parent-failed", "parent-failed")
    assert "did not answer in time" in answer.text
    assert 19 < seconds < 40
