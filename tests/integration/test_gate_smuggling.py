"""Request smuggling, response splitting and their kin, as the literature has them, against
caged-gate: each request is refused with a reason that names the fault, or reaches a real server as
exactly the bytes that are written here; and no server answers a request that it was not sent.

The cases are asked for first on a connection and behind a good request, in one piece and byte by
byte."""

import pytest

from harness.gate import PUBLIC, PUBLIC_2, Answer, Gate, in_world, read_all, read_answer
from harness.http import HttpServer, ok

HOST = f"Host: {PUBLIC}\r\n".encode()
URI = f"http://{PUBLIC}".encode()


def request(line, *fields, body=b""):
    return line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def get(*fields, path=b"/"):
    return request(b"GET " + URI + path + b" HTTP/1.1", *fields)


def post(*fields, body=b"", version=b"1.1"):
    return request(b"POST " + URI + b"/ HTTP/" + version, *fields, body=body)


def chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)


EVIL = get(path=b"/evil")
TE = b"Transfer-Encoding: chunked"
SMUGGLED = b"0\r\n\r\n" + EVIL

# -- what is refused: the request, and what names its fault --

REFUSED = {
    # one end by Content-Length, another by Transfer-Encoding
    "CL.TE": (post(b"Content-Length: 6", TE, body=SMUGGLED), "both Content-Length and"),
    "TE.CL": (post(TE, b"Content-Length: 4", body=SMUGGLED), "both Content-Length and"),
    "CL.TE, zero": (post(b"Content-Length: 0", TE, body=SMUGGLED), "both Content-Length and"),
    "CL.CL, equal": (post(b"Content-Length: 4", b"Content-Length: 4", body=b"body"),
                     "two Content-Length"),
    "CL.CL": (post(b"Content-Length: 4", b"content-length: 0", body=b"body"), "two Content-Length"),
    "CL list": (post(b"Content-Length: 4, 4", body=b"body"), "not one decimal number"),
    "CL sign": (post(b"Content-Length: +4", body=b"body"), "not one decimal number"),
    "CL minus": (post(b"Content-Length: -4", body=b"body"), "not one decimal number"),
    "CL hexadecimal": (post(b"Content-Length: 0x4", body=b"body"), "not one decimal number"),
    "CL two words": (post(b"Content-Length: 4 4", body=b"body"), "not one decimal number"),
    "CL decimal point": (post(b"Content-Length: 4.0", body=b"body"), "not one decimal number"),
    "CL empty": (post(b"Content-Length:", body=b"body"), "not a number"),
    "CL overflow": (post(b"Content-Length: 18446744073709551620", body=b"body"), "far too large"),
    "CL quoted": (post(b'Content-Length: "4"', body=b"body"), "not one decimal number"),
    # 0.CL: a length that one reader does not see
    "0.CL folded": (request(b"GET " + URI + b"/ HTTP/1.1", b" Content-Length: 40", body=EVIL),
                    "folded"),
    "0.CL behind a name": (get(b"X: y", b"\tContent-Length: 40"), "folded"),
    "0.CL NUL": (get(b"Content-Length\0: 40"), "control character"),
    "0.CL space": (get(b"Content-Length : 40"), "white space between"),
    # TE.TE: codings that one reader does not see
    "TE.TE": (post(TE, b"Transfer-Encoding: identity", body=SMUGGLED), "two Transfer-Encoding"),
    "TE.TE, equal": (post(TE, TE, body=SMUGGLED), "two Transfer-Encoding"),
    "TE chunked twice": (post(b"Transfer-Encoding: chunked, chunked", body=SMUGGLED), "behind"),
    "TE chunked, identity": (post(b"Transfer-Encoding: chunked, identity", body=SMUGGLED),
                             "behind"),
    "TE gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=SMUGGLED),
                         "only Transfer-Encoding accepted"),
    "TE identity": (post(b"Transfer-Encoding: identity"), "only Transfer-Encoding accepted"),
    "TE xchunked": (post(b"Transfer-Encoding: xchunked", body=SMUGGLED),
                    "only Transfer-Encoding accepted"),
    "TE chunkedx": (post(b"Transfer-Encoding: chunkedx", body=SMUGGLED),
                    "only Transfer-Encoding accepted"),
    "TE parameter": (post(b"Transfer-Encoding: chunked;q=1", body=SMUGGLED), "not one word"),
    "TE quoted": (post(b'Transfer-Encoding: "chunked"', body=SMUGGLED), "not one word"),
    "TE two words": (post(b"Transfer-Encoding: chunked x", body=SMUGGLED), "not one word"),
    "TE comma first": (post(b"Transfer-Encoding: ,chunked", body=SMUGGLED), "not one word"),
    "TE comma last": (post(b"Transfer-Encoding: chunked,", body=SMUGGLED), "empty element"),
    "TE empty": (post(b"Transfer-Encoding:", body=SMUGGLED), "empty element"),
    "TE space before the colon": (post(b"Transfer-Encoding : chunked", body=SMUGGLED),
                                  "white space between"),
    "TE tab before the colon": (post(b"Transfer-Encoding\t: chunked", body=SMUGGLED),
                                "white space between"),
    "TE vertical tab": (post(b"Transfer-Encoding:\x0bchunked", body=SMUGGLED), "control character"),
    "TE form feed": (post(b"Transfer-Encoding: chunked\x0c", body=SMUGGLED), "control character"),
    "TE NUL": (post(b"Transfer-Encoding: chunked\0", body=SMUGGLED), "control character"),
    "TE folded": (post(b"Transfer-Encoding:", b" chunked", body=SMUGGLED), "empty element"),
    "TE folded behind": (post(b"X: y", b" Transfer-Encoding: chunked", body=SMUGGLED), "folded"),
    "TE behind a bare LF": (post(b"X: y\nTransfer-Encoding: chunked", body=SMUGGLED),
                            "without a carriage return"),
    "TE behind a bare CR": (post(b"X: y\rTransfer-Encoding: chunked", body=SMUGGLED),
                            "without a line feed"),
    "TE name on two lines": (post(b"Transfer-Encoding\r\n: chunked", body=SMUGGLED), "no colon"),
    "TE in HTTP/1.0": (post(TE, body=SMUGGLED, version=b"1.0"), "HTTP/1.0 has no"),
    # framing that Connection takes away
    "hop CL": (post(b"Connection: Content-Length", b"Content-Length: 4", body=b"body"),
               "cannot be dropped"),
    "hop TE": (post(b"Connection: close, transfer-encoding", TE, body=b"0\r\n\r\n"),
               "cannot be dropped"),
    "hop Host": (get(b"Connection: host"), "cannot be dropped"),
    # chunks: their lines, as two readers end them differently
    "chunk, bare LF": (chunked(b"4\nbody\n0\n\n"), "chunked"),
    "chunk, LF behind the size": (chunked(b"4\r\nbody\n0\r\n\r\n"), "chunked"),
    "chunk, bare CR": (chunked(b"4\rbody\r0\r\r"), "chunked"),
    "chunk, CR CR LF": (chunked(b"4\r\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "TERM.EXT": (chunked(b"4;\nxx\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "EXT.TERM": (chunked(b"4;x\ry\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "EXT.TERM, CR first": (chunked(b"4;\rx\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "TERM.SPILL": (chunked(b"4\r\nbodyXX0\r\n\r\n"), "chunked"),
    "SPILL.TERM": (chunked(b"4\r\nbody0\r\n\r\n"), "chunked"),
    "ONE.TWO": (chunked(b"4\r\nbody\rX0\r\n\r\n"), "chunked"),
    "TWO.ONE": (chunked(b"4\r\nbody\r\n\n0\r\n\r\n"), "chunked"),
    "chunk, NUL in the extension": (chunked(b"4;\0\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, hexadecimal mark": (chunked(b"0x4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, plus": (chunked(b"+4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, minus": (chunked(b"-4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, space before": (chunked(b" 4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, space behind": (chunked(b"4 \r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, space before the extension": (chunked(b"4 ;x\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, tab": (chunked(b"4\t\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, underscore": (chunked(b"0_4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, no size": (chunked(b";x\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, empty line": (chunked(b"\r\n4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, overflow": (chunked(b"10000000000000004\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, many zeros": (chunked(b"0" * 16 + b"4\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "chunk, long extension": (chunked(b"4;" + b"x" * 1025 + b"\r\nbody\r\n0\r\n\r\n"), "chunked"),
    "trailer, CL": (chunked(b"0\r\nContent-Length: 40\r\n\r\n"), "chunked"),
    "trailer, TE": (chunked(b"0\r\ntransfer-encoding: chunked\r\n\r\n"), "chunked"),
    "trailer, Host": (chunked(b"0\r\nHost: evil.example\r\n\r\n"), "chunked"),
    "trailer, authorization": (chunked(b"0\r\nAuthorization: x\r\n\r\n"), "chunked"),
    "trailer, folded": (chunked(b"0\r\nX: y\r\n z\r\n\r\n"), "chunked"),
    "trailer, bare LF": (chunked(b"0\r\nX: y\nZ: z\r\n\r\n"), "chunked"),
    "trailer, bare LF last": (chunked(b"0\r\n\n"), "chunked"),
    "trailer, no colon": (chunked(b"0\r\nX\r\n\r\n"), "chunked"),
    "trailer, a request": (chunked(b"0\r\nGET / HTTP/1.1\r\n\r\n"), "chunked"),
    "trailer, space": (chunked(b"0\r\nX : y\r\n\r\n"), "chunked"),
    "trailers, too long": (chunked(b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"), "chunked"),
    # the first line
    "line, trailing space": (request(b"GET " + URI + b"/ HTTP/1.1 "), "HTTP/1.0 or HTTP/1.1"),
    "line, two spaces": (request(b"GET  " + URI + b"/ HTTP/1.1"), "percent-encoded"),
    "line, tabs": (request(b"GET\t" + URI + b"/\tHTTP/1.1"), "first line"),
    "line, leading space": (request(b" GET " + URI + b"/ HTTP/1.1"), "method"),
    "line, leading empty line": (b"\r\n" + get(), "first line"),
    "line, no version": (request(b"GET " + URI + b"/"), "first line"),
    "line, HTTP/0.9": (request(b"GET " + URI + b"/ HTTP/0.9"), "HTTP/1.0 or HTTP/1.1"),
    "line, HTTP/2.0": (request(b"GET " + URI + b"/ HTTP/2.0"), "HTTP/1.0 or HTTP/1.1"),
    "line, HTTP/1.10": (request(b"GET " + URI + b"/ HTTP/1.10"), "HTTP/1.0 or HTTP/1.1"),
    "line, HTTP/01.1": (request(b"GET " + URI + b"/ HTTP/01.1"), "HTTP/1.0 or HTTP/1.1"),
    "line, http/1.1": (request(b"GET " + URI + b"/ http/1.1"), "HTTP/1.0 or HTTP/1.1"),
    "line, HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.0 or HTTP/1.1"),
    "line, method": (request(b"G(T " + URI + b"/ HTTP/1.1"), "method"),
    "line, method with a colon": (request(b"GET: " + URI + b"/ HTTP/1.1"), "method"),
    "line, long method": (request(b"G" * 33 + b" " + URI + b"/ HTTP/1.1"), "method"),
    "line, lower-case connect": (request(b"connect a.example:443 HTTP/1.1"), "neither host:port"),
    "line, two targets": (request(b"GET " + URI + b"/ http://b.example/ HTTP/1.1"),
                          "percent-encoded"),
    "target, origin form": (request(b"GET / HTTP/1.1", HOST[:-2]), "not a web server"),
    "target, two slashes": (request(b"GET //" + PUBLIC.encode() + b"/ HTTP/1.1"),
                            "not a web server"),
    "target, https": (request(b"GET https://a.example/ HTTP/1.1"), "CONNECT host:443"),
    "target, another scheme": (request(b"GET gopher://a.example/ HTTP/1.1"), "neither host:port"),
    "target, userinfo": (request(b"GET http://" + PUBLIC.encode() + b"@b.example/ HTTP/1.1"),
                         "user"),
    "target, userinfo with a port": (request(b"GET http://a:80@b.example/ HTTP/1.1"), "user"),
    "target, no host": (request(b"GET http:///x HTTP/1.1"), "empty"),
    "target, empty port": (request(b"GET " + URI + b":/ HTTP/1.1"), "port"),
    "target, two ports": (request(b"GET " + URI + b":80:80/ HTTP/1.1"), ""),
    "target, port with a zero": (request(b"GET " + URI + b":080/ HTTP/1.1"), "port"),
    "target, port with a sign": (request(b"GET " + URI + b":+80/ HTTP/1.1"), "port"),
    "target, port 0": (request(b"GET " + URI + b":0/ HTTP/1.1"), "port"),
    "target, port 65536": (request(b"GET " + URI + b":65536/ HTTP/1.1"), "port"),
    "target, fragment": (get(path=b"/#x"), "fragment"),
    "target, backslash": (request(b"GET http://" + PUBLIC.encode() + b"\\@b.example/ HTTP/1.1"),
                          ""),
    "target, control": (get(path=b"/\x01"), "control character"),
    "target, NUL": (get(path=b"/\0"), "control character"),
    "target, not ASCII": (get(path=b"/\xff"), "percent-encoded"),
    "target, tab": (get(path=b"/\tx"), "percent-encoded"),
    # fields
    "field, two Hosts": (get(HOST[:-2], b"Host: evil.example"), "two Host"),
    "field, no colon": (get(b"X"), "no colon"),
    "field, no name": (get(b": x"), "not allowed there"),
    "field, name with a space": (get(b"X Y: z"), "not allowed there"),
    "field, name not ASCII": (get(b"X\xe9: z"), "not allowed there"),
    "field, NUL": (get(b"X: \0"), "control character"),
    "field, escape": (get(b"X: \x1b[2J"), "control character"),
    "field, DEL": (get(b"X: \x7f"), "control character"),
    "field, folded": (get(b"X: a", b" b"), "folded"),
    "field, odd Connection": (get(b"Connection: a b"), "not a word"),
    "field, long Connection": (get(b"Connection: " + b",".join(b"x%d" % i for i in range(17))),
                               "too many"),
    "field, odd Upgrade": (get(b"Connection: upgrade", b"Upgrade: web socket"), "no protocol"),
    # CONNECT
    "CONNECT, CL": (request(b"CONNECT a.example:80 HTTP/1.1", b"Content-Length: 4", body=b"body"),
                    "CONNECT has no body"),
    "CONNECT, TE": (request(b"CONNECT a.example:80 HTTP/1.1", TE, body=SMUGGLED),
                    "CONNECT has no body"),
    "CONNECT, userinfo": (request(b"CONNECT user@a.example:80 HTTP/1.1"), "user"),
    "CONNECT, no port": (request(b"CONNECT a.example HTTP/1.1"), "port"),
    "CONNECT, a path": (request(b"CONNECT a.example:80/ HTTP/1.1"), "port"),
    "CONNECT, a URI": (request(b"CONNECT http://a.example:80 HTTP/1.1"), ""),
}
OVERLONG = {
    "line": (get(b"X: " + b"x" * 16384), "a line is too long"),
    "target": (get(path=b"/" + b"x" * 16384), "a line is too long"),
    "fields": (get(*[b"X: y"] * 257), "too many headers"),
    "head": (get(b"X: " + b"x" * 16000, b"Y: " + b"y" * 16000, b"Z: " + b"z" * 1000), ""),
    "Upgrade": (get(b"Upgrade: " + b"x" * 129), "too many protocols"),
}

FIRST = get(path=b"/first")
FIRST_PASSED = request(b"GET /first HTTP/1.1", HOST[:-2])


def say(conn, data, bytewise):
    """Byte by byte as far as that is worth it; a client that is answered meanwhile may be cut."""
    cut = min(len(data), 600) if bytewise else 0
    try:
        for i in range(cut):
            conn.sendall(data[i:i + 1])
        conn.sendall(data[cut:])
    except (BrokenPipeError, ConnectionResetError):
        assert bytewise


@in_world
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_request_in_doubt_is_refused_with_its_fault(case, bytewise):
    data, fault = REFUSED[case]
    server = HttpServer(port=80)
    with Gate([PUBLIC, "a.example", "b.example"]) as gate, gate.connect() as conn:
        conn.sendall(FIRST)
        assert read_answer(conn).body == b"hello"
        assert gate.decision()["allowed"]
        say(conn, data + EVIL, bytewise)
        answer = read_answer(conn)
        assert (answer.status, answer.reason) == (400, "bad-request"), answer.raw
        assert fault in answer.text, answer.text
        assert answer.headers["connection"] == "close"
        decision = gate.decision()
        # A body is read only when its request was allowed.
        assert decision["allowed"] if fault == "chunked" else decision["reason"] == "bad-request"
        gate.no_decision(0.01)
    passed = b"".join(server.connections)
    assert passed.startswith(FIRST_PASSED)
    assert b"/evil" not in passed and passed.count(b"HTTP/1.1") <= 1 + (fault == "chunked")
    assert len(server.requests) == 1  # the broken one is never whole


@in_world
@pytest.mark.parametrize("case", OVERLONG)
def test_a_head_that_is_too_long_is_refused(case):
    data, fault = OVERLONG[case]
    server = HttpServer(port=80)
    with Gate([PUBLIC]) as gate, gate.send(FIRST + data + EVIL) as conn:
        assert read_answer(conn).body == b"hello"
        answer = read_answer(conn)
        assert (answer.status, answer.reason) == (431, "head-too-large")
        assert fault in answer.text and answer.headers["connection"] == "close"
        assert gate.decision()["allowed"]
        assert gate.decision()["reason"] == "head-too-large"
        gate.no_decision(0.01)
    assert server.connections == [FIRST_PASSED]


# -- what passes: the bytes that the server gets, and the answers that the client does --

def passed(line, *fields, body=b""):
    return request(line, HOST[:-2], *fields, body=body)


NEXT = get(path=b"/next")
NEXT_PASSED = passed(b"GET /next HTTP/1.1")
POST = b"POST / HTTP/1.1"
GET = b"GET / HTTP/1.1"
PASSED = {
    # CL.0: what a server that forgets the length would take for a request is its body
    "CL.0": (post(b"Content-Length: %d" % len(EVIL), body=EVIL) + NEXT,
             [passed(POST, b"Content-Length: %d" % len(EVIL), body=EVIL) + NEXT_PASSED], 2),
    "CL.0 with GET": (get(b"Content-Length: %d" % len(EVIL)) + EVIL + NEXT,
                      [passed(GET, b"Content-Length: %d" % len(EVIL), body=EVIL) + NEXT_PASSED], 2),
    # 0.CL: without a body the next bytes are a request, decided by itself
    "0.CL": (post(b"Content-Length: 0") + NEXT, [passed(POST, b"Content-Length: 0") + NEXT_PASSED],
             2),
    "0.CL, no field": (post() + NEXT, [passed(POST) + NEXT_PASSED], 2),
    "0.CL, many zeros": (post(b"Content-Length: 00") + NEXT,
                         [passed(POST, b"Content-Length: 00") + NEXT_PASSED], 2),
    # a name that only some readers take for the same
    "CL with an underscore": (post(b"Content_Length: 40") + NEXT,
                              [passed(POST, b"Content_Length: 40") + NEXT_PASSED], 2),
    "TE in other letters": (post(b"tRANSFER-eNCODING:\t Chunked \t", body=b"4\r\nbody\r\n0\r\n\r\n")
                            + NEXT,
                            [passed(POST, b"tRANSFER-eNCODING: Chunked",
                                    body=b"4\r\nbody\r\n0\r\n\r\n") + NEXT_PASSED], 2),
    "a chunk that is a request": (chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVIL), EVIL)) + NEXT,
                                  [passed(POST, TE, body=b"%x\r\n%s\r\n0\r\n\r\n"
                                          % (len(EVIL), EVIL)) + NEXT_PASSED], 2),
    "an extension and trailers": (chunked(b"4;x=\"a;b\"\r\nbody\r\n0;y\r\nX-Sum: 1\r\n\r\n") + NEXT,
                                  [passed(POST, TE, body=b"4;x=\"a;b\"\r\nbody\r\n0;y\r\n"
                                                         b"X-Sum: 1\r\n\r\n") + NEXT_PASSED], 2),
    # h2c: the wish for another protocol does not go on, so nothing changes
    "h2c": (get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA") + NEXT,
            [passed(GET) + NEXT_PASSED], 2),
    "h2c without Connection": (get(b"Upgrade: h2c") + NEXT, [passed(GET) + NEXT_PASSED], 2),
    "an upgrade with a body": (post(b"Connection: Upgrade", b"Upgrade: websocket",
                                    b"Content-Length: 4", body=b"body") + NEXT,
                               [passed(POST, b"Content-Length: 4", body=b"body") + NEXT_PASSED], 2),
    # Host is the target's, whatever the field says
    "another Host": (get(b"Host: evil.example") + NEXT, [passed(GET) + NEXT_PASSED], 2),
    "a Host that is none": (get(b"Host: a b@c:d") + NEXT, [passed(GET) + NEXT_PASSED], 2),
    # what Connection names goes no further, what it may not name is refused above
    "hop-by-hop": (get(b"Connection: X-Real-IP, close-not, keep-alive", b"X-Real-IP: 127.0.0.1",
                       b"Close-Not: 1", b"Keep-Alive: 5", b"TE: trailers",
                       b"Proxy-Authorization: Basic eDp5", b"Proxy-Connection: keep-alive") + NEXT,
                   [passed(GET) + NEXT_PASSED], 2),
    # bytes that mean something only to those who decode too early
    "encoded line ends": (get(path=b"/%0d%0aX:%20y%00") + NEXT,
                          [passed(b"GET /%0d%0aX:%20y%00 HTTP/1.1") + NEXT_PASSED], 2),
    "dots and slashes": (get(path=b"/a/../b//c/%2e%2e/") + NEXT,
                         [passed(b"GET /a/../b//c/%2e%2e/ HTTP/1.1") + NEXT_PASSED], 2),
    "a value that is not ASCII": (get(b"X: \xe9\xff") + NEXT,
                                  [passed(GET, b"X: \xe9\xff") + NEXT_PASSED], 2),
    "an at sign in a query": (get(path=b"?@evil.example/") + NEXT,
                              [passed(b"GET /?@evil.example/ HTTP/1.1") + NEXT_PASSED], 2),
    # nothing behind the last request of a connection is one
    "pipelined behind close": (get(b"Connection: close") + NEXT,
                               [passed(GET, b"Connection: close")], 1),
    "pipelined behind HTTP/1.0": (request(b"GET " + URI + b"/ HTTP/1.0") + NEXT,
                                  [passed(b"GET / HTTP/1.0", b"Connection: close")], 1),
    "HTTP/1.0 that stays": (request(b"GET " + URI + b"/ HTTP/1.0", b"Connection: keep-alive")
                            + NEXT,
                            [passed(b"GET / HTTP/1.0", b"Connection: close"), NEXT_PASSED], 2),
    "pipelined behind a granted wish": (
        get(b"Connection: Upgrade", b"Upgrade: websocket") + NEXT,
        [passed(GET, b"Connection: Upgrade", b"Upgrade: websocket")], 1),
}


@in_world
@pytest.mark.parametrize("case", PASSED)
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_request_beyond_doubt_passes_as_it_was_read(case, bytewise):
    data, connections, count = PASSED[case]
    server = HttpServer(port=80)
    with Gate([PUBLIC]) as gate, gate.connect() as conn:
        say(conn, data, bytewise)
        for _ in range(count):
            assert read_answer(conn).body == b"hello"
            assert gate.decision()["allowed"]
        gate.no_decision(0.01)
        if count == 1:
            try:
                assert read_all(conn) == b""
            except ConnectionResetError:
                assert bytewise
    assert server.connections == connections


# -- answers of a hostile server --

FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    # what its client gets: an answer with this body, or a refusal that names the fault
    "surplus": (ok() + FORGED, b"hello"),
    "surplus behind chunks": (OK + TE + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + FORGED,
                              b"5\r\nhello\r\n0\r\n\r\n"),
    "surplus behind nothing": (OK + b"Content-Length: 0\r\n\r\n" + FORGED, b""),
    "surplus behind 204": (b"HTTP/1.1 204 No Content\r\n\r\n" + FORGED, b""),
    "surplus behind 304": (b"HTTP/1.1 304 x\r\nContent-Length: 45\r\n\r\n" + FORGED, b""),
    "split head": (OK + b"\r\n" + FORGED, FORGED),  # no length: all of it is the answer
    "two lengths": (OK + b"Content-Length: 0\r\nContent-Length: 45\r\n\r\n" + FORGED,
                    "two Content-Length"),
    "equal lengths": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
                      "two Content-Length"),
    "length list": (OK + b"Content-Length: 5, 5\r\n\r\nhello", "not one decimal"),
    "length sign": (OK + b"Content-Length: +5\r\n\r\nhello", "not one decimal"),
    "CL.TE": (OK + b"Content-Length: 45\r\n" + TE + b"\r\n\r\n0\r\n\r\n" + FORGED,
              "both Content-Length and"),
    "TE.TE": (OK + TE + b"\r\n" + TE + b"\r\n\r\n0\r\n\r\n", "two Transfer-Encoding"),
    "chunked twice": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "behind"),
    "chunked not last": (OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "behind"),
    "TE space": (OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "white space"),
    "TE unknown": (OK + b"Transfer-Encoding: xchunked\r\n\r\n" + FORGED, FORGED),  # to the end
    "TE in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n\r\n0\r\n\r\n" + FORGED, "HTTP/1.0"),
    "204 with a length": (b"HTTP/1.1 204 x\r\nContent-Length: 45\r\n\r\n" + FORGED, "204"),
    "204 with chunks": (b"HTTP/1.1 204 x\r\n" + TE + b"\r\n\r\n0\r\n\r\n", "204"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "carriage return"),
    "bare CR": (OK + b"X: y\rContent-Length: 0\r\n\r\n" + FORGED, "line feed"),
    "NUL": (OK + b"X: \0\r\nContent-Length: 5\r\n\r\nhello", "control"),
    "folded": (OK + b"X: y\r\n Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", "folded"),
    "hop length": (OK + b"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
                   "cannot be dropped"),
    "chunk, bare LF": (OK + TE + b"\r\n\r\n5\nhello\n0\n\n", "chunk"),
    "chunk, TERM.EXT": (OK + TE + b"\r\n\r\n5;\nx\r\nhello\r\n0\r\n\r\n", "chunk"),
    "chunk, overflow": (OK + TE + b"\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", "chunk"),
    "chunk, trailer": (OK + TE + b"\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", "chunk"),
    "101": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + FORGED, "nobody asked for"),
    "100 with a length": (b"HTTP/1.1 100 x\r\nContent-Length: 5\r\n\r\nhello" + FORGED, "interim"),
    "100 with chunks": (b"HTTP/1.1 100 x\r\n" + TE + b"\r\n\r\n0\r\n\r\n" + FORGED, "interim"),
    "199 without end": (b"HTTP/1.1 199 x\r\n\r\n" * 2000 + ok() + FORGED, b"hello"),
    "100 and an end": (b"HTTP/1.1 100 Continue\r\n\r\n", "without a whole answer"),
    "status 099": (b"HTTP/1.1 099 x\r\n\r\n" + FORGED, "first line"),
    "status 600": (b"HTTP/1.1 600 x\r\n\r\n" + FORGED, "first line"),
    "no HTTP": (b"hello\r\n\r\n" + FORGED, "first line"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n" + FORGED, "first line"),
}


@in_world
@pytest.mark.parametrize("case", ANSWERS)
def test_no_server_answers_what_it_was_not_asked(case):
    """Behind the hostile answer the client asks another host, on the same connection if that is
    still there, and the hostile one again."""
    data, wanted = ANSWERS[case]

    def answer(asked, conn):
        conn.sendall(ok(b"genuine") if asked.line.startswith("GET /again") else data)
    hostile = HttpServer(answer, port=80)
    honest = HttpServer(lambda asked, conn: ok(b"honest"), PUBLIC_2, 80)
    with Gate([PUBLIC, PUBLIC_2]) as gate, gate.send(get()) as conn:
        found = read_answer(conn)
        if isinstance(wanted, str):
            refusal = Answer(found.raw[found.raw.rindex(b"HTTP/1.1 "):])
            assert (refusal.status, refusal.reason) == (502, "bad-answer"), found.raw
            assert wanted in refusal.text, refusal.text
        else:
            assert found.raw.endswith(wanted)
            assert found.raw.count(b"forged") == wanted.count(b"forged")
        last = found.raw.rfind(b"\r\nConnection: close\r\n") >= 0
        for uri, body in ((f"http://{PUBLIC_2}/", b"honest"),
                          (f"http://{PUBLIC}/again", b"genuine"), (f"http://{PUBLIC_2}/", b"honest")):
            asked = f"GET {uri} HTTP/1.1\r\n\r\n".encode()
            if last:
                with gate.send(asked) as another:
                    assert read_answer(another).body == body
                continue
            conn.sendall(asked)
            assert read_answer(conn).body == body
        if last:  # and it says nothing more
            assert conn.recv(1) == b""
    assert len(honest.requests) == 2
