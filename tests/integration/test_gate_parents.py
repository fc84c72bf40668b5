"""A parent proxy behind the gate: Debian's squid and tinyproxy themselves, for tunnels and for plain http,
and parents that fail in every way. What is allowed, and the records, stay the gate's."""

import hashlib
import http.server
import re
import socket
import subprocess
import threading

import pytest

from harness import tls
from harness.gate import (METADATA, PRIVATE, PUBLIC, PUBLIC_6, Dns, Gate, Server, add_server,
                          echo_server, http_server, in_world, read_all, read_until, receive)
from harness.gate_waits import begin_waits, waited
from harness.parents import KINDS
from harness.requests import connect_to, get

USER, PASSWORD = "agents", "a-word.4711"  # tinyproxy takes no other characters
BASIC = b"Basic YWdlbnRzOmEtd29yZC40NzEx"
STRANGE, STRANGE_BASIC = "us er:p:w %41 \\", b"Basic dXMgZXI6cDp3ICU0MSBc"
ZONE = {"a.example": [PUBLIC], "b.example": [PUBLIC], "parent.example": [PRIVATE],
        "parent6.example": [PUBLIC_6]}

kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


def names():
    """The names of ZONE, for parents and gates alike."""
    server = Dns(ZONE)
    add_server(server)
    return server


class Web:
    """An HTTP/1.1 server that keeps connections, and notes each request's line and headers."""

    def __init__(self, address=PUBLIC):
        outer = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.requestline, self.headers.items()))
                size = int(self.path.rsplit("/", 1)[1]) if self.path.startswith("/bytes/") else 0
                body = pattern(size) if size else f"path {self.path}".encode()
                self.answer(body)

            def do_POST(self):
                outer.requests.append((self.requestline, self.headers.items()))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(hashlib.sha256(body).hexdigest().encode())

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        add_server(self)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def pattern(size):
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def with_user(parent_class, gate_knows=True):
    parent = parent_class(user=USER, password=PASSWORD)
    return parent, {"parent": parent.uri,
                    "parent_auth": f"{USER}:{PASSWORD}" if gate_knows else None}


def until_decided(gate):
    """The decision, as far as these tests look."""
    found = gate.decision()
    return {key: found[key] for key in ("allowed", "method", "host", "address", "rule", "reason")}


def curl(gate, *arguments, **options):
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", "--proxy",
                           f"http://127.0.0.1:{gate.port}", *arguments],
                          capture_output=True, check=False, **options)


# -- real ones --


@in_world
@kinds
@pytest.mark.parametrize("authorization", [False, True])
def test_a_real_parent_carries_tunnels_and_plain_http(kind, authorization):
    names()
    web = Web()
    server = echo_server()
    if authorization:
        parent, settings = with_user(KINDS[kind])
    else:
        parent, settings = KINDS[kind](), {}
        settings = {"parent": parent.uri}
    with Gate(["a.example:*"], **settings) as gate:
        with gate.tunnel(f"a.example:{server.port}") as conn:
            conn.sendall(b"there and back")
            assert receive(conn, 14) == b"there and back"
        assert until_decided(gate) == {
            "allowed": True, "method": "CONNECT", "host": "a.example", "address": PRIVATE,
            "rule": "a.example:*", "reason": "ok"}
        done = curl(gate, f"http://a.example:{web.port}/x")
        assert (done.returncode, done.stdout) == (0, b"path /x"), done
        assert until_decided(gate) == {
            "allowed": True, "method": "GET", "host": "a.example", "address": PRIVATE,
            "rule": "a.example:*", "reason": "ok"}
        parent.until_logged(f"CONNECT a.example:{server.port}", f"GET http://a.example:{web.port}/x")
    (line, headers), = web.requests
    assert line.startswith("GET /x ")
    assert dict(headers)["Host"] == f"a.example:{web.port}"
    assert not any(name.lower().startswith("proxy-") for name, _ in headers), headers


