"""caged-gate itself, driven as cagedd drives it, in a network of its own with real servers and a
real name server (harness/gate.py): rules, names, addresses, refusals, forwards and a parent proxy.
What it reads of requests is in test_gate_requests.py, what passes through it in
test_gate_relaying.py; its start-up, confinement and limits are in test_gate_process.py."""

import socket
import time

import pytest

from harness.daemon import until
from harness.gate import (METADATA, OWN, PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6, Answer, Gate, Server,
                          dns_of, echo_server, http_server, in_world, read_all, read_until, receive)
from harness.gate_waits import begin_waits
from harness.requests import connect_to, get

ZONE = {
    "a.example": [PUBLIC],
    "b.a.example": [PUBLIC],
    "two.example": [PUBLIC, PUBLIC_2],
    "v6.example": [PUBLIC_6],
    "both.example": [PUBLIC, PUBLIC_6],
    "mixed.example": [PRIVATE, METADATA, PUBLIC],
    "private.example": [PRIVATE],
    "loopback.example": ["127.0.0.1"],
    "metadata.example": [METADATA],
    "zero.example": ["0.0.0.0"],
    "multicast.example": ["224.0.0.1"],
    "cgnat.example": ["100.64.1.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "mapped-public.example": ["::ffff:11.22.33.44"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::1"],
    "loopback6.example": ["::1"],
    "linklocal6.example": ["fe80::1"],
    "unique-local.example": ["fd00::1"],
    "rebinding.example": [[PUBLIC], ["127.0.0.1"]],
    "empty.example": [],
    "silent.example": "silent",
    "servfail.example": "servfail",
    "many.example": ("truncated", [PUBLIC]),
    "parent.example": [PRIVATE],
    "b.private.example": [PRIVATE],
    "own.example": [OWN],
}


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


dns = dns_of(ZONE)


# -- what is allowed --


@in_world
def test_plain_request_reaches_the_server_rewritten(dns):
    dns()
    server = http_server(b"the answer")
    with Gate([f"a.example:{server.port}"]) as gate:
        answer = gate.ask(
            f"GET http://A.Example.:{server.port}/path?q=1 HTTP/1.1\r\nHost: other.example\r\n"
            "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\n"
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
            "Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-Stays:   spaced value \r\n\r\n".encode())
        assert (answer.status, answer.body) == (200, b"the answer")
        assert gate.decision() == {
            "allowed": True, "method": "GET", "host": "a.example", "port": server.port,
            "address": PUBLIC, "rule": f"a.example:{server.port}", "reason": "ok", "status": 0}
        gate.no_decision()
    assert server.received == [
        f"GET /path?q=1 HTTP/1.1\r\nHost: a.example:{server.port}\r\n"
        "X-Stays: spaced value\r\n\r\n".encode()]


@in_world
def test_default_ports_and_an_empty_path_are_filled_in(dns):
    dns()
    server = http_server(port=80)
    with Gate(["a.example"]) as gate:
        assert gate.ask(get("http://a.example")).status == 200
        assert gate.ask(get("http://a.example?x")).status == 200
        assert gate.ask(b"OPTIONS http://a.example HTTP/1.1\r\n\r\n").status == 200
        assert gate.ask(get("http://a.example:81/")).reason == "host-not-allowed"
    assert sorted(r.split(b"\r\n")[0:2] for r in server.wait_received(3)) == [
        [b"GET / HTTP/1.1", b"Host: a.example"], [b"GET /?x HTTP/1.1", b"Host: a.example"],
        [b"OPTIONS * HTTP/1.1", b"Host: a.example"]]


@in_world
def test_connect_passes_bytes_both_ways(dns):
    dns()
    server = echo_server()
    with Gate([f"*.example:{server.port}"]) as gate:
        with gate.tunnel(f"b.a.example:{server.port}") as conn:
            conn.sendall(b"\x00\x01binary\r\n\r\n")
            assert receive(conn, 12) == b"\x00\x01binary\r\n\r\n"
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
        decision = gate.decision()
        assert (decision["method"], decision["address"]) == ("CONNECT", PUBLIC)


@in_world
def test_bytes_sent_along_with_connect_are_not_lost(dns):
    dns()
    server = echo_server()
    with Gate([f"a.example:{server.port}"]) as gate:
        conn = gate.send(connect_to(f"a.example:{server.port}") + b"early bytes")
        conn.shutdown(socket.SHUT_WR)
        data = read_all(conn)
        assert data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\nearly bytes")
        conn.close()


