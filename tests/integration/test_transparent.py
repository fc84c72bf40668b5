"""`transparent` in the card: what has an allowed name has an address, and TCP to it reaches the
gate, which decides about it as about any request; everything else stays out of reach."""

import contextlib
import errno
import os
import re
import signal
import socket
import ssl
import struct

import pytest

from harness import leftovers
from harness.daemon import Client, Daemon, until
from harness.gate import (METADATA, PRIVATE, PUBLIC, PUBLIC_2, Server, echo_server, http_server,
                          in_world, read_until)
from harness.transparent import (A, AAAA, NO_SUCH_NAME, PTR, PYTHON, REFUSED, TXT, a, agent, ask,
                                 ask_many, b, exchange, names, parse, python, question, run, world)

ZONE = {"one.example": [PUBLIC], "two.example": [PUBLIC_2], "evil.example": [PUBLIC],
        "secret-data.evil.example": [PUBLIC], "private.example": [PRIVATE],
        "metadata.example": [METADATA]}


def is_synthetic(address):
    return re.fullmatch(r"198\.1[89]\.\d+\.\d+", address) is not None


# -- names --


@in_world
def test_an_allowed_name_has_an_address_of_its_own_and_leads_to_its_host(a):
    with names(ZONE) as dns:
        one, two = http_server(b"this is one\n", PUBLIC, 80), http_server(b"two\n", PUBLIC_2, 80)
        result = run(a, "getent ahosts one.example; getent hosts two.example; "
                        "curl -sS http://one.example/x http://two.example/y",
                     allowed_hosts=["one.example", "two.example"])
        assert result.status == 0, result
        addresses = {line.split()[0] for line in result.text.splitlines() if "198." in line}
        assert len(addresses) == 2 and all(map(is_synthetic, addresses)), result.text
        assert "this is one\ntwo\n" in result.text
        assert one.wait_received(1)[0].startswith(b"GET /x HTTP/1.1\r\nHost: one.example\r\n")
        assert two.wait_received(1)[0].startswith(b"GET /y HTTP/1.1\r\nHost: two.example\r\n")
        assert set(dns.queries) == {"one.example", "two.example"}, "asked by the gate, to connect"


@in_world
def test_a_name_that_is_not_allowed_does_not_resolve_and_nobody_else_is_asked(a):
    with names(ZONE) as dns:
        agent_id = "no-such-names"
        script = ("for name in evil.example secret-data.evil.example example one.example.evil.example; "
                  "do getent ahosts $name; echo $?; done; " + python(
                      "import socket\n"
                      "try: socket.getaddrinfo('evil.example', 443)\n"
                      "except socket.gaierror as error: print(error)"))
        result = run(a, script, agent_id=agent_id, allowed_hosts=["one.example", "*.two.example"])
        lines = result.text.splitlines()
        assert lines[:4] == ["2"] * 4, result
        assert "Name or service not known" in lines[4], result
        assert dns.queries == [] and dns.tcp_queries == []
        refused = a.inspect(agent_id)["network"]["refused"]
        assert refused == 5, "one for each lookup, though each asks for two kinds of address"
        a.daemon.log_lines(agent_id, "refused", "dns", "secret-data.evil.example", "host-not-allowed")


@in_world
def test_every_kind_of_question_is_answered_or_refused_at_once(a):
    with names(ZONE) as dns, agent(a, allowed_hosts=["one.example", "*.two.example"]) as cage:
        address = cage.address_of("one.example")
        assert is_synthetic(address)
        assert cage.address_of("ONE.Example") == address, "a name has one address"
        assert is_synthetic(cage.address_of("deep.sub.two.example"))
        for kind in (AAAA, TXT, 65, 255):
            assert cage.resolve("one.example", kind) == (0, []), kind
        for name, kind in (("two.example", A), ("evil.example", TXT), ("evil.example", AAAA),
                           (".".join(reversed(address.split("."))) + ".in-addr.arpa", PTR),
                           ("localhost", A), ("", 2), ("a b.one.example", A), ("1.2.3.4", A)):
            assert cage.resolve(name, kind) == (NO_SUCH_NAME, []), name
        chaos = question("version.bind", TXT, klass=3)
        assert parse(cage.do(exchange, cage.gate, chaos), chaos) == (REFUSED, [])
        assert dns.queries == []