@in_world
@kinds
@pytest.mark.parametrize("given", [f"{USER}:wrong", f"nobody:{PASSWORD}", None])
def test_a_real_parent_that_does_not_know_the_gate_is_told_of(kind, given):
    """The agent could do nothing with the parent's 407: for it the proxy is the gate. (Of a wrong
    user tinyproxy says 401, which to a plain request might as well be the server's own word.)"""
    names()
    server = echo_server()
    status = "401" if kind == "tinyproxy" and given else "407"
    parent, settings = with_user(KINDS[kind])
    with Gate(["a.example:*"], **{**settings, "parent_auth": given}) as gate:
        answer = gate.ask(connect_to(f"a.example:{server.port}"))
        assert (answer.status, answer.reason) == (502, "parent-failed")
        assert re.search(rf'it said "HTTP/1\.[01] {status} ', answer.text), answer.text
        assert until_decided(gate)["reason"] == "parent-failed"
        answer = gate.ask(get(f"http://a.example:{server.port}/", "Connection: close\r\n"))
        if status == "407":
            assert (answer.status, answer.reason) == (502, "parent-failed"), answer.raw
            assert re.search(r'it said "HTTP/1\.[01] 407 ', answer.text), answer.text
            assert "proxy-authenticate" not in answer.headers
        else:
            assert answer.status == 401
    assert server.accepted == 0
    assert PASSWORD not in answer.text


@in_world
@kinds
def test_what_a_real_parent_cannot_reach_is_its_answer(kind):
    """A tunnel fails with the parent's words; to a plain request the parent answers itself."""
    names()
    parent = KINDS[kind]()
    with Gate(["a.example:*", "none.example:*"], parent=parent.uri) as gate:
        answer = gate.ask(connect_to("a.example:1"))
        assert (answer.status, answer.reason) == (502, "parent-failed")
        assert 'it said "HTTP/1.' in answer.text and " 50" in answer.text, answer.text
        answer = gate.ask(get("http://none.example/", "Connection: close\r\n"))
        assert answer.status in (500, 502, 503, 504) and answer.reason is None, answer.raw


@in_world
@kinds
def test_large_bodies_pass_a_real_parent_unharmed(kind, tmp_path):
    """Of plain uploads as large as the others squid 5.7 breaks off three in a hundred, whoever sends
    them: curl alone fares no better. Those are smaller."""
    names()
    web = Web()
    parent, settings = with_user(KINDS[kind])
    size = 20_000_000
    with Gate(["a.example:*"], **settings) as gate:
        for way, up in ([], 500_000 if kind == "squid" else size), (["--proxytunnel"], size):
            (tmp_path / "body").write_bytes(pattern(up))
            done = curl(gate, *way, "--data-binary", f"@{tmp_path / 'body'}", "-H", "Expect:",
                        f"http://a.example:{web.port}/up")
            assert done.returncode == 0, (way, done.stderr)
            assert done.stdout == hashlib.sha256(pattern(up)).hexdigest().encode(), (way, done.stdout)
            done = curl(gate, *way, f"http://a.example:{web.port}/bytes/{size}")
            assert done.returncode == 0 and done.stdout == pattern(size), (way, done.stderr)


@in_world
@kinds
def test_tls_passes_the_gate_and_a_real_parent_to_its_server(kind):
    """curl checks the server's certificate: nobody on the way could have answered."""
    names()
    tls.web_server(443)
    parent, settings = with_user(KINDS[kind])
    with Gate(["a.example"], **settings) as gate:
        done = curl(gate, "--cacert", tls.certificate(), "https://a.example/")
        assert (done.returncode, done.stdout) == (0, b"secret"), done
        assert until_decided(gate)["allowed"]
        parent.until_logged("CONNECT a.example:443")


@in_world
@kinds
def test_a_real_parent_gets_many_requests_of_one_client(kind):
    """Each with its own record, and each to the host that it is for."""
    names()
    web = Web()
    parent, settings = with_user(KINDS[kind])
    urls = [f"http://{host}.example:{web.port}/{n}" for n in range(4) for host in "ab"]
    with Gate(["a.example:*", "b.example:*"], **settings) as gate:
        done = curl(gate, *urls)
        assert done.returncode == 0, done
        assert done.stdout == b"".join(f"path /{n}".encode() * 2 for n in range(4))
        assert [gate.decision()["host"] for _ in urls] == ["a.example", "b.example"] * 4
    hosts = [dict(headers)["Host"] for _, headers in web.requests]
    assert hosts == [f"a.example:{web.port}", f"b.example:{web.port}"] * 4


@in_world
@kinds
def test_what_is_not_allowed_never_reaches_a_real_parent(kind):
    names()
    web = Web()
    parent, settings = with_user(KINDS[kind])
    with Gate(["a.example:*", f"{PRIVATE}:1"], deny=["a.example:1"], **settings) as gate:
        for target, reason in ((f"b.example:{web.port}", "host-not-allowed"),
                               ("a.example:1", "host-denied"),
                               (f"{METADATA}:80", "host-not-allowed"),
                               (f"{PRIVATE}:{parent.port}", "host-not-allowed")):
            for request in (connect_to(target), get(f"http://{target}/")):
                answer = gate.ask(request)
                assert (answer.status, answer.reason) == (403, reason), target
        assert curl(gate, f"http://a.example:{web.port}/last").stdout == b"path /last"
    parent.until_logged("a.example")
    log = parent.log()
    assert "b.example" not in log and METADATA not in log and "a.example:1/" not in log
    assert len(web.requests) == 1