@in_world
@pytest.mark.parametrize("pattern,target", [
    (PUBLIC, PUBLIC), ("11.22.0.0/16", PUBLIC), (f"[{PUBLIC_6}]", f"[{PUBLIC_6}]"),
    ("[2600:1::]/32", f"[{PUBLIC_6}]"), (PRIVATE, PRIVATE), ("10.0.0.0/8", PRIVATE),
    (METADATA, METADATA), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"),
    ("in-hosts.example", "in-hosts.example"), ("IN-HOSTS-alias.example", "in-hosts-alias.example"),
])
def test_addresses_and_the_hosts_file_need_no_name_server(pattern, target):
    address = "127.0.0.1" if target == "localhost" else target.strip("[]")
    address = PUBLIC if "hosts" in target and target != "localhost" else address
    server = echo_server(address)
    with Gate([f"{pattern}:{server.port}"]) as gate:
        gate.tunnel(f"{target}:{server.port}").close()
        assert gate.decision()["address"] == address


@in_world
def test_localhost_is_reached_by_ipv6():
    server = echo_server("::1")
    with Gate([f"localhost:{server.port}"]) as gate:
        gate.tunnel(f"localhost:{server.port}").close()
        assert gate.decision()["address"] == "::1"


@in_world
def test_private_addresses_are_reached_only_by_private_hosts(dns):
    dns()
    server = echo_server(PRIVATE)
    names = ["private.example", "private-in-hosts.example"]
    with Gate([f"{n}:{server.port}" for n in names], private=names) as gate:
        for name in names:
            gate.tunnel(f"{name}:{server.port}").close()
            assert gate.decision()["address"] == PRIVATE
    with Gate([f"{n}:{server.port}" for n in names]) as gate:
        for name in names:
            assert gate.ask(connect_to(f"{name}:{server.port}")).reason == "address-not-allowed"


@in_world
def test_the_hosts_own_addresses_are_reached_only_if_listed(dns):
    dns()
    server = echo_server(OWN)
    target = f"own.example:{server.port}"
    for allow in ([target], [target, f"11.22.33.0/24:{server.port}"]):
        with Gate(allow) as gate:
            answer = gate.ask(connect_to(target))
            assert (answer.status, answer.reason) == (403, "address-not-allowed")
            assert f"{OWN} is an address of this host" in answer.text
            assert gate.decision()["address"] == OWN
            gate.update([target, f"{OWN}:{server.port}"])
            gate.tunnel(target).close()
            gate.decision()
            gate.update(allow)
            assert gate.ask(connect_to(target)).reason == "address-not-allowed"
    with Gate([target], private=["own.example"]) as gate:
        gate.tunnel(target).close()


@in_world
def test_private_hosts_take_subdomains(dns):
    dns()
    server = echo_server(PRIVATE)
    with Gate([f"*.example:{server.port}"], private=["*.private.example"]) as gate:
        gate.tunnel(f"b.private.example:{server.port}").close()
        assert gate.decision()["address"] == PRIVATE
        assert gate.ask(connect_to(f"private.example:{server.port}")).reason == \
            "address-not-allowed"


@in_world
def test_every_port_is_allowed_by_a_star(dns):
    dns()
    servers = [echo_server(), echo_server()]
    with Gate(["a.example:*"]) as gate:
        for server in servers:
            gate.tunnel(f"a.example:{server.port}").close()
            assert gate.decision()["rule"] == "a.example:*"
        assert gate.ask(connect_to("b.a.example:443")).reason == "host-not-allowed"


@in_world
@pytest.mark.parametrize("allow, denial, target", [
    ("*.example:*", "a.example", "A.Example.:7000"),
    ("a.example:*", "*.example:7000", "a.example:7000"),
    ("*.example:*", "*.a.example", "b.a.example:7000"),
    ("0.0.0.0/0:*", "11.22.0.0/16", f"{PUBLIC}:7000"),
    ("[2000::]/3:*", f"[{PUBLIC_6}]:*", f"[{PUBLIC_6}]:7000"),
    ("localhost:*", "localhost:7000", "localhost:7000"),
    ("127.0.0.1:*", "localhost", "127.0.0.1:7000"),
])
def test_a_denied_host_is_refused_whatever_allows_it(dns, allow, denial, target):
    server = dns()
    with Gate([allow], deny=["other.example", denial], private=["*.example"]) as gate:
        answer = gate.ask(connect_to(target))
        assert (answer.status, answer.reason) == (403, "host-denied")
        assert f'"{denial}"' in answer.text and "denied_hosts" in answer.text
        decision = gate.decision()
        assert (decision["allowed"], decision["reason"], decision["rule"], decision["status"]) == \
            (False, "host-denied", denial, 403)
        assert server.queries == [], "a denied name is not looked up"


