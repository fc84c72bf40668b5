"""What caged-gate makes of name servers that are slow, broken, wrong or hostile, over UDP and TCP:
each request ends with an address that may be dialled, or with a refusal that says why. In the
network of harness/gate.py; answers are made byte by byte here."""

import contextlib
import socket
import struct
import threading
import time

import pytest

from harness.daemon import until
from harness.gate import (PRIVATE, PUBLIC, PUBLIC_6, RESOLVER, Gate, echo_server, in_world)
from harness.requests import connect_to

A, CNAME, TXT, AAAA = 1, 5, 16, 28
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5
OTHER_RESOLVER = "127.0.0.54"


def labels(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


def row(name, kind, data, ttl=60, size=None):
    size = len(data) if size is None else size
    return (labels(name) if isinstance(name, str) else name) + \
        struct.pack("!HHIH", kind, 1, ttl, size) + data


def address_row(name, address):
    v6 = ":" in address
    return row(name, AAAA if v6 else A,
               socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address))


class Query:
    def __init__(self, data):
        self.data = data
        self.id = data[:2]
        end = 12
        parts = []
        while data[end]:
            parts.append(data[end + 1:end + 1 + data[end]].decode().lower())
            end += 1 + data[end]
        self.name = ".".join(parts)
        self.kind = struct.unpack("!H", data[end + 1:end + 3])[0]
        self.question = data[12:end + 5]

    def answer(self, rows=(), code=0, flags=0x8180, ident=None, question=None, counts=None):
        counts = counts or (1, len(rows), 0, 0)
        return (ident or self.id) + struct.pack("!HHHHH", flags | code, *counts) + \
            (self.question if question is None else question) + b"".join(rows)

    def addresses(self, *addresses):
        """The usual answer: of these the ones of the kind that is asked for."""
        return self.answer([address_row(b"\xc0\x0c", a) for a in addresses
                            if (self.kind == AAAA) == (":" in a)])


class NameServer:
    """Calls `reply(query)` for each question over UDP, which gives the messages to send, and
    `reply_tcp` over TCP. Says nothing for what they do not give."""

    def __init__(self, reply, reply_tcp=None, address=RESOLVER):
        self.queries = []
        self.tcp_queries = []
        self.reply, self.reply_tcp = reply, reply_tcp or reply
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.create_server((address, 53))
        self.threads = [threading.Thread(target=serve, daemon=True)
                        for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        for thread in self.threads:  # one that still waits in a call keeps the port
            thread.join(15)

    def _serve_udp(self):
        try:
            while True:
                data, peer = self.udp.recvfrom(4096)
                if not data:
                    return
                query = Query(data)
                self.queries.append((query.name, query.kind))
                for message in self.reply(query) or []:
                    self.udp.sendto(message, peer)
        except OSError:
            pass

    def _serve_tcp(self):
        try:
            while True:
                conn, _ = self.tcp.accept()
                threading.Thread(target=self._serve_one, args=(conn,), daemon=True).start()
        except OSError:
            pass

    def _serve_one(self, conn):
        with conn:
            try:
                while len(head := conn.recv(2, socket.MSG_WAITALL)) == 2:
                    query = Query(conn.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL))
                    self.tcp_queries.append((query.name, query.kind))
                    for message in self.reply_tcp(query) or []:
                        conn.sendall(struct.pack("!H", len(message)) + message)
            except OSError:
                pass


def refusal_of(gate, target="a.example:443"):
    """The refusal's status and code, which the answer's body and the record have as well."""
    answer = gate.ask(connect_to(target))
    decision = gate.decision()
    assert (decision["reason"], decision["status"]) == (answer.reason, answer.status)
    assert f"Code: {answer.reason}" in answer.text and target in answer.text
    return answer.status, answer.reason


def reached(gate, target):
    gate.tunnel(target).close()
    return gate.decision()["address"]


# -- no address --


@in_world
@pytest.mark.parametrize("code", [NXDOMAIN, SERVFAIL, REFUSED, 1, 4])
def test_a_refused_question_is_a_502(code):
    with NameServer(lambda q: [q.answer(code=code)]), Gate(["a.example"]) as gate:
        assert refusal_of(gate) == (502, "name-not-resolved")