@in_world
@kinds
@pytest.mark.parametrize("address, called", [
    (PRIVATE, [PRIVATE, "parent.example", "private-in-hosts.example"]),
    (PUBLIC_6, [f"[{PUBLIC_6}]", "parent6.example"]), ("::1", ["[::1]"]),
    ("127.0.0.1", ["localhost"])])
def test_a_real_parent_is_found_by_name_and_by_address(kind, address, called):
    names()
    server = echo_server()
    parent = KINDS[kind](address)
    for name in called:
        with Gate(["a.example:*"], parent=f"http://{name}:{parent.port}") as gate:
            with gate.tunnel(f"a.example:{server.port}") as conn:
                conn.sendall(b"echo")
                assert receive(conn, 4) == b"echo"
            assert gate.decision()["address"] == address


@in_world
def test_a_name_of_a_parent_leads_to_no_metadata_service():
    """Whoever runs its zone could lead it there; the address itself is for the policy to hold."""
    add_server(Dns({"parent.example": [METADATA], "both.example": [METADATA, PRIVATE]}))
    server = echo_server()
    service = Server(lambda conn: read_until(conn) and conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), METADATA)
    with Gate(["a.example:*"], parent=f"http://parent.example:{service.port}") as gate:
        refused = gate.ask(connect_to(f"a.example:{server.port}"))
        assert (refused.status, refused.reason) == (502, "parent-failed")
        assert METADATA in refused.text
        assert gate.decision()["address"] == METADATA
    with Gate(["a.example:*"], parent=f"http://both.example:{service.port}") as gate:
        gate.ask(connect_to(f"a.example:{server.port}"))
        assert gate.decision()["address"] == PRIVATE
    assert service.accepted == 0
    with Gate(["a.example:*"], parent=f"http://{METADATA}:{service.port}") as gate:
        gate.tunnel(f"a.example:{server.port}").close()
        assert gate.decision()["address"] == METADATA


# -- what a parent is told --


def noting_parent(answers, address=PRIVATE):
    """Notes the head of each request on each connection, and gives one answer after the other."""
    left = list(answers)

    def handle(conn):
        while left and (head := read_until(conn)):
            server.heads.append(head)
            conn.sendall(left.pop(0))
            if b"\r\nconnection: close" in head.lower():
                return
    server = Server(handle, address)
    server.heads = []
    return server


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@in_world
@pytest.mark.parametrize("auth", [None, f"{USER}:{PASSWORD}"])
def test_the_agents_own_authorization_goes_nowhere(auth):
    """What it says of proxies is for the gate, in every spelling; the parent hears the card's user
    or none. Names are the parent's to resolve, the parent's own is the gate's."""
    asked = names()
    parent = noting_parent([OK, OK, OK])
    with Gate(["a.example"], parent=f"http://parent.example:{parent.port}",
              parent_auth=auth) as gate:
        for spelling in ("Proxy-Authorization", "proxy-authorization", "PROXY-AUTHORIZATION"):
            answer = gate.ask(get("http://a.example/x", f"{spelling}: Basic agents\r\n"
                                  "Connection: close\r\nHost-Of-Mine: kept\r\n"))
            assert (answer.status, answer.body) == (200, b"ok")
    expected = [b"Basic " + BASIC.split()[1]] if auth else []
    assert len(parent.heads) == 3
    for head in parent.heads:
        lines = head.split(b"\r\n")
        assert lines[0] == b"GET http://a.example/x HTTP/1.1"
        assert lines.count(b"Host: a.example") == 1
        assert b"Host-Of-Mine: kept" in lines
        found = [line.split(b": ", 1)[1] for line in lines
                 if line.lower().startswith(b"proxy-authorization:")]
        assert found == expected, head
    assert set(asked.queries) == {"parent.example"}


