"""caged-gate itself, driven as cagedd drives it, in a network of its own with real servers and a
real name server (harness/gate.py): rules, names, addresses, refusals, records, relaying. Its
start-up, confinement and limits are in test_gate_process.py."""

import hashlib
import os
import random
import socket
import struct
import threading
import time

import pytest

from harness.daemon import until
from harness.gate import (METADATA, OWN, PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6, Answer, Gate, Server,
                          dns_of, echo_server, http_server, in_world, read_all, read_answer,
                          read_until, receive)
from harness.gate_waits import begin_waits

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


def get(url, extra=""):
    host = url.split("/")[2]
    return f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode()


def connect_to(target):
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


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


# -- requests that cannot be read without doubt --

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


# -- relaying --


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