@in_world
def test_a_name_without_addresses_is_a_502():
    with NameServer(lambda q: [q.answer()]), Gate(["a.example"]) as gate:
        assert refusal_of(gate) == (502, "name-not-resolved")


@in_world
def test_a_name_server_that_is_not_there_is_an_answer_too():
    """Its machine says that nobody listens."""
    with Gate(["a.example"]) as gate:
        status, code = refusal_of(gate)
        assert (status, code) in ((502, "name-not-resolved"), (504, "dns-timeout"))


@in_world
def test_silence_is_a_504_and_others_are_not_held_up():
    server = echo_server()

    def reply(query):
        return None if query.name == "silent.example" else [query.addresses(PUBLIC)]
    with NameServer(reply), Gate([f"*.example:{server.port}"]) as gate:
        target = f"silent.example:{server.port}"
        conn = gate.send(connect_to(target))
        start = time.monotonic()
        for _ in range(20):
            assert reached(gate, f"b.example:{server.port}") == PUBLIC
        head = conn.recv(65536)
        assert head.startswith(b"HTTP/1.1 504 ") and b"dns-timeout" in head
        assert time.monotonic() - start < 20
        conn.close()
        assert gate.decision()["reason"] == "dns-timeout"


@contextlib.contextmanager
def name_servers(*addresses):
    """The world's resolv.conf, which is its own, with these."""
    with open("/etc/resolv.conf", "r+", encoding="ascii") as file:
        before = file.read()

        def write(text):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
        write("".join(f"nameserver {x}\n" for x in addresses))
        try:
            yield
        finally:
            write(before)


@in_world
@pytest.mark.parametrize("lame", [
    lambda q: [q.answer(code=REFUSED)], lambda q: [q.answer(code=SERVFAIL)], lambda q: None,
    lambda q: [b"\xff" * 60]], ids=["refuses", "fails", "silent", "garbage"])
def test_another_name_server_is_asked_when_the_first_is_of_no_use(lame):
    server = echo_server()
    with name_servers(RESOLVER, OTHER_RESOLVER), NameServer(lame) as first, \
            NameServer(lambda q: [q.addresses(PUBLIC)], address=OTHER_RESOLVER) as second, \
            Gate([f"a.example:{server.port}"]) as gate:
        assert reached(gate, f"a.example:{server.port}") == PUBLIC
        assert first.queries and second.queries


@in_world
def test_a_name_that_does_not_exist_is_asked_of_one_server_alone():
    with name_servers(RESOLVER, OTHER_RESOLVER), \
            NameServer(lambda q: [q.answer(code=NXDOMAIN)]) as first, \
            NameServer(lambda q: [q.addresses(PUBLIC)], address=OTHER_RESOLVER) as second, \
            Gate(["a.example"]) as gate:
        assert refusal_of(gate) == (502, "name-not-resolved")
        assert first.queries and not second.queries


# -- wrong answers --

GARBAGE = {
    "nothing": lambda q: b"",
    "one byte": lambda q: b"\0",
    "half a head": lambda q: q.id + b"\x81\x80",
    "a head alone": lambda q: q.id + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0),
    "more rows than there are": lambda q: q.answer(counts=(1, 65535, 65535, 65535)),
    "a name that points at itself": lambda q: q.answer(
        [b"\xc0" + bytes([12 + len(q.question)]) + struct.pack("!HHIH", A, 1, 60, 4) + b"\1\2\3\4"]),
    "a name that points behind the end": lambda q: q.answer([row(b"\xff\xff", A, b"\1\2\3\4")]),
    "an address that is too short": lambda q: q.answer([row(b"\xc0\x0c", q.kind, b"\1\2\3")]),
    "an address that is too long": lambda q: q.answer([row(b"\xc0\x0c", q.kind, b"\1" * 17)]),
    "a row that ends early": lambda q: q.answer([row(b"\xc0\x0c", q.kind, b"\1", size=4)]),
    "an alias of itself": lambda q: q.answer([row(b"\xc0\x0c", CNAME, b"\xc0\x0c")]),
    "random": lambda q: q.id + bytes(range(256)),
}