@in_world
def test_a_wrong_host_header_is_replaced_for_a_parent():
    names()
    parent = noting_parent([OK])
    with Gate(["a.example"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        answer = gate.ask(b"GET http://A.Example./x?y HTTP/1.1\r\nHost: evil.example\r\n"
                          b"Connection: close\r\n\r\n")
        assert answer.status == 200
    head, = parent.heads
    assert head.startswith(b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n")
    assert b"evil" not in head


@in_world
def test_one_connection_of_an_agent_gives_the_parent_each_request_anew():
    """Two requests for two hosts: each in absolute form, with its own Host and the card's user."""
    names()
    parent = noting_parent([OK, OK])
    with Gate(["a.example", "b.example"], parent=f"http://{PRIVATE}:{parent.port}",
              parent_auth=f"{USER}:{PASSWORD}") as gate:
        done = curl(gate, "http://a.example/1", "http://b.example/2")
        assert (done.returncode, done.stdout) == (0, b"okok"), done
        assert [gate.decision()["host"] for _ in "12"] == ["a.example", "b.example"]
    assert [head.split(b"\r\n")[:2] for head in parent.heads] == [
        [b"GET http://a.example/1 HTTP/1.1", b"Host: a.example"],
        [b"GET http://b.example/2 HTTP/1.1", b"Host: b.example"]]
    assert all(head.count(b"Proxy-Authorization: " + BASIC) == 1 for head in parent.heads)


@in_world
@pytest.mark.parametrize("settings, basic", [
    ({"user": f"{USER}:a-word%2e4711@"}, BASIC), ({"user": "us%20er:p:w%20%2541%20%5c@"}, STRANGE_BASIC),
    ({"auth": f"{USER}:{PASSWORD}"}, BASIC), ({"auth": STRANGE}, STRANGE_BASIC)])
def test_a_user_is_given_as_it_is_from_a_uri_and_from_a_file(settings, basic):
    """Percent signs mean something in a URI alone."""
    names()
    parent = noting_parent([b"HTTP/1.1 200 go\r\n\r\n"])
    with Gate(["a.example"], parent_auth=settings.get("auth"),
              parent=f"http://{settings.get('user', '')}{PRIVATE}:{parent.port}") as gate:
        gate.tunnel("a.example:443").close()
    assert b"\r\nProxy-Authorization: " + basic + b"\r\n" in parent.heads[0]


# -- parents that fail --


@in_world
def test_a_parent_that_is_down_is_an_error_for_both_kinds_of_requests():
    """And no other way is tried, though the host itself is there."""
    names()
    server = http_server()
    with Gate([f"a.example:{server.port}"], parent=f"http://{PRIVATE}:1") as gate:
        for request in (connect_to(f"a.example:{server.port}"),
                        get(f"http://a.example:{server.port}/")):
            answer = gate.ask(request)
            assert (answer.status, answer.reason) == (502, "parent-failed")
            assert "Connection refused" in answer.text
            assert until_decided(gate) == {
                "allowed": False, "method": request.split()[0].decode(), "host": "a.example",
                "address": PRIVATE, "rule": f"a.example:{server.port}", "reason": "parent-failed"}
    assert server.received == []


@in_world
@pytest.mark.parametrize("name", ["none.example", "empty.example"])
def test_a_parent_whose_name_leads_nowhere_is_an_error(name):
    ZONE["empty.example"] = []
    names()
    with Gate(["a.example"], parent=f"http://{name}:3128") as gate:
        for request in (connect_to("a.example:443"), get("http://a.example/")):
            answer = gate.ask(request)
            assert (answer.status, answer.reason) == (502, "parent-failed")
            assert "the name of the parent proxy could not be resolved" in answer.text


@in_world
@pytest.mark.parametrize("reply", [
    b"garbage\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"\0" * 100, b"HTTP/1.1 200 " + b"x" * 40000,
    b"HTTP/1.1 20x OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y", b"", b"HTTP/1.1 200 OK\r\n folded\r\n\r\n"])
def test_what_is_no_answer_is_not_passed_on(reply):
    """As an answer to a plain request; of tunnels see test_gate.py."""
    def handle(conn):
        read_until(conn)
        conn.sendall(reply)

    parent = Server(handle, PRIVATE)
    with Gate(["a.example"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        answer = gate.ask(get("http://a.example/"))
        assert (answer.status, answer.reason) == (502, "bad-answer"), answer.raw[:200]
        assert gate.decision()["host"] == "a.example"


@in_world
def test_what_a_parent_says_behind_its_yes_is_the_tunnels():
    """At once, and more than the gate reads at a time."""
    many = pattern(300_000)

    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n" + many)
        conn.shutdown(socket.SHUT_WR)
        read_all(conn)

    parent = Server(handle, PRIVATE)
    with Gate(["a.example:25"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        with gate.tunnel("a.example:25") as conn:
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == many


def test_a_parent_that_never_answers_is_given_up():
    answer, seconds = waited("parent_that_hangs")
    assert (answer.status, answer.reason) == (502, "parent-failed")
    assert "it did not answer in time" in answer.text
    assert 19 < seconds < 40
