"""What passes through caged-gate once it is allowed: bytes both ways, ends and resets, slow readers,
heads of answers."""

import hashlib
import os
import random
import socket
import struct
import threading
import time

import pytest

from harness.gate import (PUBLIC, Answer, Gate, Server, dns_of, echo_server, in_world, read_all,
                          read_until, receive)
from harness.requests import get

dns = dns_of({"a.example": [PUBLIC]})


@in_world
def test_half_close_passes_in_both_directions():
    def handle(conn):
        conn.sendall(b"bye")
        conn.shutdown(socket.SHUT_WR)
        received.append(read_all(conn))
        done.set()
    received, done = [], threading.Event()
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.tunnel(f"{PUBLIC}:{server.port}")
        assert read_all(conn) == b"bye"  # its end came through; ours is still open
        time.sleep(0.1)
        conn.sendall(b"still talking")
        time.sleep(0.1)
        conn.sendall(b" to you")
        conn.close()
        assert done.wait(5) and received == [b"still talking to you"]


@in_world
def test_a_reset_is_passed_on_as_a_reset():
    def handle(conn):
        conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.tunnel(f"{PUBLIC}:{server.port}")
        conn.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            read_all(conn)


@in_world
def test_large_transfers_both_ways_at_once():
    size = 64 << 20
    data = random.Random(2).randbytes(1 << 20) * 64

    def handle(conn):
        sender = threading.Thread(target=conn.sendall, args=(data,))
        sender.start()
        digest, got = hashlib.sha256(), 0
        while got < size:
            piece = conn.recv(1 << 20)
            digest.update(piece)
            got += len(piece)
        sender.join()
        received.append(digest.hexdigest())
        conn.shutdown(socket.SHUT_WR)
    received = []
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.tunnel(f"{PUBLIC}:{server.port}")
        sender = threading.Thread(target=conn.sendall, args=(data,))
        sender.start()
        digest = hashlib.sha256(read_all(conn)).hexdigest()
        sender.join()
        wanted = hashlib.sha256(data).hexdigest()
        assert [digest] == received == [wanted]
        conn.close()


@in_world
def test_a_slow_reader_holds_up_its_writer_and_nobody_else():
    sent = []

    def handle(conn):
        conn.settimeout(1)
        total = 0
        try:
            while total < 256 << 20:
                total += conn.send(bytes(1 << 20))
        except TimeoutError:
            pass
        sent.append(total)
    server = Server(handle)
    echo = echo_server()
    with Gate([f"{PUBLIC}:{server.port}", f"{PUBLIC}:{echo.port}"]) as gate:
        slow = gate.tunnel(f"{PUBLIC}:{server.port}")
        with gate.tunnel(f"{PUBLIC}:{echo.port}") as conn:
            conn.sendall(b"ping")
            assert receive(conn, 4) == b"ping"
        end = time.monotonic() + 30
        while not sent and time.monotonic() < end:
            time.sleep(0.05)
        assert sent and sent[0] < 64 << 20  # what sockets hold, and no more
        slow.close()


@in_world
def test_event_streams_come_through_unbuffered():
    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(3):
            conn.sendall(b"data: %d\n\n" % i)
            assert go_on.wait(5)
            go_on.clear()
    go_on = threading.Event()
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(f"http://{PUBLIC}:{server.port}/")) as conn:
            read_until(conn, b"data: 0\n\n")
            for i in (1, 2):
                go_on.set()
                assert conn.recv(100) == b"data: %d\n\n" % i
            go_on.set()
            assert conn.recv(100) == b""


@in_world
def test_an_early_answer_reaches_a_client_that_is_still_sending(dns):
    """The server says 413 and closes without reading: the client still gets to read why."""
    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        head = f"POST http://{PUBLIC}:{server.port}/ HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"
        with gate.send(head.encode()) as conn:
            time.sleep(0.2)
            conn.sendall(bytes(50000))
            assert Answer(read_all(conn)).status == 413


def answering(pieces):
    """A server that answers in pieces, then closes; or resets, after a None."""
    def handle(conn):
        read_until(conn)
        for piece in pieces:
            if piece is None:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                conn.close()
                return
            conn.sendall(piece)
            time.sleep(0.01)
    return Server(handle)


OK = b"HTTP/1.1 200 OK\r\n"


