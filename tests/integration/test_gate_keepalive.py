"""Several plain http requests on one connection to caged-gate: each is decided and recorded by
itself, and no answer is ever given to another request than the one that the server was sent."""

import socket
import struct
import subprocess
import threading

import pytest

from harness.gate import (PUBLIC, PUBLIC_2, Answer, Gate, Server, in_world, read_all, read_answer,
                          read_until)
from harness.gate_waits import begin_waits, waited
from harness.http import HttpServer, ok


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


def get(port, path="/", fields="", address=PUBLIC, version="1.1", method="GET"):
    return f"{method} http://{address}:{port}{path} HTTP/{version}\r\n{fields}\r\n".encode()


def raw(port, path="/", fields="", address=PUBLIC, version="1.1", method="GET"):
    """What reaches the server of that."""
    return (f"{method} {path} HTTP/{version}\r\nHost: {address}:{port}\r\n{fields}\r\n").encode()


def echo_path(request, _):
    return ok(request.line.split(" ")[1].encode())


def exchange(conn, data):
    conn.sendall(data)
    return read_answer(conn, data.startswith(b"HEAD "))


def is_over(conn):
    conn.settimeout(15)
    return conn.recv(1) == b""


# -- what stays and what does not --


@in_world
def test_requests_for_one_host_share_both_connections():
    server = HttpServer(echo_path)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for i in range(5):
            answer = exchange(conn, get(server.port, f"/{i}"))
            assert answer.raw == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/%d" % i
            assert gate.decision() == {
                "allowed": True, "method": "GET", "host": PUBLIC, "port": server.port,
                "address": PUBLIC, "rule": f"{PUBLIC}:{server.port}", "reason": "ok", "status": 0}
        gate.no_decision(0.02)
    assert server.connections == [b"".join(raw(server.port, f"/{i}") for i in range(5))]


@in_world
def test_each_request_is_checked_by_itself():
    """A refused one does not end the connection, and reaches nobody."""
    server = HttpServer(echo_path)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for _ in range(2):
            assert exchange(conn, get(server.port, "/yes")).body == b"/yes"
            assert gate.decision()["allowed"]
            answer = exchange(conn, get(server.port, "/no", address=PUBLIC_2))
            assert (answer.status, answer.reason) == (403, "host-not-allowed")
            assert "connection" not in answer.headers
            decision = gate.decision()
            assert (decision["allowed"], decision["host"], decision["address"]) \
                == (False, PUBLIC_2, "")
    assert b"/no" not in b"".join(server.connections)


@in_world
def test_a_connection_to_one_server_serves_no_other():
    one, two = HttpServer(echo_path), HttpServer(echo_path, PUBLIC_2)
    with Gate([f"{PUBLIC}:{one.port}", f"{PUBLIC_2}:{two.port}"]) as gate, gate.connect() as conn:
        for path in ("/1", "/2"):
            assert exchange(conn, get(one.port, path)).body == path.encode()
            assert exchange(conn, get(two.port, path, address=PUBLIC_2)).body == path.encode()
    assert one.connections == [raw(one.port, "/1"), raw(one.port, "/2")]
    assert two.connections == [raw(two.port, path, address=PUBLIC_2) for path in ("/1", "/2")]


@in_world
def test_another_clients_connection_is_never_shared():
    server = HttpServer(echo_path)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as a, gate.connect() as b:
        assert exchange(a, get(server.port, "/a")).body == b"/a"
        assert exchange(b, get(server.port, "/b")).body == b"/b"
    assert sorted(server.connections) == [raw(server.port, "/a"), raw(server.port, "/b")]


