"""What passes through caged-gate while it happens: interim answers, event streams, bodies and
answers at the same time, and connections that change to another protocol."""

import socket
import threading

import pytest

from harness.gate import (PUBLIC, Answer, Gate, Server, in_world, read_all, read_answer, read_until,
                          receive)
from harness.http import HttpServer, ok


def post(port, fields):
    return f"POST http://{PUBLIC}:{port}/ HTTP/1.1\r\n{fields}\r\n".encode()


def get(port, fields="", version="1.1"):
    return f"GET http://{PUBLIC}:{port}/ HTTP/{version}\r\n{fields}\r\n".encode()


# -- interim answers --


@in_world
def test_a_client_is_told_to_continue_before_it_sends_its_body():
    def handle(conn):
        head = read_until(conn)
        assert b"Expect: 100-continue\r\n" in head
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        received.append(receive(conn, 4))
        conn.sendall(ok(b"thanks"))
        received.append(read_until(conn))
        conn.sendall(ok(b"again"))
    received = []
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        conn.sendall(post(server.port, "Expect: 100-continue\r\nContent-Length: 4\r\n"))
        assert read_until(conn) == b"HTTP/1.1 100 Continue\r\n\r\n"
        conn.sendall(b"body")
        assert read_answer(conn).body == b"thanks"
        conn.sendall(get(server.port))  # and goes on
        assert read_answer(conn).body == b"again"
    assert received[0] == b"body"


@in_world
def test_an_answer_instead_of_continue_is_the_last():
    """Whether the body follows nobody knows."""
    server = Server(lambda conn: read_until(conn) and conn.sendall(
        b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n") or conn.recv(1))
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(post(server.port, "Expect: 100-continue\r\nContent-Length: 4\r\n")) as conn:
            answer = Answer(read_all(conn))
        assert (answer.status, answer.headers["connection"]) == (417, "close")


@in_world
def test_a_body_that_breaks_behind_continue_is_still_refused():
    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.recv(1)
    server = Server(handle)
    fields = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(post(server.port, fields)) as conn:
        assert read_until(conn) == b"HTTP/1.1 100 Continue\r\n\r\n"
        conn.sendall(b"zz\r\n")
        answer = Answer(read_all(conn))
        assert (answer.status, answer.reason) == (400, "bad-request")


@in_world
def test_early_hints_come_before_the_answer_and_are_no_answer():
    """A client that takes 103 for the answer would take the answer for that to its next request:
    it is told at once that there is none."""
    def answer(_, conn):
        conn.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert seen.wait(15)
        return ok()
    seen = threading.Event()
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(get(server.port) * 2) as conn:
        assert read_until(conn) == \
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: close\r\n\r\n"
        seen.set()
        assert read_all(conn) == \
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


@in_world
def test_an_old_client_gets_no_interim_answer():
    server = HttpServer(lambda request, conn: b"HTTP/1.1 100 Continue\r\n\r\n" + ok())
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        assert gate.ask(get(server.port, version="1.0")).raw == \
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


# -- nothing waits --


@in_world
@pytest.mark.parametrize("framing", ["chunked", "length", "until the end"])
def test_events_pass_as_they_come(framing):
    def wrap(data):
        return b"%x\r\n%s\r\n" % (len(data), data) if framing == "chunked" else data

    def answer(request, conn):
        if request.field("Next"):
            return ok()
        fields = {"chunked": b"Transfer-Encoding: chunked\r\n",
                  "length": b"Content-Length: %d\r\n" % sum(map(len, events)),
                  "until the end": b""}[framing]
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + fields + b"\r\n")
        for event in events:
            conn.sendall(wrap(event))
            assert go_on.wait(15)
            go_on.clear()
        return b"0\r\n\r\n" if framing == "chunked" else b"" if framing == "length" else None
    events = [b"data: %d\n\n" % i for i in range(4)]
    go_on = threading.Event()
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(get(server.port)) as conn:
        rest = read_until(conn).partition(b"\r\n\r\n")[2]
        for event in events:  # each before the next one is made
            wanted = wrap(event)
            assert rest + receive(conn, len(wanted) - len(rest)) == wanted
            rest = b""
            go_on.set()
        if framing == "until the end":
            assert read_all(conn) == b""
        else:
            if framing == "chunked":
                assert receive(conn, 5) == b"0\r\n\r\n"
            conn.sendall(get(server.port, "Next: 1\r\n"))
            assert read_answer(conn).body == b"hello"


@in_world
def test_a_body_and_its_answer_pass_at_the_same_time():
    """What the server says while the request is still coming comes through, piece by piece; the
    connection ends behind it."""
    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            assert receive(conn, 6) == b"1\r\nx\r\n"
            conn.sendall(b"1\r\ny\r\n")
        assert receive(conn, 5) == b"0\r\n\r\n"
        conn.sendall(b"0\r\n\r\n")
        conn.recv(1)
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(post(server.port, "Transfer-Encoding: chunked\r\n")) as conn:
            assert b"\r\nConnection: close\r\n" in read_until(conn)
            for _ in range(3):
                conn.sendall(b"1\r\nx\r\n")
                assert receive(conn, 6) == b"1\r\ny\r\n"
            conn.sendall(b"0\r\n\r\n")
            assert read_all(conn) == b"0\r\n\r\n"


@in_world
@pytest.mark.parametrize("chunked", [True, False])
def test_large_answers_arrive_whole_and_the_connection_goes_on(chunked):
    size = 20_000_000
    data = bytes(range(256)) * (size // 256)

    def answer(_, conn):
        if not chunked:
            return ok(data)
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(data), 99991):
            piece = data[i:i + 99991]
            conn.sendall(b"%X;ext\r\n%s\r\n" % (len(piece), piece))
        return b"0\r\nX-Sum: 1\r\n\r\n"
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for _ in range(2):
            conn.sendall(get(server.port))
            head = read_until(conn)
            head, _, rest = head.partition(b"\r\n\r\n")
            if not chunked:
                assert rest + receive(conn, len(data) - len(rest)) == data
                continue
            whole = rest
            while not whole.endswith(b"0\r\nX-Sum: 1\r\n\r\n"):
                whole += conn.recv(1 << 20)
            got = []
            while not whole.startswith(b"0\r\n"):
                line, _, whole = whole.partition(b"\r\n")
                length = int(line.partition(b";")[0], 16)
                got.append(whole[:length])
                whole = whole[length + 2:]
            assert b"".join(got) == data
    assert len(server.connections) == 1


# -- another protocol --

UPGRADE = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n"


def websocket(conn):
    """A server that changes to "websocket", then sends back what it gets."""
    head = read_until(conn)
    if b"\r\nUpgrade: websocket\r\n" not in head:
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        return
    conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Accept: eA==\r\n\r\nhello")
    while data := conn.recv(65536):
        conn.sendall(data)


@in_world
def test_a_websocket_is_a_tunnel_once_both_want_it():
    server = Server(websocket)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(get(server.port, UPGRADE)) as conn:
        head = read_until(conn)
        head, _, rest = head.partition(b"\r\n\r\n")
        assert head == (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: eA==\r\n"
                        b"Connection: Upgrade\r\nUpgrade: WebSocket")
        assert rest + receive(conn, 5 - len(rest)) == b"hello"
        for frame in (b"\x81\x00\xff", b"GET http://evil.example/ HTTP/1.1\r\n\r\n",
                      b"\0" * 100000):
            conn.sendall(frame)
            assert receive(conn, len(frame)) == frame
        conn.shutdown(socket.SHUT_WR)
        assert read_all(conn) == b""
        assert gate.decision()["method"] == "GET"
        gate.no_decision(0.05)


@in_world
def test_what_is_sent_along_with_a_wish_for_another_protocol_follows_it():
    server = Server(websocket)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(server.port, UPGRADE) + b"\x81early") as conn:
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn).endswith(b"\r\n\r\nhello\x81early")