@in_world
def test_edns_is_understood(a):
    with agent(a, allowed_hosts=["one.example"]) as cage:
        cookie = struct.pack("!HHQ", 10, 8, 0x1122334455667788)
        for options in (b"", cookie):
            opt = b"\0" + struct.pack("!HHIH", 41, 4096, 0x8000, len(options)) + options
            data = question("one.example", opt=opt)
            answer = cage.do(exchange, cage.gate, data)
            assert struct.unpack("!HHHHHH", answer[:12]) == (1, 0x8180, 1, 1, 0, 1)
            assert answer[-11:] == b"\0" + struct.pack("!HHIH", 41, 512, 0, 0)
            assert len(answer) <= len(data) + 16


@in_world
def test_what_is_no_question_is_dropped_and_the_next_is_answered(a):
    good = question("one.example", number=7)
    bad = [b"", b"\0", good[:11], good[:-1], good[:12], b"\xff" * 512, b"\0" * 512,
           question("one.example", flags=0x8180), question("one.example", flags=0x2900),
           question("one.example", flags=0x0300), good[:4] + b"\0\2" + good[6:],
           good[:4] + b"\0\0" + good[6:], good[:6] + b"\0\1" + good[8:],
           good[:12] + b"\xc0\x0c\0\1\0\1", good[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
           good[:12] + b"\x3f" + b"a" * 10, good[:12] + (b"\x01a" * 130) + b"\0\0\1\0\1",
           good + b"x" * 500, os.urandom(1400)]

    def send_all(gate):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((gate, 53))
            s.settimeout(30)
            ask(gate, "one.example")  # so that a gate runs
            for data in bad:
                s.send(data)
            s.send(good)
            return s.recv(4096)

    with agent(a, allowed_hosts=["one.example"]) as cage:
        assert cage.do(send_all, cage.gate)[:2] == b"\0\7", "no answer came before that one"
        assert cage.network()["refused"] == 0


@in_world
def test_ten_thousand_names_get_addresses_and_the_oldest_is_forgotten(a):
    wanted = [f"n{number}.wild.example" for number in range(10000)]
    with names({"n0.wild.example": [PUBLIC], "n9999.wild.example": [PUBLIC]}) as dns:
        echo = echo_server(PUBLIC)
        with agent(a, allowed_hosts=[f"*.wild.example:{echo.port}"]) as cage:
            held = cage.address_of("n0.wild.example")
            with cage.connect(held, echo.port) as conn:
                conn.sendall(b"before")
                assert conn.recv(100) == b"before"
                found = cage.do(ask_many, cage.gate, wanted)
                assert found[wanted[0]] == held, "an address in use stays"
                assert len(found) == len(set(found.values())) == 10000
                assert all(map(is_synthetic, found.values()))
                assert cage.talk(found[wanted[9999]], echo.port, b"new") == b"new"
                assert cage.talk(found[wanted[1]], echo.port, b"old") is None, "forgotten"
                assert cage.talk(held, echo.port, b"held") == b"held"
                conn.sendall(b"after")
                assert conn.recv(100) == b"after"
            assert set(dns.queries) <= {"n0.wild.example", "n9999.wild.example"}
            unknown, = cage.decisions(1, code="address-unknown")
            assert unknown["host"] == unknown["address"] == found[wanted[1]] and unknown["port"] == echo.port


@in_world
def test_what_did_not_resolve_is_suggested_without_a_port_until_one_is_asked_for(a):
    with names(ZONE), agent(a, allowed_hosts=["one.example"], denied_hosts=["evil.example"]) as cage:
        for name in ("git.example", "web.example", "evil.example"):
            assert cage.resolve(name) == (NO_SUCH_NAME, [])
        assert len(cage.decisions(3, method="dns")) == 3

        def suggested():
            return sorted(line for line in a.cagectl("suggest", cage.agent_id).text.split("\n")
                          if line and not line.startswith("#"))

        assert suggested() == ["git.example", "web.example"]
        a.call("ChangeHosts", agent_id=cage.agent_id, allow=["git.example"])
        assert suggested() == ["web.example"]
        assert cage.talk(cage.address_of("git.example"), 22, b"") is None
        assert len(cage.decisions(1, method="tcp")) == 1
        assert suggested() == ["git.example:22", "web.example"]


# -- connections --


@in_world
def test_only_allowed_ports_are_reached_and_what_is_refused_is_reset(a):
    with names(ZONE) as dns:
        echo, other = echo_server(PUBLIC), echo_server(PUBLIC)
        with agent(a, allowed_hosts=[f"one.example:{echo.port}"]) as cage:
            address = cage.address_of("one.example")
            assert cage.talk(address, echo.port, b"x" * 300000) == b"x" * 300000
            assert dns.queries and set(dns.queries) == {"one.example"}
            del dns.queries[:]
            for port in (other.port, 22, 53, 3128, 3129, 65535):
                assert cage.talk(address, port, b"x") is None, port
            assert dns.queries == [], "the port is refused before the name is asked for"
            assert other.accepted == 0
            refused = cage.decisions(6, allowed=False)
            assert {event["port"] for event in refused} == {other.port, 22, 53, 3128, 3129, 65535}
            assert {(event["method"], event["host"], event["code"]) for event in refused} == {
                ("tcp", "one.example", "host-not-allowed")}
            allowed, = cage.decisions(1, allowed=True)
            assert (allowed["method"], allowed["host"], allowed["port"], allowed["address"]) == (
                "tcp", "one.example", echo.port, PUBLIC)
            assert allowed["rule"] == f"one.example:{echo.port}"


@in_world
def test_addresses_that_are_not_public_need_private_hosts(a):
    with names(ZONE):
        servers = {address: echo_server(address, 7070) for address in (PRIVATE, METADATA)}
        with agent(a, allowed_hosts=["private.example:7070", "metadata.example:7070"],
                   private_hosts=["private.example"]) as cage:
            assert cage.talk(cage.address_of("private.example"), 7070, b"x") == b"x"
            assert cage.talk(cage.address_of("metadata.example"), 7070, b"x") is None
            refused, = cage.decisions(1, allowed=False)
            assert (refused["host"], refused["address"], refused["code"]) == (
                "metadata.example", METADATA, "address-not-allowed")
        assert servers[METADATA].accepted == 0


@in_world
def test_a_connection_half_closes_and_a_servers_reset_comes_through(a):
    def count(conn):
        total = 0
        while data := conn.recv(1 << 16):
            total += len(data)
        conn.sendall(b"%d" % total)

    def cut(conn):
        conn.recv(10)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()

    with names(ZONE):
        counting, cutting = Server(count), Server(cut)
        with agent(a, allowed_hosts=[f"one.example:{counting.port}",
                                     f"one.example:{cutting.port}"]) as cage:
            address = cage.address_of("one.example")
            assert cage.talk(address, counting.port, b"y" * 2000000) == b"2000000"
            assert cage.talk(address, cutting.port, b"y") is None


@in_world
def test_a_host_that_does_not_answer_is_a_reset_and_a_record(a):
    with names({"one.example": [PUBLIC], "none.example": []}):
        with socket.create_server((PUBLIC, 0)) as server:
            closed = server.getsockname()[1]
        with agent(a, allowed_hosts=[f"one.example:{closed}", "none.example"]) as cage:
            assert cage.talk(cage.address_of("one.example"), closed, b"") is None
            assert cage.talk(cage.address_of("none.example"), 443, b"") is None
            codes = [event["code"] for event in cage.decisions(2)]
            assert codes == ["dial-failed", "name-not-resolved"]


@in_world
def test_a_parent_proxy_is_asked_for_the_name(a):
    def parent(conn):
        server.received.append(read_until(conn))
        conn.sendall(b"HTTP/1.1 200 fine\r\n\r\nwelcome ")
        while data := conn.recv(65536):
            conn.sendall(data)

    with names(ZONE) as dns:
        server = Server(parent, "127.0.0.1")
        with agent(a, allowed_hosts=["one.example:5432"],
                   proxy=f"http://user:word@127.0.0.1:{server.port}") as cage:
            answer = cage.talk(cage.address_of("one.example"), 5432, b"dear server")
            assert answer == b"welcome dear server"
            assert cage.talk(cage.address_of("one.example"), 5433, b"dear server") is None
        head, = server.received
        assert head.startswith(b"CONNECT one.example:5432 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic " in head
        assert dns.queries == []


def client_hello(name):
    """The first bytes of a TLS client that asks for this host."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@in_world
def test_tls_must_be_for_the_name_that_the_address_stands_for(a):
    with names(ZONE):
        received = []

        def keep(conn):
            while data := conn.recv(65536):
                received.append(data)
            conn.sendall(b"done")

        Server(keep, PUBLIC, 443)
        with agent(a, allowed_hosts=["one.example"]) as cage:
            address, good = cage.address_of("one.example"), client_hello("one.example")
            assert cage.talk(address, 443, good) == b"done"
            assert b"".join(received) == good
            del received[:]
            alert = cage.talk(address, 443, client_hello("evil.example"))
            assert alert is None or alert[:1] == b"\x15", "a TLS alert, or a reset"
            cage.talk(address, 443, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            codes = [event["code"] for event in cage.decisions(2, allowed=False)]
            assert codes == ["sni-mismatch", "not-tls"] and received == []


# -- walls --


@in_world
def test_nothing_else_is_behind_the_synthetic_addresses(a):
    """The route that leads to the gate leads to nothing but the gate."""
    def reset(address, port):
        try:
            with socket.create_connection((address, port), 10) as conn:
                assert conn.recv(10) == b"", (address, port)
        except ConnectionError:
            pass

    def datagram_comes_back(address, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            s.connect((address, port))
            try:
                s.send(question("one.example"))
                s.recv(1000)
                return True
            except (ConnectionRefusedError, TimeoutError):
                return False

    with names(ZONE) as dns, agent(a, allowed_hosts=["one.example"]) as cage, \
            agent(a, allowed_hosts=["one.example"]) as other:
        address = cage.address_of("one.example")
        for target in ("198.18.0.0", "198.18.0.1", "198.19.255.255", cage.gate):
            for port in (1, 53, 3129, 8080):
                cage.do(reset, target, port)
        for port in (3128, 3129, 53):
            for target in (other.gate, other.address):
                with pytest.raises(OSError) as error:
                    cage.do(socket.create_connection, (target, port), 5)
                assert error.value.errno == errno.ENETUNREACH, (target, port)
        for target in ("198.17.255.255", "198.20.0.0", "11.22.33.44", "127.0.0.53"):
            with pytest.raises(OSError):
                cage.do(socket.create_connection, (target, 80), 5)
        assert not cage.do(datagram_comes_back, address, 53)
        assert not cage.do(datagram_comes_back, "198.18.0.1", 443)
        assert cage.do(datagram_comes_back, cage.gate, 53)
        with pytest.raises(OSError):
            cage.do(datagram_comes_back, other.gate, 53)
        assert other.network()["refused"] == other.network()["allowed"] == 0
        assert dns.queries == []


@in_world
def test_two_agents_with_the_same_address_do_not_meet(a, b):
    with names({"one.example": [PUBLIC], "two.example": [PUBLIC_2]}):
        first, second = echo_server(PUBLIC, 7071), echo_server(PUBLIC_2, 7071)
        with agent(a, allowed_hosts=["one.example:7071"]) as cage, \
                agent(b, allowed_hosts=["*.x.example:7071", "two.example:7071"]) as other:
            address = cage.address_of("one.example")
            assert cage.talk(address, 7071, b"mine") == b"mine"
            assert other.talk(address, 7071, b"not mine") is None
            unknown, = other.decisions(1)
            assert (unknown["host"], unknown["code"]) == (address, "address-unknown")

            # Addresses are given in turn, of so many: ask until this one is next.
            distance = (number(address) - number(other.address_of("x.x.example"))) % (2**17 - 2)
            other.do(ask_many, other.gate, [f"n{n}.x.example" for n in range(1, distance)])
            assert other.address_of("two.example") == address
            with cage.connect(address, 7071) as mine, other.connect(address, 7071) as theirs:
                for conn, data in ((mine, b"mine"), (theirs, b"theirs")):
                    conn.sendall(data)
                    assert conn.recv(100) == data
        assert (first.accepted, second.accepted) == (2, 1)


def number(address):
    return struct.unpack("!I", socket.inet_aton(address))[0]


@in_world
def test_a_cage_that_is_not_transparent_has_no_names_and_no_route(a):
    with names(ZONE), agent(a, allowed_hosts=["one.example"]) as transparent, \
            agent(a, allowed_hosts=["one.example"], transparent=False) as cage:
        address = transparent.address_of("one.example")
        with pytest.raises(OSError) as error:
            cage.do(socket.create_connection, (address, 80), 5)
        assert error.value.errno == errno.ENETUNREACH
        with pytest.raises(TimeoutError):
            cage.do(exchange, cage.gate, question("one.example"), 0.3, 2)
        with pytest.raises(ConnectionRefusedError):
            cage.do(socket.create_connection, (cage.gate, 3129), 5)
        assert cage.network()["transparent"] is False
        assert transparent.network()["transparent"] is True
        assert "transparent" in a.cagectl("inspect", transparent.agent_id).text
    result = a.run("wc -c < /etc/resolv.conf; getent hosts one.example || echo none",
                   allowed_hosts=["one.example"])
    assert result.text.split() == ["0", "none"]


@in_world
def test_the_proxy_is_there_as_well(a):
    with names(ZONE):
        http_server(b"by the proxy\n", PUBLIC, 80)
        result = a.run("echo $http_proxy; curl -sS http://one.example/; curl -sS -o /dev/null "
                       "-w '%{http_code}' http://evil.example/", transparent=True,
                       allowed_hosts=["one.example"])
        lines = result.text.splitlines()
        assert lines[0].startswith("http://100.64.") and lines[1:] == ["by the proxy", "403"], result


# -- change, and ends --


def reload(cage, **keys):
    inspected = cage.inspect()
    card = {**inspected["card"], **keys}
    return cage.client.call("Reload", card=card)


@in_world
def test_a_reload_adds_and_removes_names_and_cuts_what_is_not_allowed_any_more(a):
    with names(ZONE):
        echo, echo_2 = echo_server(PUBLIC), echo_server(PUBLIC_2)
        ports = {"one.example": echo.port, "two.example": echo_2.port}
        with agent(a, allowed_hosts=[f"one.example:{echo.port}"]) as cage:
            one = cage.address_of("one.example")
            assert cage.resolve("two.example") == (NO_SUCH_NAME, [])
            with cage.connect(one, echo.port) as conn:
                conn.sendall(b"open")
                assert conn.recv(10) == b"open"
                reload(cage, allowed_hosts=[f"{name}:{port}" for name, port in ports.items()])
                two = cage.address_of("two.example")
                assert cage.talk(two, echo_2.port, b"two") == b"two"
                conn.sendall(b"still")
                assert conn.recv(10) == b"still"
                reload(cage, allowed_hosts=[f"two.example:{echo_2.port}"])
                with pytest.raises(ConnectionResetError):
                    conn.recv(10)
            assert cage.resolve("one.example") == (NO_SUCH_NAME, [])
            assert cage.talk(one, echo.port, b"one") is None
            assert cage.talk(two, echo_2.port, b"two") == b"two"


@in_world
def test_a_name_that_is_denied_while_the_agent_runs_is_gone(a):
    with names(ZONE):
        echo = echo_server(PUBLIC)
        with agent(a, allowed_hosts=[f"*.example:{echo.port}"], denied_hosts=["two.example"]) as cage:
            one = cage.address_of("one.example")
            assert cage.talk(one, echo.port, b"x") == b"x"
            assert cage.resolve("two.example") == (NO_SUCH_NAME, [])
            a.call("ChangeHosts", agent_id=cage.agent_id, deny=["one.example"])
            assert cage.resolve("one.example") == (NO_SUCH_NAME, [])
            assert cage.talk(one, echo.port, b"x") is None
            codes = [(each["method"], each["code"]) for each in cage.decisions(3, allowed=False)]
            assert codes == [("dns", "host-denied"), ("dns", "host-denied"), ("tcp", "host-denied")]


@in_world
def test_where_an_operator_is_asked_an_unknown_name_resolves_and_its_connection_waits(a):
    with names(ZONE) as dns:
        echo = echo_server(PUBLIC)
        with agent(a, ask_seconds=60, allowed_hosts=["two.example"],
                   denied_hosts=["evil.example"]) as cage:
            address = cage.address_of("one.example")
            assert cage.resolve("evil.example") == (NO_SUCH_NAME, [])
            with cage.connect(address, echo.port) as conn:
                conn.sendall(b"may I?")
                until(lambda: a.call("Hosts", agent_id=cage.agent_id)["held"], what="it is held")
                assert dns.queries == [] and echo.accepted == 0
                a.call("ChangeHosts", agent_id=cage.agent_id, allow=[f"one.example:{echo.port}"])
                assert conn.recv(100) == b"may I?"


@in_world
def test_a_gate_that_was_killed_is_replaced_by_the_next_question(a):
    with names(ZONE):
        echo = echo_server(PUBLIC)
        with agent(a, allowed_hosts=[f"one.example:{echo.port}"]) as cage:
            address = cage.address_of("one.example")
            gate = cage.network()["gate_pid"]
            os.kill(gate, signal.SIGKILL)
            until(lambda: cage.network().get("gate_pid") != gate, what="its end is noticed")
            assert cage.talk(address, echo.port, b"x") is None, "the new one does not know it"
            again = cage.address_of("one.example")
            assert cage.network()["gate_pid"] != gate
            assert cage.talk(again, echo.port, b"x") == b"x"


@in_world
def test_nothing_is_left_of_a_transparent_agent(a):
    with names(ZONE):
        for _ in range(2):  # what the first one leaves is for all
            with agent(a, allowed_hosts=["one.example"]) as cage:
                cage.address_of("one.example")
            before = leftovers.idle(a.daemon)
        with agent(a, allowed_hosts=["one.example"]) as cage, \
                agent(a, allowed_hosts=["one.example"]):
            cage.address_of("one.example")
            assert leftovers.difference(before, leftovers.snapshot(a.daemon))
        leftovers.until_as(a.daemon, before)


@in_world
def test_a_kernel_without_tproxy_is_a_refusal_that_names_it(base, people):
    """netfilter's sockets taken away by a seccomp filter stand for a kernel without it."""
    daemon = Daemon(base, people["group"])
    daemon.start(under=[PYTHON, "-c", WITHOUT_NETFILTER])
    try:
        client = Client(daemon, people["a"])
        error = client.refused(transparent=True, allowed_hosts=["one.example"])
        assert error.name == "NotSupported", error
        assert error.parameters["what"] == "transparent"
        assert "nftables" in error.parameters["reason"] and "nft_tproxy" in error.parameters["reason"]
        assert client.run("echo fine", allowed_hosts=["one.example"]).text == "fine\n"
    finally:
        assert daemon.stop() == 0


# socket(2) with the third argument NETLINK_NETFILTER gives EPROTONOSUPPORT: seccomp(2), x86-64.
WITHOUT_NETFILTER = """
import ctypes, os, struct, sys
rows = ((0x20, 0, 0, 0), (0x15, 0, 5, 41), (0x20, 0, 0, 16), (0x15, 0, 3, 16),
        (0x20, 0, 0, 32), (0x15, 0, 1, 12), (0x06, 0, 0, 0x00050000 | 93), (0x06, 0, 0, 0x7fff0000))
code = b"".join(struct.pack("=HBBI", *row) for row in rows)
code = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, ctypes.byref(Program(len(rows), ctypes.addressof(code))), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