@in_world
@pytest.mark.parametrize("name, denial", [
    ("a.example", PUBLIC), ("a.example", "11.0.0.0/8:7000"), ("v6.example", "[2600:1::]/32"),
    ("loopback.example", "localhost"), ("mapped.example", "127.0.0.0/8"),
    ("nat64.example", "127.0.0.1"), ("sixtofour.example", "127.0.0.1"),
    ("private-in-hosts.example", PRIVATE),
])
def test_a_denied_address_is_not_dialled_for_an_allowed_name(dns, name, denial):
    dns()
    with Gate([f"{name}:7000"], deny=[denial], private=[name]) as gate:
        answer = gate.ask(connect_to(f"{name}:7000"))
        assert (answer.status, answer.reason) == (403, "host-denied")
        decision = gate.decision()
        assert (decision["host"], decision["rule"]) == (name, denial)
        assert decision["address"] and decision["address"] in answer.text


@in_world
def test_the_other_addresses_of_a_name_are_still_dialled(dns):
    dns()
    first, second = echo_server(PUBLIC, 7000), echo_server(PUBLIC_2, 7000)
    with Gate(["two.example:7000"], deny=[PUBLIC]) as gate:
        gate.tunnel("two.example:7000").close()
        decision = gate.decision()
        assert (decision["address"], decision["rule"]) == (PUBLIC_2, "two.example:7000")
    until(lambda: second.accepted == 1)
    assert first.accepted == 0


@in_world
def test_a_denial_holds_for_forwards_too():
    server = echo_server("127.0.0.1")
    target = f"127.0.0.1:{server.port}"
    with Gate([target], forwards=[target], deny=[f"localhost:{server.port}"]) as gate:
        try:
            with socket.create_connection(("127.0.0.1", gate.forward_ports[0]), timeout=10) as conn:
                assert conn.recv(1) == b""
        except ConnectionResetError:
            pass
        decision = gate.decision()
        assert (decision["reason"], decision["rule"]) == ("host-denied",
                                                          f"localhost:{server.port}")
    assert server.accepted == 0


@in_world
def test_a_denied_literal_is_not_given_to_a_parent():
    parent = echo_server(PUBLIC_2)
    with Gate([f"{PUBLIC}:*"], parent=f"http://{PUBLIC_2}:{parent.port}", deny=[PUBLIC]) as gate:
        assert gate.ask(connect_to(f"{PUBLIC}:443")).reason == "host-denied"
    assert parent.accepted == 0


@in_world
def test_an_allowed_name_may_lead_to_a_listed_address(dns):
    dns()
    server = echo_server(PRIVATE)
    with Gate([f"private.example:{server.port}", f"10.1.2.0/24:{server.port}"]) as gate:
        gate.tunnel(f"private.example:{server.port}").close()


@in_world
def test_a_private_name_does_not_lead_to_the_metadata_of_a_cloud(dns):
    """Which gives away credentials of the machine: that takes the address itself."""
    dns()
    server = echo_server(METADATA)
    target = f"metadata.example:{server.port}"
    with Gate([target], private=["metadata.example"]) as gate:
        answer = gate.ask(connect_to(target))
        assert answer.reason == "address-not-allowed" and "cloud metadata" in answer.text
    assert server.accepted == 0
    with Gate([target, f"{METADATA}:{server.port}"]) as gate:
        gate.tunnel(target).close()


@in_world
def test_only_good_addresses_of_a_name_are_dialled(dns):
    dns()
    bad = [echo_server(address, 7000) for address in (PRIVATE, METADATA)]
    server = echo_server(PUBLIC, 7000)
    with Gate(["mixed.example:7000"]) as gate:
        gate.tunnel("mixed.example:7000").close()
        assert gate.decision()["address"] == PUBLIC
    assert [s.accepted for s in bad] == [0, 0]


@in_world
def test_the_next_address_is_tried(dns):
    dns()
    server = echo_server(PUBLIC_2)
    with Gate([f"two.example:{server.port}"]) as gate:
        gate.tunnel(f"two.example:{server.port}").close()
        assert gate.decision()["address"] == PUBLIC_2
        gate.no_decision()


@in_world
def test_dns_answers_by_tcp_and_with_ipv6_are_used(dns):
    names = dns()
    server = echo_server()
    six = echo_server(PUBLIC_6)
    with Gate([f"*.example:{server.port}", f"v6.example:{six.port}"]) as gate:
        gate.tunnel(f"many.example:{server.port}").close()
        gate.tunnel(f"v6.example:{six.port}").close()
        assert [gate.decision()["address"] for _ in range(2)] == [PUBLIC, PUBLIC_6]
    assert "many.example" in names.tcp_queries


