"""Requests that caged-gate cannot read without doubt, which it refuses and never passes on, and their
bodies, which arrive whole. (Many more: test_gate_smuggling.py.)"""

import hashlib
import random
import time

import pytest

from harness.gate import (PUBLIC, Answer, Gate, Server, dns_of, http_server, in_world, read_all,
                          read_answer, read_until)

dns = dns_of({"a.example": [PUBLIC]})

SMUGGLING = {
    "origin form": b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "https": b"GET https://a.example/ HTTP/1.1\r\n\r\n",
    "other scheme": b"GET ftp://a.example/ HTTP/1.1\r\n\r\n",
    "no version": b"GET http://a.example/\r\n\r\n",
    "old version": b"GET http://a.example/ HTTP/0.9\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "empty line first": b"\r\nGET http://a.example/ HTTP/1.1\r\n\r\n",
    "two spaces": b"GET  http://a.example/ HTTP/1.1\r\n\r\n",
    "tab": b"GET\thttp://a.example/\tHTTP/1.1\r\n\r\n",
    "lower-case connect": b"connect a.example:443 HTTP/1.1\r\n\r\n",
    "bare LF": b"GET http://a.example/ HTTP/1.1\nHost: a.example\n\n",
    "bare LF inside": b"GET http://a.example/ HTTP/1.1\r\nX: 1\nY: 2\r\n\r\n",
    "bare CR": b"GET http://a.example/ HTTP/1.1\r\nX: 1\rY: 2\r\n\r\n",
    "NUL": b"GET http://a.example/ HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "NUL in the host": b"GET http://a.example\x00.evil/ HTTP/1.1\r\n\r\n",
    "control": b"GET http://a.example/ HTTP/1.1\r\nX: a\x0bb\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "obs-fold": b"GET http://a.example/ HTTP/1.1\r\nX: 1\r\n two\r\n\r\n",
    "space before the colon": b"GET http://a.example/ HTTP/1.1\r\nHost : a.example\r\n\r\n",
    "no colon": b"GET http://a.example/ HTTP/1.1\r\nHost\r\n\r\n",
    "empty name": b"GET http://a.example/ HTTP/1.1\r\n: x\r\n\r\n",
    "two hosts": b"GET http://a.example/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\n"
                   b"Content-Length: 1\r\n\r\n",
    "length list": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
    "length sign": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
    "length hex": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
    "length overflow": b"POST http://a.example/ HTTP/1.1\r\n"
                       b"Content-Length: 18446744073709551617\r\n\r\n",
    "CL and TE": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 5\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two TE": b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
              b"Transfer-Encoding: identity\r\n\r\n",
    "TE list": b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "TE xchunked": b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "TE in 1.0": b"POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Connection names the length": b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\n"
                                   b"Connection: content-length\r\n\r\nx",
    "userinfo": b"GET http://a.example@b.example/ HTTP/1.1\r\n\r\n",
    "userinfo in CONNECT": b"CONNECT user@a.example:443 HTTP/1.1\r\n\r\n",
    "no port": b"CONNECT a.example HTTP/1.1\r\n\r\n",
    "port 0": b"CONNECT a.example:0 HTTP/1.1\r\n\r\n",
    "port too large": b"CONNECT a.example:65536 HTTP/1.1\r\n\r\n",
    "port with zeros": b"CONNECT a.example:0443 HTTP/1.1\r\n\r\n",
    "port text": b"CONNECT a.example:https HTTP/1.1\r\n\r\n",
    "two ports": b"CONNECT a.example:443:80 HTTP/1.1\r\n\r\n",
    "URI to CONNECT": b"CONNECT http://a.example/ HTTP/1.1\r\n\r\n",
    "body with CONNECT": b"CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
    "octal": b"CONNECT 0177.0.0.1:80 HTTP/1.1\r\n\r\n",
    "hexadecimal": b"CONNECT 0x7f.0.0.1:80 HTTP/1.1\r\n\r\n",
    "one number": b"CONNECT 2130706433:80 HTTP/1.1\r\n\r\n",
    "short": b"CONNECT 127.1:80 HTTP/1.1\r\n\r\n",
    "zone id": b"CONNECT [fe80::1%25eth0]:80 HTTP/1.1\r\n\r\n",
    "percent": b"CONNECT a%2eexample:80 HTTP/1.1\r\n\r\n",
    "fragment": b"GET http://a.example/#x HTTP/1.1\r\n\r\n",
    "backslash in the host": b"GET http://a.example\\@b.example/ HTTP/1.1\r\n\r\n",
    "non-ASCII": "GET http://a.exämple/ HTTP/1.1\r\n\r\n".encode(),
}