@in_world
def test_a_wish_for_another_protocol_that_is_not_granted_is_the_last():
    """What its client sent along need not be HTTP, and is nobody's request."""
    server = HttpServer(lambda request, conn: ok())
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(server.port, UPGRADE) + get(server.port)) as conn:
            assert read_all(conn) == \
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        gate.decision()
        gate.no_decision(0.05)
    assert len(server.requests) == 1


@in_world
@pytest.mark.parametrize("fields,passed", [
    (UPGRADE, True),
    ("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", True),
    ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n",
     False),
    ("Connection: Upgrade\r\nUpgrade: H2C\r\n", False),
    ("Upgrade: websocket\r\n", False),
    ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", True),
])
def test_only_what_is_not_http_is_upgraded_to(fields, passed):
    """HTTP in another form (h2c) would carry requests that nobody checks."""
    server = HttpServer()
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        gate.send(get(server.port, fields)).close()
        server.wait(lambda s: s.requests)
    request = server.requests[0]
    assert request.field("Upgrade") == ("websocket" if passed else None)
    assert request.field("Connection") == ("Upgrade" if passed else None)
    assert request.field("HTTP2-Settings") is None


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "


@in_world
@pytest.mark.parametrize("fields,answer", [
    ("", SWITCH + b"websocket\r\n\r\n"),
    ("Connection: Upgrade\r\nUpgrade: h2c\r\n", SWITCH + b"h2c\r\n\r\n"),
    (UPGRADE, SWITCH + b"h2c\r\n\r\n"), (UPGRADE, SWITCH + b"websocket, h2c\r\n\r\n"),
    (UPGRADE, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    (UPGRADE, SWITCH + b"websocket\r\nContent-Length: 5\r\n\r\nhello"),
])
def test_a_protocol_that_nobody_asked_for_is_a_bad_answer(fields, answer):
    server = HttpServer(lambda request, conn: answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        got = gate.ask(get(server.port, fields))
        assert (got.status, got.reason) == (502, "bad-answer")
        assert "asked for" in got.text or "interim" in got.text