# -- what is refused --


@in_world
@pytest.mark.parametrize("target", [
    "b.example:443", "a.example:22", "x.a.example:443", "sub.example:443", "a.example.org:443",
    "aa.example:443", f"{PUBLIC}:443", "127.0.0.1:443", "localhost:443", f"{METADATA}:80",
    "[::1]:443", "[::ffff:127.0.0.1]:443", "10.9.9.9:22",
])
def test_what_no_rule_matches_is_refused(dns, target):
    names = dns()
    with Gate(["a.example", "*.sub.example", "10.0.0.0/8:80"]) as gate:
        answer = gate.ask(connect_to(target))
        host, _, port = target.rpartition(":")
        assert (answer.status, answer.reason) == (403, "host-not-allowed")
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"].startswith("text/plain")
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert target in answer.text and "tester" in answer.text
        assert f'add "{target}" to allowed_hosts' in answer.text
        assert gate.decision() == {
            "allowed": False, "method": "CONNECT", "host": host.strip("[]"), "port": int(port),
            "address": "", "rule": "", "reason": "host-not-allowed", "status": 403}
    assert names.queries == []  # no name is ever asked for before it was allowed


@in_world
@pytest.mark.parametrize("name,what", [
    ("private.example", "private"), ("loopback.example", "loopback"),
    ("metadata.example", "cloud metadata"), ("zero.example", "unspecified"),
    ("multicast.example", "multicast"), ("cgnat.example", "shared (CGNAT)"),
    ("mapped.example", "IPv4-mapped"), ("mapped-public.example", "IPv4-mapped"),
    ("nat64.example", "NAT64"), ("sixtofour.example", "6to4"), ("loopback6.example", "loopback"),
    ("linklocal6.example", "link-local"), ("unique-local.example", "private"),
    ("private-in-hosts.example", "private"),
])
def test_an_allowed_name_may_not_lead_to_a_special_address(dns, name, what):
    dns()
    server = echo_server("127.0.0.1", 7001)
    with Gate(["*.example:7001", "0.0.0.0/0:7001", "[::]/0:7001"]) as gate:
        answer = gate.ask(connect_to(f"{name}:7001"))
        assert (answer.status, answer.reason) == (403, "address-not-allowed")
        assert what in answer.text
        decision = gate.decision()
        assert not decision["allowed"] and decision["address"] in answer.text
        assert decision["rule"] == "*.example:7001"
    assert server.accepted == 0


@in_world
def test_a_wide_range_does_not_list_special_addresses():
    with Gate(["0.0.0.0/0:80"]) as gate:
        for address in (METADATA, PRIVATE, "127.0.0.1"):
            assert gate.ask(connect_to(f"{address}:80")).reason == "address-not-allowed"


@in_world
def test_a_name_that_changes_its_address_gets_nowhere(dns):
    """The name is asked for again with each connection, and each answer is checked."""
    dns()
    server = echo_server(PUBLIC, 7002)
    inner = echo_server("127.0.0.1", 7002)
    with Gate(["rebinding.example:7002"]) as gate:
        gate.tunnel("rebinding.example:7002").close()
        assert gate.ask(connect_to("rebinding.example:7002")).reason == "address-not-allowed"
    assert inner.accepted == 0


@in_world
@pytest.mark.parametrize("name,reason,status", [
    ("nowhere.example", "name-not-resolved", 502), ("empty.example", "name-not-resolved", 502),
    ("servfail.example", "name-not-resolved", 502), ("silent.example", "dns-timeout", 504),
])
def test_names_that_do_not_resolve_are_told_apart(dns, name, reason, status):
    dns()
    with Gate(["*.example"]) as gate:
        start = time.monotonic()
        answer = gate.ask(connect_to(f"{name}:443"))
        assert time.monotonic() - start < 12
        assert (answer.status, answer.reason) == (status, reason)
        decision = gate.decision()
        assert (decision["reason"], decision["status"]) == (reason, status)
        assert decision["rule"] == "*.example"


@in_world
def test_without_a_name_server_no_name_resolves():
    with Gate(["a.example"]) as gate:
        assert gate.ask(connect_to("a.example:443")).reason == "name-not-resolved"


@in_world
def test_a_refused_connection_is_told_with_its_address(dns):
    dns()
    with Gate(["*.example"]) as gate:
        answer = gate.ask(connect_to("a.example:443"))
        assert (answer.status, answer.reason) == (502, "dial-failed")
        assert "Connection refused" in answer.text
        decision = gate.decision()
        assert (decision["allowed"], decision["address"]) == (False, PUBLIC)
        gate.no_decision()