@in_world
def test_a_connect_behind_a_request_has_a_connection_of_its_own():
    server = HttpServer(echo_path)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        assert exchange(conn, get(server.port, "/1")).body == b"/1"
        conn.sendall(f"CONNECT {PUBLIC}:{server.port} HTTP/1.1\r\n\r\n".encode())
        assert read_until(conn).startswith(b"HTTP/1.1 200 ")
        assert exchange(conn, raw(server.port, "/2")).body == b"/2"
        assert [gate.decision()["method"] for _ in range(2)] == ["GET", "CONNECT"]
    assert server.connections == [raw(server.port, "/1"), raw(server.port, "/2")]


BODIES = {
    "length": ("Content-Length: 4\r\n", b"body"),
    "chunked": ("Transfer-Encoding: chunked\r\n",
                b"3;x=y\r\nbod\r\n1\r\ny\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "no length": ("Content-Length: 0\r\n", b""),
}


@in_world
@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("step", [1, 7, 10000])
def test_the_next_request_begins_where_the_body_ends(case, step):
    fields, body = BODIES[case]
    server = HttpServer(echo_path)
    requests = get(server.port, "/1", fields, method="POST") + body + get(server.port, "/2")
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(requests), step):
            conn.sendall(requests[i:i + step])
        assert [read_answer(conn).body for _ in range(2)] == [b"/1", b"/2"]
        assert [gate.decision()["method"] for _ in range(2)] == ["POST", "GET"]
    assert server.connections == [
        raw(server.port, "/1", fields, method="POST") + body + raw(server.port, "/2")]