ANSWERS = {
    "in pieces": (
        [OK[:3], OK[3:] + b"A: b", b"\r", b"\n\r", b"\nbody", b"\0more"],
        OK + b"A: b\r\nConnection: close\r\n\r\nbody\0more"),
    "interim": (
        [b"HTTP/1.1 100 Continue\r\nConnection: x\r\nX: 1\r\n\r\n"
         b"HTTP/1.1 103 Early\r\nL: 1\r\n\r\n" + OK[:9], OK[9:] + b"\r\nbody"],
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early\r\nL: 1\r\nConnection: close\r\n\r\n"
        + OK + b"Connection: close\r\n\r\nbody"),
    "interim without end": (
        [b"HTTP/1.1 100\r\n\r\n" * 5000 + b"HTTP/1.0 404 \r\n" + b"A:\r\n" * 256 + b"\r\n"],
        b"HTTP/1.1 100\r\n\r\n" * 5000 + b"HTTP/1.1 404 \r\n" + b"A: \r\n" * 256
        + b"Connection: close\r\n\r\n"),
    "name": ([OK + b"\xe9: x\r\n\r\n"], "not allowed there"),
    "space before the colon": ([OK + b"A : b\r\n\r\n"], "white space"),
    "obs-fold": ([OK + b"A: b\r\n c\r\n\r\n"], "folded"),
    "bare LF": ([b"HTTP/1.1 200 OK\nA: b\n\n"], "carriage return"),
    "bare CR": ([OK + b"A: b\rConnection: keep-alive\r\n\r\n"], "line feed"),
    "NUL": ([OK + b"A: \0\r\n\r\n"], "control"),
    "no HTTP": ([b"hello\r\n\r\n"], "first line"),
    "long status": ([b"HTTP/1.1 2000 OK\r\n\r\n"], "first line"),
    "low status": ([b"HTTP/1.1 099 OK\r\n\r\n"], "first line"),
    "HTTP/2": ([b"HTTP/2.0 200 OK\r\n\r\n"], "first line"),
    "upgrade": ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], "nobody asked"),
    "dropped framing": ([OK + b"Connection: Transfer-Encoding\r\n\r\n"], "cannot be dropped"),
    "many headers": ([OK + b"A: b\r\n" * 257 + b"\r\n"], "too many"),
    "endless head": ([OK + b"x" * 32768], "too long"),
    "long head": ([OK + b"A: " + b"x" * 40000 + b"\r\n\r\n"], "too long"),
    "nothing": ([], "without a whole"),
    "half a head": ([OK + b"A: b\r\n"], "without a whole"),
    "a reset": ([OK, None], "without a whole"),
}


@in_world
@pytest.mark.parametrize("case", ANSWERS)
def test_heads_of_answers_are_rewritten_or_refused(case):
    pieces, passed = ANSWERS[case]
    server = answering(pieces)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        answer = gate.ask(get(f"http://{PUBLIC}:{server.port}/"))
        if isinstance(passed, bytes):
            assert answer.raw == passed
        else:
            assert (answer.status, answer.reason) == (502, "bad-answer"), answer.raw
            assert passed in answer.text
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)


@in_world
def test_a_reset_is_a_reset_for_a_client_that_is_still_sending():
    """The error then comes out of the write, and the read behind it finds an end of file."""
    def handle(conn):
        conn.recv(1)
        conn.sendall(b"part of")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        for _ in range(20):
            with gate.tunnel(f"{PUBLIC}:{server.port}") as conn:
                # Behind an orderly end it would be a BrokenPipeError.
                with pytest.raises(ConnectionResetError):
                    while True:
                        conn.sendall(bytes(100))


@in_world
@pytest.mark.parametrize("head", [b"CONNECT %s HTTP/1.1\r\n\r\n",
                                  b"POST http://%s/ HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n"])
def test_a_client_that_gives_up_on_a_stuck_server_is_gone(head):
    over = threading.Event()
    server = Server(lambda conn: over.wait(20))
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        idle = len(os.listdir(f"/proc/{gate.pid}/fd"))
        for _ in range(3):
            with gate.send(head % f"{PUBLIC}:{server.port}".encode()) as conn:
                conn.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    while True:
                        conn.sendall(bytes(1 << 20))
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)
        assert len(os.listdir(f"/proc/{gate.pid}/fd")) == idle
    over.set()
