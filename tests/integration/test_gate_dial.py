"""Happy eyeballs (RFC 8305) of caged-gate: which addresses of a name are tried, when, how many at
once, and what becomes of those that lose. In the network of harness/gate.py, where some addresses
have no answer of any kind. What takes seconds is in test_gate_process.py."""

import os
import socket
import time

import pytest

from harness.daemon import until
from harness.gate import (PUBLIC, PUBLIC_6, VOIDS, VOID_6, Gate, dns_of, echo_server, in_world)

NO_ROUTE_6 = "2600:99::1"  # connect(2) says at once that it is unreachable
ZONE = {
    "both.example": [PUBLIC, PUBLIC_6],
    "void6.example": [PUBLIC, VOID_6],
    "void4.example": [VOIDS[0], PUBLIC_6],
    "unreachable6.example": [PUBLIC, NO_ROUTE_6],
    "last.example": [*VOIDS[:3], PUBLIC],
    "five.example": VOIDS,
    "many.example": [f"12.0.1.{i}" for i in range(1, 20)] + [PUBLIC_6],
    "many6.example": [f"2600:12::1:{i:x}" for i in range(1, 20)] + [PUBLIC],
    "private6.example": [PUBLIC, "fd00::1"],
}
dns = dns_of(ZONE)


def connect_head(target):
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


def reset(conn):
    """An orderly end would be one of the client's direction alone."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    conn.close()


def descriptors(gate):
    return len(os.listdir(f"/proc/{gate.pid}/fd"))


def address_of(gate, target):
    """That a tunnel to the target was made to, and how long it took."""
    start = time.monotonic()
    gate.tunnel(target).close()
    return gate.decision()["address"], time.monotonic() - start


@in_world
def test_ipv6_is_tried_first_and_ipv4_not_at_all_if_that_answers(dns):
    dns()
    servers = [echo_server(PUBLIC, 7000), echo_server(PUBLIC_6, 7000)]
    with Gate(["both.example:7000"]) as gate:
        for _ in range(3):
            assert address_of(gate, "both.example:7000")[0] == PUBLIC_6
    assert servers[0].accepted == 0


@in_world
@pytest.mark.parametrize("name", ["both.example", "unreachable6.example", "private6.example"])
def test_what_fails_at_once_is_followed_at_once(dns, name):
    dns()
    server = echo_server()  # and nobody listens at the other address
    with Gate([f"{name}:{server.port}"]) as gate:
        address, seconds = address_of(gate, f"{name}:{server.port}")
        assert address == PUBLIC
        assert seconds < 4


@in_world
def test_without_an_answer_the_other_family_is_tried_and_remembered(dns):
    """The first waits a quarter of a second for IPv6. A gate that did not learn would wait so for
    each of them."""
    dns()
    server = echo_server()
    with Gate([f"void6.example:{server.port}"]) as gate:
        address, seconds = address_of(gate, f"void6.example:{server.port}")
        assert address == PUBLIC
        assert 0.24 < seconds < 4.5, "neither at once nor after the 5 s of one address"
        start = time.monotonic()
        for _ in range(40):
            assert address_of(gate, f"void6.example:{server.port}")[0] == PUBLIC
        assert time.monotonic() - start < 9


@in_world
def test_the_family_that_wins_later_is_remembered_in_turn(dns):
    dns()
    server, server6 = echo_server(PUBLIC, 7000), echo_server(PUBLIC_6, 7000)
    with Gate(["*.example:7000"]) as gate:
        assert address_of(gate, "void6.example:7000")[0] == PUBLIC
        assert address_of(gate, "both.example:7000")[0] == PUBLIC
        assert address_of(gate, "void4.example:7000")[0] == PUBLIC_6
        assert address_of(gate, "both.example:7000")[0] == PUBLIC_6
    until(lambda: server.accepted == server6.accepted == 2)


@in_world
def test_four_are_tried_at_once_and_the_losers_are_closed(dns):
    dns()
    server = echo_server()
    with Gate([f"last.example:{server.port}"]) as gate:
        before = descriptors(gate)
        conn = gate.tunnel(f"last.example:{server.port}")
        assert gate.decision()["address"] == PUBLIC
        assert gate.dialling() == []
        conn.sendall(b"ping")
        assert conn.recv(4) == b"ping"
        conn.close()
        until(lambda: descriptors(gate) <= before + 1)  # the resolver may keep its socket


@in_world
def test_no_more_than_four_of_one_request_are_tried_at_once(dns):
    dns()
    with Gate(["five.example"]) as gate:
        conn = gate.send(connect_head("five.example:443"))
        until(lambda: gate.dialling() == VOIDS[:4])
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert len(gate.dialling()) <= 4
        reset(conn)
        assert gate.decision()["reason"] == "client-gone"
        assert gate.dialling() == []


@in_world
def test_attempts_of_all_requests_are_bounded_and_each_has_one(dns):
    """100 clients times four would be 400 sockets: it is one for each and 128 more."""
    dns()
    with Gate(["five.example"]) as gate:
        conns = [gate.send(connect_head("five.example:443")) for _ in range(100)]
        until(lambda: len(gate.dialling()) >= 228, 30)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert len(gate.dialling()) <= 228
        for conn in conns:
            reset(conn)
        until(lambda: gate.dialling() == [], 30)
        for _ in conns:
            assert gate.decision()["reason"] == "client-gone"


@in_world
@pytest.mark.parametrize("name, address", [("many.example", PUBLIC_6), ("many6.example", PUBLIC)])
def test_many_addresses_of_one_family_do_not_hide_the_other(dns, name, address):
    dns()
    server = echo_server(address)
    with Gate([f"{name}:{server.port}"]) as gate:
        assert address_of(gate, f"{name}:{server.port}")[0] == address


@in_world
def test_a_client_that_goes_leaves_nothing_behind(dns):
    dns()
    with Gate(["five.example"]) as gate:
        before = descriptors(gate)
        for _ in range(5):
            conn = gate.send(connect_head("five.example:443"))
            until(lambda: len(gate.dialling()) == 4, 30)
            reset(conn)
            assert gate.decision()["reason"] == "client-gone"
        until(lambda: descriptors(gate) <= before + 1)