@in_world
def test_garbage_is_no_address_and_no_harm():
    """All kinds at once, since some are taken for no answer and waited out."""
    server, kinds = echo_server(), list(GARBAGE)

    def reply(query):
        kind = query.name.split(".")[0]
        return [GARBAGE[kinds[int(kind[1:])]](query) if kind[0] == "k" else query.addresses(PUBLIC)]
    with NameServer(reply), Gate([f"*.example:{server.port}"]) as gate:
        bad = [gate.send(connect_to(f"k{i}.example:{server.port}")) for i in range(len(kinds))]
        gate.tunnel(f"good.example:{server.port}").close()
        for kind, conn in zip(kinds, bad):
            head = conn.recv(65536)
            assert head.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 504 ")), (kind, head)
            conn.close()
        decisions = [gate.decision() for _ in range(len(kinds) + 1)]
        reasons = {d["host"]: d["reason"] for d in decisions}
        assert reasons.pop("good.example") == "ok"
        assert len(reasons) == len(kinds)
        assert set(reasons.values()) <= {"name-not-resolved", "dns-timeout"}
        assert reached(gate, f"good.example:{server.port}") == PUBLIC


@in_world
@pytest.mark.parametrize("forge", [
    lambda q: q.answer([address_row(b"\xc0\x0c", PRIVATE)], ident=bytes([q.id[0] ^ 1, q.id[1]])),
    lambda q: q.answer([address_row("c.example", PRIVATE)],
                       question=labels("c.example") + struct.pack("!HH", q.kind, 1)),
], ids=["another id", "another question"])
def test_an_answer_to_another_question_is_not_taken(forge):
    server, other = echo_server(PUBLIC, 7000), echo_server(PRIVATE, 7000)

    def reply(query):
        return [forge(query), query.addresses(PUBLIC)]
    with NameServer(reply), Gate(["b.example:7000"], private=["b.example"]) as gate:
        for _ in range(5):
            assert reached(gate, "b.example:7000") == PUBLIC
    assert other.accepted == 0


@in_world
def test_an_answer_of_another_server_is_not_taken():
    """From another port of the same machine, with the right id: before the right one."""
    server, other = echo_server(PUBLIC, 7000), echo_server(PRIVATE, 7000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((RESOLVER, 0))
        peers = []

        def reply(query):
            for peer in peers:
                stranger.sendto(query.addresses(PRIVATE), peer)
            return [query.addresses(PUBLIC)]

        class Told(NameServer):
            def _serve_udp(self):
                try:
                    while True:
                        data, peer = self.udp.recvfrom(4096)
                        if not data:
                            return
                        peers[:] = [peer]
                        for message in self.reply(Query(data)):
                            self.udp.sendto(message, peer)
                except OSError:
                    pass
        with Told(reply), Gate(["b.example:7000"], private=["b.example"]) as gate:
            for _ in range(5):
                assert reached(gate, "b.example:7000") == PUBLIC
    assert other.accepted == 0


# -- aliases, sizes, TCP --


def chain(query, n, last):
    """The name is an alias of an alias ... of a name with that address."""
    names = [query.name] + [f"n{i}.example" for i in range(n)]
    rows = [row(names[i], CNAME, labels(names[i + 1])) for i in range(n)]
    if (query.kind == AAAA) == (":" in last):
        rows.append(address_row(names[n], last))
    return [query.answer(rows)]


@in_world
@pytest.mark.parametrize("n", [1, 3, 12])
def test_aliases_lead_to_an_address(n):
    server = echo_server()
    with NameServer(lambda q: chain(q, n, PUBLIC)), Gate([f"a.example:{server.port}"]) as gate:
        assert reached(gate, f"a.example:{server.port}") == PUBLIC


@in_world
@pytest.mark.parametrize("address", [PRIVATE, "127.0.0.1", "169.254.169.254", "::1", "fd00::1",
                                     "64:ff9b::a00:1"])
def test_an_alias_of_a_private_name_is_refused(address):
    with NameServer(lambda q: chain(q, 2, address)), Gate(["a.example:443"]) as gate:
        assert refusal_of(gate) == (403, "address-not-allowed")


@in_world
def test_a_thousand_addresses_are_cut_to_a_few():
    """By TCP, since no datagram holds them; the good one is among the first."""
    server = echo_server()
    addresses = [PUBLIC] + [f"12.1.{i // 250}.{i % 250 + 1}" for i in range(999)]
    with NameServer(lambda q: [q.answer(flags=0x8380)], lambda q: [q.addresses(*addresses)]) as dns:
        with Gate([f"a.example:{server.port}"]) as gate:
            assert reached(gate, f"a.example:{server.port}") == PUBLIC
        assert ("a.example", A) in dns.tcp_queries


@in_world
def test_a_thousand_private_addresses_are_one_refusal():
    addresses = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(1000)]
    with NameServer(lambda q: [q.answer(flags=0x8380)], lambda q: [q.addresses(*addresses)]):
        with Gate(["a.example:443"]) as gate:
            assert refusal_of(gate) == (403, "address-not-allowed")
            gate.no_decision()