@in_world
def test_pipelined_requests_are_sent_one_at_a_time():
    """And answered in their order, refused ones too."""
    def answer(request, conn):
        conn.settimeout(0.1)
        try:
            early.append(request.came_along + conn.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            early.append(request.came_along)
        conn.settimeout(None)
        return echo_path(request, conn)
    early = []
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(b"".join(get(server.port, f"/{i}") if i != 2 else get(1) for i in range(5))
                       ) as conn:
            conn.shutdown(socket.SHUT_WR)
            answers = [read_answer(conn) for _ in range(5)]
            assert is_over(conn)
        assert [a.body for a in answers if a.status == 200] == [b"/0", b"/1", b"/3", b"/4"]
        assert answers[2].reason == "host-not-allowed"
        assert [gate.decision()["allowed"] for _ in range(5)] == [True, True, False, True, True]
    assert early == [b""] * 4


@in_world
def test_a_client_that_reads_none_of_its_answers_gets_them_all():
    """Thousands of pipelined requests, refused at once: what a full socket does not take waits."""
    count = 5000
    counted = []
    with Gate() as gate:
        conn = gate.connect()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender = threading.Thread(target=conn.sendall, args=(get(1, "/x") * count,), daemon=True)
        sender.start()
        gate.control.settimeout(3)
        try:  # it does not go on for ever without being read
            while True:
                gate.take(gate.message())
        except TimeoutError:
            assert 0 < sum(d["count"] for d in gate.decisions) < count
        gate.control.settimeout(15)
        reader = threading.Thread(target=lambda: counted.append(gate.counted(count)))
        reader.start()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        one = read_answer(conn)
        assert one.reason == "host-not-allowed"
        got = 0
        while got < (count - 1) * len(one.raw):
            piece = conn.recv(1 << 20)
            assert piece
            got += len(piece)
        sender.join(20)
        reader.join(20)
        assert got == (count - 1) * len(one.raw)
        conn.close()
    assert counted == [{("refused", "host-not-allowed"): count}]


@in_world
def test_requests_wait_until_records_are_taken():
    """The recorder's socket is full: no next request begins, and all go on when it is read."""
    server = HttpServer(echo_path)
    asked = 300
    with Gate([f"{PUBLIC}:{server.port}"], record_buffer=4608) as gate:
        conn = gate.send(b"".join(get(server.port + i % 2, f"/{i}") for i in range(asked)))
        server.wait(lambda s: s.requests)
        with pytest.raises(AssertionError):  # and then it waits
            server.wait(lambda s: len(s.requests) > asked / 4, 1)
        assert gate.counted(asked) == {("allowed", "ok"): asked / 2,
                                       ("refused", "host-not-allowed"): asked / 2}
        answers = [read_answer(conn) for _ in range(asked)]
        conn.close()
    assert [a.status for a in answers] == [200, 403] * (asked // 2)
    assert [a.body for a in answers[::2]] == [b"/%d" % i for i in range(0, asked, 2)]


# -- a server that is hostile, or gone --


@in_world
def test_what_follows_an_answer_is_no_answer():
    """Surplus bytes end the server's connection: neither another host nor the same one speaks by
    them."""
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    hostile = HttpServer(lambda request, conn: ok(b"genuine") + forged)
    other = HttpServer(lambda request, conn: ok(b"honest"), PUBLIC_2)
    with Gate([f"{PUBLIC}:{hostile.port}", f"{PUBLIC_2}:{other.port}"]) as gate:
        with gate.connect() as conn:
            for _ in range(3):
                assert exchange(conn, get(hostile.port)).body == b"genuine"
                assert exchange(conn, get(other.port, address=PUBLIC_2)).body == b"honest"
            assert exchange(conn, get(hostile.port)).body == b"genuine"
            assert exchange(conn, get(hostile.port)).body == b"genuine"
    assert hostile.accepted == 5


@in_world
def test_what_comes_before_the_next_request_is_no_answer():
    """The same, a while behind the answer: the gate hangs up as soon as it hears it."""
    def answer(request, conn):
        conn.sendall(ok(b"genuine"))
        if request.line.startswith("GET /1 "):
            assert read_on.wait(15)
            conn.sendall(ok(b"forged"))
            try:
                assert read_all(conn) == b""
            except ConnectionResetError:
                pass
            return None
        return b""
    read_on = threading.Event()
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        assert exchange(conn, get(server.port, "/1")).body == b"genuine"
        read_on.set()
        server.wait(lambda s: s.ended == 1)
        assert exchange(conn, get(server.port, "/2")).body == b"genuine"
    assert server.connections == [raw(server.port, "/1"), raw(server.port, "/2")]


FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
NO_BODY = {
    "HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 78\r\n\r\n"),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 78\r\n\r\n"),
}


@in_world
@pytest.mark.parametrize("case", NO_BODY)
@pytest.mark.parametrize("surplus", [b"", FORGED])
def test_answers_without_a_body_have_none(case, surplus):
    method, head = NO_BODY[case]
    server = HttpServer(lambda request, conn: head + surplus if request.line.startswith(method)
                        and request.line.endswith("/1 HTTP/1.1") else ok(b"next"))
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        conn.sendall(get(server.port, "/1", method=method))
        assert read_answer(conn, True).raw == head
        assert exchange(conn, get(server.port, "/2")).body == b"next"
    assert server.accepted == (2 if surplus else 1)


@in_world
@pytest.mark.parametrize("reset", [False, True])
def test_a_kept_connection_that_died_is_made_anew(reset):
    def answer(request, conn):
        conn.sendall(ok(request.line.encode()))
        if reset:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        else:
            conn.shutdown(socket.SHUT_RDWR)
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for i in range(20):  # some find it dead before the next request, some with it
            assert exchange(conn, get(server.port, f"/{i}")).body == b"GET /%d HTTP/1.1" % i
            server.wait(lambda s, n=i + 1: s.ended == n)
            assert gate.decision()["allowed"]
        gate.no_decision(0.02)
    assert server.accepted == 20


@in_world
def test_a_request_that_was_sent_is_never_sent_again():
    """The server ends with the second request unanswered: the client, whose connection ends
    likewise, knows whether it may ask once more. On a connection that was new it is told."""
    def answer(request, _):
        return ok() if request.line.startswith("GET /1 ") else None
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.connect() as conn:
            assert exchange(conn, get(server.port, "/1")).status == 200
            conn.sendall(get(server.port, "/2"))
            assert is_over(conn)
        answer = gate.ask(get(server.port, "/2"))
        assert (answer.status, answer.reason) == (502, "bad-answer")
        assert "without a whole answer" in answer.text
        assert [gate.decision()["allowed"] for _ in range(3)] == [True] * 3
    assert [r.line for r in server.requests] == [
        f"GET /{i} HTTP/1.1" for i in (1, 2, 2)]


@in_world
def test_a_server_that_says_close_is_not_used_again():
    server = HttpServer(lambda request, conn: ok(fields=b"Connection: close\r\n"))
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for _ in range(3):
            assert "connection" not in exchange(conn, get(server.port)).headers
    assert server.accepted == 3


@in_world
def test_an_old_server_is_not_used_again():
    server = HttpServer(lambda request, conn: b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for _ in range(3):
            assert exchange(conn, get(server.port)).raw == \
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    assert server.accepted == 3


# -- the end of the client's connection --


@in_world
@pytest.mark.parametrize("fields,version,said", [
    ("Connection: close\r\n", "1.1", "close"), ("Connection: x, Close\r\n", "1.1", "close"),
    ("Proxy-Connection: close\r\n", "1.1", "close"), ("", "1.0", "close"),
    ("Connection: keep-alive\r\n", "1.0", "keep-alive"), ("", "1.1", None),
    ("Connection: keep-alive\r\n", "1.1", None),
])
@pytest.mark.parametrize("allowed", [True, False])
def test_the_client_decides_whether_its_connection_stays(fields, version, said, allowed):
    server = HttpServer(lambda request, conn: ok(fields=b"Keep-Alive: timeout=5\r\n"))
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        conn.sendall(get(server.port if allowed else 1, "/", fields, version=version))
        head = read_until(conn)
        answer = Answer(head)
        assert answer.status == (200 if allowed else 403)
        assert answer.headers.get("connection") == said
        assert "keep-alive" not in answer.headers
        if said == "close":
            read_all(conn)
        else:
            conn.sendall(get(server.port))
            body = read_until(conn)
            assert b"HTTP/1.1 200 OK\r\n" in body


@in_world
def test_an_answer_without_an_end_is_the_last():
    def answer(_, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(server.port) * 2) as conn:
            assert read_all(conn) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"
        gate.decision()
        gate.no_decision(0.05)


@in_world
@pytest.mark.parametrize("start,rest", [
    (b"Content-Length: 10\r\n\r\npart", b""),
    (b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", b""),
    (b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", b"zz\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", b"0\r\nContent-Length: 4\r\n\r\n"),
])
def test_an_answer_that_breaks_off_ends_the_connection(start, rest):
    def answer(_, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + start)
        assert seen.wait(15)
        conn.sendall(rest)
    seen = threading.Event()
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(get(server.port) * 2) as conn:
        got = read_until(conn, b"part")
        seen.set()
        got += read_all(conn)
        assert got == b"HTTP/1.1 200 OK\r\n" + start


@in_world
def test_an_answer_that_is_broken_at_once_is_refused():
    server = HttpServer(lambda request, conn:
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        answer = gate.ask(get(server.port))
        assert (answer.status, answer.reason) == (502, "bad-answer")
        assert "chunk" in answer.text


@in_world
def test_a_stream_without_an_end_that_is_reset_is_reset():
    """Nothing else tells its client that it is not whole."""
    def answer(_, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\npart")
        assert seen.wait(15)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    seen = threading.Event()
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.send(get(server.port)) as conn:
        read_until(conn, b"part")
        seen.set()
        with pytest.raises(ConnectionResetError):
            conn.recv(1)


@in_world
def test_an_answer_before_the_whole_request_is_the_last():
    """Else what is left of the body would be the next request."""
    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        read_all(conn)
    server = Server(handle)
    evil = get(server.port, "/evil")
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(server.port, "/", f"Content-Length: {len(evil) + 1}\r\n", method="POST")
                       ) as conn:
            assert read_until(conn) == \
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
            conn.sendall(evil)
            try:
                assert read_all(conn) == b""
            except ConnectionResetError:
                pass
        gate.decision()
        gate.no_decision(0.1)


@in_world
@pytest.mark.parametrize("fields,body", [("Content-Length: 4\r\n", b"body"),
                                         ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n")])
def test_a_refused_request_with_a_body_is_the_last(fields, body):
    with Gate() as gate:
        with gate.send(get(1, "/", fields, method="POST") + body + get(1)) as conn:
            answer = Answer(read_all(conn))
        assert answer.headers["connection"] == "close"
        assert len(answer.body) == int(answer.headers["content-length"])
        gate.decision()
        gate.no_decision(0.05)


@in_world
def test_a_refused_tunnel_is_the_last():
    """What its client sends along need not be HTTP."""
    with Gate() as gate:
        answer = Answer(read_all(gate.send(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n" + get(1))))
        assert answer.headers["connection"] == "close"
        assert gate.decision()["method"] == "CONNECT"
        gate.no_decision(0.05)


@in_world
def test_a_refused_head_request_has_no_body():
    with Gate() as gate, gate.connect() as conn:
        answer = exchange(conn, get(1, method="HEAD"))
        assert (answer.status, answer.body) == (403, b"")
        assert int(answer.headers["content-length"]) > 0
        assert exchange(conn, get(1)).status == 403


def test_a_connection_that_waits_too_long_is_closed():
    """60 s (GATE_KEEPALIVE_TIMEOUT) behind its last answer, and without a word."""
    said, seconds = waited("idle_behind_an_answer")
    assert said == b""
    assert 59 < seconds < 75


# -- how each request ends, as it is recorded --


def end_of(gate, method="GET"):
    end = gate.end(method=method)
    return end["reason"], end["bytes_up"], end["bytes_down"]


@in_world
def test_each_request_has_its_own_end():
    server = HttpServer(echo_path)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        for i in range(3):
            path = f"/{'x' * i}"
            answer = exchange(conn, get(server.port, path))
            end = gate.end()
            decision = gate.record()
            assert end["request"] == decision["request"] == 2 * i + 1
            assert (end["reason"], end["host"], end["address"], end["rule"]) == (
                "closed", PUBLIC, PUBLIC, f"{PUBLIC}:{server.port}")
            assert end["bytes_up"] == len(raw(server.port, path))
            assert end["bytes_down"] == len(answer.raw)
            assert exchange(conn, get(1)).status == 403
            assert gate.record()["request"] == 2 * i + 2
        assert not gate.ends


@in_world
def test_ends_say_who_ended_it():
    def answer(request, conn):
        if request.field("How") == "bad":
            return b"hello\r\n\r\n"
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        return b"" if request.field("How") == "wait" else None
    server = HttpServer(answer)
    url = f"{PUBLIC}:{server.port}"
    with Gate([url]) as gate:
        assert gate.ask(get(server.port, "/", "How: bad\r\n")).reason == "bad-answer"
        assert gate.end()["reason"] == "bad-answer"
        with gate.send(get(server.port)) as conn:
            assert read_all(conn).endswith(b"part")
        assert end_of(gate)[0] == "server-gone"
        with gate.send(get(server.port, "/", "How: wait\r\n")) as conn:
            read_until(conn, b"part")
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert end_of(gate)[0] == "client-gone"
        with gate.send(get(server.port, "/", "How: wait\r\n")) as conn:
            read_until(conn, b"part")
            assert gate.update(["a.example"])[0] == 1
            assert end_of(gate)[0] == "cut"
            with pytest.raises(ConnectionResetError):
                conn.recv(1)
        gate.update([url])
        broken = get(server.port, "/", "Transfer-Encoding: chunked\r\n", method="POST")
        assert gate.ask(broken + b"zz\r\n").reason == "bad-request"
        assert end_of(gate, "POST")[0] == "bad-request"
        with gate.send(broken + b"1\r\n") as conn:
            server.wait(lambda s: s.connections[-1].endswith(b"1\r\n"))
            conn.sendall(b"zz\r\n")
            assert read_answer(conn).reason == "bad-request"
        assert end_of(gate, "POST")[0] == "bad-request"
        conn = gate.send(get(server.port, "/", "How: wait\r\n"))
        read_until(conn, b"part")
        gate.control.shutdown(socket.SHUT_WR)
        assert end_of(gate)[0] == "gate-ended"
        conn.close()


@in_world
def test_an_upgraded_request_ends_with_its_tunnel():
    def answer(_, conn):
        conn.sendall(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        conn.sendall(read_all(conn))
    server = HttpServer(answer)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        with gate.send(get(server.port, "/", "Connection: Upgrade\r\nUpgrade: x\r\n")) as conn:
            read_until(conn)
            assert not gate.ends
            conn.sendall(b"y" * 1000)
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"y" * 1000
        reason, up, down = end_of(gate)
        assert reason == "closed" and up > 1000 and down > 1000


# -- other rules --


@in_world
def test_other_rules_hold_for_the_next_request_at_once():
    server = HttpServer(echo_path)
    rule = f"{PUBLIC}:{server.port}"
    with Gate([rule]) as gate, gate.connect() as conn:
        assert exchange(conn, get(server.port, "/1")).body == b"/1"
        gate.decision()
        assert gate.update([f"{PUBLIC}:1", rule])[0] == 0  # it is still allowed, and stays
        assert exchange(conn, get(server.port, "/2")).body == b"/2"
        gate.decision()
        assert server.accepted == 1
        assert gate.update(["a.example"])[0] == 0  # nothing was under way
        server.wait(lambda s: s.ended == 1)  # what was kept is not any more
        assert exchange(conn, get(server.port, "/3")).reason == "host-not-allowed"
        assert not gate.decision()["allowed"]
        gate.update([rule])
        assert exchange(conn, get(server.port, "/4")).body == b"/4"
    assert server.connections == [raw(server.port, "/1") + raw(server.port, "/2"),
                                  raw(server.port, "/4")]


@in_world
def test_a_request_that_is_held_does_not_hold_the_next_ones_connection():
    """Behind one that was allowed, an unknown host waits for an operator; then all goes on."""
    one, two = HttpServer(echo_path), HttpServer(echo_path, PUBLIC_2)
    rules = [f"{PUBLIC}:{one.port}", f"{PUBLIC_2}:{two.port}"]
    with Gate(rules[:1], ask=60) as gate, gate.connect() as conn:
        assert exchange(conn, get(one.port, "/1")).body == b"/1"
        assert gate.decision()["allowed"]
        conn.sendall(get(two.port, "/2", address=PUBLIC_2) + get(one.port, "/3"))
        assert gate.record()["verdict"] == "held"
        one.wait(lambda s: s.ended == 1)
        gate.update(rules)
        assert [read_answer(conn).body for _ in range(2)] == [b"/2", b"/3"]
        conn.sendall(get(1))
        while gate.record()["verdict"] != "held":
            pass
        gate.update(rules, deny=[f"{PUBLIC}:1"])  # denied while it was held
        assert read_answer(conn).reason == "host-denied"
        assert exchange(conn, get(one.port, "/4")).body == b"/4"


@in_world
def test_curl_gets_two_pages_over_one_connection():
    server = HttpServer(echo_path)
    url = f"http://{PUBLIC}:{server.port}/"
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        result = subprocess.run(
            ["curl", "--silent", "--verbose", "--max-time", "20", "--proxy",
             f"http://127.0.0.1:{gate.port}", url + "1", url + "2"],
            capture_output=True, check=True, text=True)
    assert result.stdout == "/1/2"
    assert "Re-using existing connection" in result.stderr
    assert len(server.connections) == 1