# -- forwards --


@in_world
def test_a_forward_carries_bytes_to_the_hosts_loopback():
    server = echo_server("127.0.0.1")
    with Gate([f"localhost:{server.port}"], forwards=[f"127.0.0.1:{server.port}"]) as gate:
        with socket.create_connection(("127.0.0.1", gate.forward_ports[0])) as conn:
            conn.sendall(b"GET / HTTP/1.1\r\nany bytes")
            assert receive(conn, 25) == b"GET / HTTP/1.1\r\nany bytes"
        assert gate.decision() == {
            "allowed": True, "method": "tcp", "host": "127.0.0.1", "port": server.port,
            "address": "127.0.0.1", "rule": f"localhost:{server.port}", "reason": "ok", "status": 0}
        server.close()
        with socket.create_connection(("127.0.0.1", gate.forward_ports[0])) as conn:
            with pytest.raises(ConnectionResetError):
                conn.recv(1)
        assert gate.decision()["reason"] == "dial-failed"


@in_world
def test_a_forward_that_no_rule_lists_is_refused():
    server = echo_server("127.0.0.1")
    with Gate(["a.example"], forwards=[f"127.0.0.1:{server.port}"]) as gate:
        try:
            conn = socket.create_connection(("127.0.0.1", gate.forward_ports[0]))
            assert conn.recv(1) == b""
        except ConnectionResetError:
            pass
        decision = gate.decision()
        assert (decision["reason"], decision["status"]) == ("host-not-allowed", 0)
    assert server.accepted == 0


# -- a parent proxy --


def parent_proxy(reply, seen, address=PRIVATE):
    def handle(conn):
        seen.append(read_until(conn))
        conn.sendall(reply)
        if b" 200" in reply[:16]:
            while data := conn.recv(1 << 16):
                conn.sendall(data)
    return Server(handle, address)


@in_world
@pytest.mark.parametrize("name", [PRIVATE, "parent.example", "private-in-hosts.example"])
def test_a_parent_proxy_is_spoken_to_for_allowed_hosts(dns, name):
    names = dns()
    seen = []
    parent = parent_proxy(b"HTTP/1.1 200 fine\r\nVia: x\r\n\r\nfirst", seen)
    uri = f"http://us%65r:pass@{name}:{parent.port}/"
    with Gate(["a.example", f"{PRIVATE}:1"], parent=uri) as gate:
        with gate.tunnel("a.example:80") as conn:
            conn.sendall(b" more")
            assert receive(conn, 10) == b"first more"
        assert gate.decision()["address"] == PRIVATE
        answer = gate.send(get("http://a.example/x", "Proxy-Authorization: Basic agents\r\n"))
        answer.shutdown(socket.SHUT_WR)
        assert Answer(read_all(answer)).status == 200
        assert gate.decision()["allowed"]
        assert gate.ask(connect_to("b.example:443")).reason == "host-not-allowed"
        assert gate.ask(connect_to(f"{METADATA}:80")).reason == "host-not-allowed"
    authorization = b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"
    assert seen == [
        b"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n" + authorization + b"\r\n",
        b"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n" + authorization + b"\r\n"]
    assert "a.example" not in names.queries  # the parent resolves


@in_world
@pytest.mark.parametrize("reply,text", [
    (b"HTTP/1.1 407 Proxy \x80Authentication\r\n\r\n", '"HTTP/1.1 407 Proxy'),
    (b"HTTP/1.1 403 no\x1b[31m\r\n\r\n", "not HTTP"), (b"SSH-2.0-x\r\n\r\n", 'it said "SSH-2.0-x"'),
    (b"", "without an answer"), (b"HTTP/1.1 200 " + b"x" * 40000, "not HTTP"),
])
def test_the_refusal_of_a_parent_is_told(reply, text):
    parent = parent_proxy(reply, [])
    with Gate(["a.example"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        answer = gate.ask(connect_to("a.example:443"))
        assert (answer.status, answer.reason) == (502, "parent-failed")
        assert text in answer.text and answer.text.isascii() and answer.text.count("\n") == 2
        assert gate.decision()["reason"] == "parent-failed"


@in_world
def test_a_parent_that_is_not_there_is_an_error_and_local_hosts_need_none():
    server = echo_server("127.0.0.1")
    with Gate(["a.example", f"localhost:{server.port}"], parent=f"http://{PRIVATE}:1") as gate:
        assert gate.ask(connect_to("a.example:443")).reason == "parent-failed"
        gate.tunnel(f"localhost:{server.port}").close()  # never by way of a parent