@in_world
@pytest.mark.parametrize("tcp", [lambda q: [], lambda q: [b"\0"], lambda q: [b"\xff" * 700],
                                 lambda q: [q.answer(flags=0x8380)]],
                         ids=["silent", "short", "garbage", "truncated again"])
def test_a_tcp_that_helps_nobody_is_an_end_too(tcp):
    server = echo_server()

    def reply(query):
        if query.name == "big.example":
            return [query.answer(flags=0x8380)]
        return [query.addresses(PUBLIC)]
    with NameServer(reply, tcp), Gate([f"*.example:{server.port}"]) as gate:
        bad = gate.send(connect_to(f"big.example:{server.port}"))
        head = bad.recv(65536)
        assert head.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 504 ")), head
        bad.close()
        gate.decision()
        assert reached(gate, f"good.example:{server.port}") == PUBLIC


# -- one family --


@in_world
def test_a_server_that_never_answers_for_ipv6_costs_a_second():
    server = echo_server()

    def reply(query):
        return [query.addresses(PUBLIC)] if query.kind == A else None
    with NameServer(reply), Gate([f"a.example:{server.port}"]) as gate:
        start = time.monotonic()
        assert reached(gate, f"a.example:{server.port}") == PUBLIC
        assert 0.9 < time.monotonic() - start < 6, "neither at once nor after all its time-outs"


@in_world
def test_ipv4_is_waited_for_where_ipv6_is_there():
    """Addresses of IPv6 may lead nowhere: a lost answer for IPv4 is asked for once more."""
    server, asked = echo_server(), []

    def reply(query):
        if query.kind == AAAA:
            return [query.addresses("2600:99::1")]
        asked.append(query.name)
        return [query.addresses(PUBLIC)] if len(asked) > 1 else None
    with NameServer(reply), Gate([f"a.example:{server.port}"]) as gate:
        assert reached(gate, f"a.example:{server.port}") == PUBLIC


@in_world
def test_a_client_that_goes_while_ipv6_is_waited_for_harms_nobody():
    server = echo_server()

    def reply(query):
        return [query.addresses(PUBLIC)] if query.kind == A else None
    with NameServer(reply) as dns, Gate([f"*.example:{server.port}"]) as gate:
        for i in range(5):
            conn = gate.send(connect_to(f"n{i}.example:{server.port}"))
            until(lambda: (f"n{i}.example", A) in dns.queries)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            conn.close()
            assert gate.decision()["reason"] in ("client-gone", "ok")
        assert reached(gate, f"last.example:{server.port}") == PUBLIC


@in_world
def test_ipv6_alone_is_enough():
    server = echo_server(PUBLIC_6)
    with NameServer(lambda q: [q.addresses(PUBLIC_6)]), Gate([f"a.example:{server.port}"]) as gate:
        assert reached(gate, f"a.example:{server.port}") == PUBLIC_6


@in_world
def test_each_request_asks_anew():
    """Nothing is kept, so a name that moves is followed, and checked, at once."""
    server = echo_server()
    with NameServer(lambda q: [q.addresses(PUBLIC)]) as dns:
        with Gate([f"a.example:{server.port}"]) as gate:
            for n in range(1, 4):
                assert reached(gate, f"a.example:{server.port}") == PUBLIC
                assert dns.queries.count(("a.example", A)) == n