@in_world
@pytest.mark.parametrize("case", SMUGGLING)
def test_an_ambiguous_request_is_refused_and_never_passed_on(dns, case):
    dns()
    server = http_server(port=80)
    with Gate(["*.example", "0.0.0.0/0", "127.0.0.1"]) as gate:
        answer = gate.ask(SMUGGLING[case])
        assert (answer.status, answer.reason) == (400, "bad-request"), answer.raw
        decision = gate.decision()
        assert (decision["allowed"], decision["reason"]) == (False, "bad-request")
        gate.no_decision(0.02)
    assert server.accepted == 0


@in_world
def test_refusals_of_wrong_requests_say_what_to_do():
    with Gate() as gate:
        assert "CONNECT" in gate.ask(SMUGGLING["https"]).text
        assert "not a web server" in gate.ask(SMUGGLING["origin form"]).text


@in_world
def test_a_head_too_large_is_refused(dns):
    dns()
    server = http_server(port=80)
    start = b"GET http://a.example/ HTTP/1.1\r\nX: "
    with Gate(["a.example"]) as gate:
        line = b"x" * (16 * 1024 - 3) + b"\r\n"
        fits = start + line + b"Y: "
        fits += b"y" * (32 * 1024 - len(fits) - 4) + b"\r\n\r\n"
        assert gate.ask(fits).status == 200
        answer = gate.ask(start + line + b"Y: " + b"y" * (16 * 1024))
        assert (answer.status, answer.reason) == (431, "head-too-large")
        answer = gate.ask(start + b"x" + line + b"\r\n")
        assert answer.reason == "head-too-large" and "a line is too long" in answer.text
        target = b"GET http://a.example/" + b"x" * (16 * 1024) + b" HTTP/1.1\r\n\r\n"
        assert "a line is too long" in gate.ask(target).text
        answer = gate.ask(b"GET http://a.example/ HTTP/1.1\r\n" + b"A: b\r\n" * 257 + b"\r\n")
        assert answer.reason == "head-too-large" and "too many headers" in answer.text
    assert server.accepted == 1


@in_world
@pytest.mark.parametrize("first,second", [
    (b"GET http://a.example/1 HTTP/1.1\r\n\r\n", b""),
    (b"POST http://a.example/1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", b"body"),
    (b"POST http://a.example/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"4;x=y\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n", b"body\r\n0\r\nX-Sum: 1\r\n\r\n"),
])
def test_a_second_request_is_decided_by_itself(dns, first, second):
    dns()
    evil = b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    server = http_server(port=80)
    with Gate(["a.example"]) as gate:
        for together in (True, False):
            with gate.send(first + evil * together) as conn:
                assert read_answer(conn).body == b"hello"
                assert gate.decision()["allowed"]
                conn.sendall(evil * (not together))
                assert read_answer(conn).reason == "host-not-allowed"
                decision = gate.decision()
                assert (decision["allowed"], decision["host"]) == (False, "evil.example")
        gate.no_decision()
    for received in server.wait_received(2):
        assert received.endswith(second) and b"evil" not in received


@in_world
@pytest.mark.parametrize("body", [
    b"zz\r\n", b"\r\n", b"-1\r\n", b"0x4\r\nbody\r\n", b"4 \r\nbody\r\n", b"4\nbody\n0\n\n",
    b"4\r\nbodyX\r\n", b"ffffffffffffffff\r\n", b"4;\x00\r\n", b"0\r\n folded\r\n\r\n",
    b"0\r\nA\rB\r\n\r\n", b"4\r\nbody\r\n\r\n",
])
def test_broken_chunks_are_refused(dns, body):
    dns()

    def handle(conn):
        received.append(read_all(conn))
    received = []
    server = Server(handle, port=80)
    request = b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Gate(["a.example"]) as gate:
        assert gate.ask(request + body).reason == "bad-request"
        with gate.send(request) as conn:
            time.sleep(0.1)
            conn.sendall(body)
            assert Answer(read_all(conn)).reason == "bad-request"


@in_world
def test_bodies_of_every_framing_arrive_whole(dns):
    dns()
    received = []

    def handle(conn):
        head = read_until(conn)
        rest = head.partition(b"\r\n\r\n")[2]
        while len(rest) < size:
            rest += conn.recv(1 << 20)
        received.append(hashlib.sha256(rest).hexdigest())
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    server = Server(handle, port=80)
    plain = random.Random(1).randbytes(3_000_000)
    chunked = b"".join(b"%X\r\n%s\r\n" % (len(p), p) for p in
                       (plain[i:i + 77777] for i in range(0, len(plain), 77777))) + b"0\r\n\r\n"
    with Gate(["a.example"]) as gate:
        for header, body in ((b"Content-Length: 3000000", plain),
                             (b"Transfer-Encoding: Chunked", chunked)):
            size = len(body)
            answer = gate.ask(b"POST http://a.example/ HTTP/1.1\r\n" + header + b"\r\n\r\n" + body)
            assert answer.status == 200
            assert received.pop() == hashlib.sha256(body).hexdigest()
