"""Bulk through caged-gate (harness/gate.py): it arrives whole whatever the reader does, waits in
pipes that are few, and ends when it has to."""

import hashlib
import os
import random
import socket
import threading
import time

import pytest

from harness.gate import PUBLIC, Answer, Gate, Server, in_world, read_all, read_until

MIB = 1 << 20
PIPES_KEPT = 4
PIPES_MAX = 32


def source(size, seed=1):
    """Sends so many bytes and the end to whoever connects, then reads to the end of that."""
    data = random.Random(seed).randbytes(MIB)

    def handle(conn):
        for _ in range(size // MIB):
            conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        server.received.append(read_all(conn))
    server = Server(handle)
    server.target = f"{PUBLIC}:{server.port}"
    server.digest = hashlib.sha256(data * (size // MIB)).digest()
    return server


def pipes(gate):
    """How many pipes the gate has open (its standard error may be one of ours)."""
    links = set()
    for fd in os.listdir(f"/proc/{gate.pid}/fd"):
        if int(fd) <= 2:
            continue
        try:
            links.add(os.readlink(f"/proc/{gate.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith("pipe:") for link in links)


def await_pipes(gate, good, seconds=30):
    end = time.monotonic() + seconds
    while not good(found := pipes(gate)):
        assert time.monotonic() < end, f"{found} pipes"
        time.sleep(0.02)


def digest_of(conn):
    digest = hashlib.sha256()
    while piece := conn.recv(MIB):
        digest.update(piece)
    return digest.digest()


@in_world
def test_a_download_waits_in_a_pipe_and_arrives_whole_before_its_end():
    server = source(64 * MIB)
    with Gate([server.target]) as gate:
        conn = gate.tunnel(server.target)
        await_pipes(gate, lambda n: n == 1)  # nobody reads
        assert digest_of(conn) == server.digest
        conn.sendall(b"thanks")  # the other direction is still open
        conn.shutdown(socket.SHUT_WR)
        while not server.received:
            time.sleep(0.01)
        assert server.received == [b"thanks"]
        assert gate.decision()["allowed"]


@in_world
def test_an_upload_arrives_whole():
    sums = []

    def handle(conn):
        time.sleep(0.5)  # until everything on the way is full
        sums.append(digest_of(conn))
        conn.sendall(b"done")
    server = Server(handle)
    target = f"{PUBLIC}:{server.port}"
    data = random.Random(2).randbytes(48 * MIB)
    with Gate([target]) as gate:
        conn = gate.tunnel(target)
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        assert read_all(conn) == b"done"
        assert sums == [hashlib.sha256(data).digest()]


@in_world
def test_more_downloads_than_pipes_go_on_side_by_side():
    server = source(16 * MIB)
    with Gate([server.target]) as gate:
        conns = [gate.tunnel(server.target) for _ in range(PIPES_MAX + 8)]
        await_pipes(gate, lambda n: n == PIPES_MAX)
        found = []
        threads = [threading.Thread(target=lambda c=c: found.append(digest_of(c))) for c in conns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == [server.digest] * len(conns)
        for conn in conns:
            conn.close()
        await_pipes(gate, lambda n: n <= PIPES_KEPT)


@in_world
def test_a_host_that_is_denied_has_its_downloads_cut():
    server = source(64 * MIB)
    with Gate([server.target]) as gate:
        conns = [gate.tunnel(server.target) for _ in range(2 * PIPES_KEPT)]
        await_pipes(gate, lambda n: n == len(conns))
        cut, decisions = gate.update(["another.example"])
        assert (cut, len(decisions)) == (len(conns), len(conns))
        for conn in conns:
            with pytest.raises(ConnectionResetError):
                read_all(conn)
        await_pipes(gate, lambda n: n <= PIPES_KEPT)


@in_world
def test_clients_that_go_in_a_download_leave_nothing():
    server = source(64 * MIB)
    with Gate([server.target]) as gate:
        for _ in range(3):
            conns = [gate.tunnel(server.target) for _ in range(2 * PIPES_KEPT)]
            await_pipes(gate, lambda n: n == len(conns))
            for conn in conns:
                conn.close()
            await_pipes(gate, lambda n: n <= PIPES_KEPT)


@in_world
@pytest.mark.parametrize("field", ["Content-Length: %d", "X-Length: %d", "Connection: close"])
def test_the_body_of_a_plain_answer_arrives_whole_however_slowly_it_is_read(field):
    data = random.Random(3).randbytes(32 * MIB)

    def handle(conn):
        read_until(conn)
        line = field.replace("%d", str(len(data))).encode()
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n" + data[:24 * MIB])
        conn.sendall(data[24 * MIB:])
        conn.shutdown(socket.SHUT_WR)
        read_all(conn)
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        request = f"GET http://{PUBLIC}:{server.port}/ HTTP/1.1\r\nConnection: close\r\n\r\n"
        conn = gate.send(request.encode())
        time.sleep(0.5)  # until all on the way is full: whether it is or not, what follows holds
        answer = Answer(read_all(conn))
        assert answer.status == 200
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(data).digest()


@in_world
@pytest.mark.parametrize("behind", [MIB // 16, 8 * MIB])
def test_urgent_data_neither_stops_nor_ends_a_download(behind):
    """splice(2) finds nothing in front of urgent data (tcp(7)), or the end if that has come."""
    data = random.Random(3).randbytes(8 * MIB)

    def handle(conn):
        conn.sendall(data)
        conn.send(b"!", socket.MSG_OOB)
        conn.sendall(data[:behind])
        conn.shutdown(socket.SHUT_WR)
        read_all(conn)
    server = Server(handle)
    target = f"{PUBLIC}:{server.port}"
    with Gate([target]) as gate:
        conn = gate.tunnel(target)
        conn.settimeout(60)
        await_pipes(gate, lambda n: n == 1)  # nobody reads
        assert digest_of(conn) == hashlib.sha256(data + data[:behind]).digest()
