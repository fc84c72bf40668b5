"""caged-gate and TLS (harness/gate.py): what a tunnel's client says first must be a ClientHello for
the host that the tunnel was asked for, on ports of TLS and wherever it looks like TLS; until that is
known, none of it reaches the server."""

import socket
import ssl
import struct
import subprocess

import pytest

from harness import tls
from harness.daemon import until
from harness.gate import (PRIVATE, PUBLIC, PUBLIC_6, Gate, Server, dns_of, in_world, read_all,
                          read_until, receive)
from harness.gate_waits import begin_waits, waited
from harness.transparent import a, agent, names, run, world  # pylint: disable=unused-import

ZONE = {"a.example": [PUBLIC], "b.example": [PUBLIC], "b.a.example": [PUBLIC]}


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


dns = dns_of(ZONE)


def is_refused(gate, conn, code, host="a.example", rule=None):
    """The alert, the end, and a second record; nothing came before it."""
    try:
        said = read_all(conn)
    except ConnectionResetError:
        said = b""
    alert = tls.ALERTS[code]
    assert said in (b"", b"\x15\x03\x03\x00\x02\x02" + bytes([alert])), said
    assert said or code == "not-tls"
    first, second = gate.decision(), gate.decision()
    assert first["allowed"] and first["reason"] == "ok"
    assert (second["allowed"], second["reason"], second["status"]) == (False, code, 0)
    assert (second["host"], second["method"], second["rule"]) == (host, "CONNECT", first["rule"])
    end = gate.end(reason=code)
    assert (end["bytes_up"], end["rule"]) == (0, first["rule"]), end
    conn.close()
    return said


def received(server):
    """What the server was sent on the one connection that there was."""
    return until(lambda: server.received, what="the server's connection has ended")[-1]


# -- real clients and servers --


def s_client(gate, name, port, *more):
    return subprocess.run(
        ["openssl", "s_client", "-proxy", f"127.0.0.1:{gate.port}", "-connect",
         f"a.example:{port}", "-CAfile", tls.certificate(), "-verify_return_error", "-ign_eof",
         *(["-servername", name] if name else ["-noservername"]), *more],
        input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=60, check=False)


def curl(gate, port, *more):
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "30", "--cacert", tls.certificate(),
         "--proxy", f"http://127.0.0.1:{gate.port}", *more, f"https://a.example:{port}/"],
        capture_output=True, timeout=60, check=False)


@in_world
@pytest.mark.parametrize("port", [443, 9443])
@pytest.mark.parametrize("version", [[], ["-tls1_2"], ["-split_send_frag", "512",
                                                       "-max_send_frag", "512", "-alpn",
                                                       ",".join(f"p{i}" for i in range(150))]])
def test_openssl_gets_through_with_the_right_name_and_not_with_another(dns, port, version):
    dns()
    tls.web_server(port)
    with Gate([f"a.example:{port}"]) as gate:
        good = s_client(gate, "a.example", port, *version)
        assert b"secret" in good.stdout, good.stderr
        assert gate.decision()["allowed"]
        for name, code, words in (("b.example", "sni-mismatch", b"unrecognized name"),
                                  (None, "sni-missing", b"alert number 109")):
            bad = s_client(gate, name, port, *version)
            assert bad.returncode != 0 and words in bad.stderr, bad.stderr
            assert [gate.decision()["reason"] for _ in range(2)] == ["ok", code]
        gate.no_decision()


@in_world
@pytest.mark.parametrize("port", [443, 9443])
def test_curl_gets_through_and_not_to_a_name_behind_another(dns, port):
    dns()
    tls.web_server(port)
    with Gate([f"a.example:{port}"]) as gate:
        good = curl(gate, port)
        assert good.stdout == b"secret", good.stderr
        assert gate.decision()["allowed"]
        # It asks the gate for a.example and the server for b.example: what is called fronting.
        bad = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "30", "--insecure", "--proxy",
             f"http://127.0.0.1:{gate.port}", "--connect-to", f"b.example:{port}:a.example:{port}",
             f"https://b.example:{port}/"], capture_output=True, timeout=60, check=False)
        assert bad.returncode == 35 and b"unrecognized name" in bad.stderr, bad.stderr
        assert [gate.decision()["reason"] for _ in range(2)] == ["ok", "sni-mismatch"]


@in_world
def test_a_session_is_resumed(dns):
    dns()
    server = tls.echo_server(443)
    with Gate(["a.example"]) as gate:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = tls.client_context()
            context.maximum_version = version
            session = None
            for turn in range(3):
                with context.wrap_socket(gate.tunnel("a.example:443"), session=session,
                                         server_hostname="a.example") as conn:
                    conn.sendall(b"ping")
                    assert receive(conn, 4) == b"ping"
                    assert conn.session_reused == (turn > 0)
                    session = conn.session
                assert gate.decision()["allowed"]
            stolen = gate.tunnel("a.example:443")
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                context.wrap_socket(stolen, server_hostname="b.example")
            assert [gate.decision()["reason"] for _ in range(2)] == ["ok", "sni-mismatch"]
    assert server.names == ["a.example"] * 6


@in_world
def test_a_server_may_ask_for_a_second_hello(dns):
    """HelloRetryRequest, because the first one came with a key for another group."""
    dns()
    tls.echo_server(443, curve="secp521r1")
    context = tls.client_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
    hellos = []
    with Gate(["a.example"]) as gate, gate.tunnel("a.example:443") as conn:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                sent = outgoing.read()
                hellos += [sent] if b"\x16\x03" in sent and b"a.example" in sent else []
                conn.sendall(sent)
                incoming.write(conn.recv(65536))
        conn.sendall(outgoing.read())
        client.write(b"ping")
        conn.sendall(outgoing.read())
        assert len(hellos) == 2 and client.version() == "TLSv1.3"
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)


@in_world
@pytest.mark.parametrize("size", [1, 100, 512])
@pytest.mark.parametrize("cut", [1, 5, 6, 517, 10000])
def test_a_hello_in_pieces_opens_a_real_connection(dns, size, cut):
    """In records of `size` bytes, sent in segments of `cut`."""
    dns()
    tls.echo_server(443)
    context = tls.client_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="b.a.example")
    with Gate(["*.a.example:443"]) as gate:
        conn = gate.tunnel("b.a.example:443")
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = True
        while client.version() is None or first:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                data = outgoing.read()
                if first:  # the transcript is of messages, not of records: it is the same hello
                    data, first = tls.in_records(data, size), False
                for at in range(0, len(data), cut):
                    conn.sendall(data[at:at + cut])
                piece = conn.recv(65536)
                assert piece, "the server did not like it"
                incoming.write(piece)
        assert client.version() == "TLSv1.3"
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)
        conn.close()


# -- byte for byte --

PASSED = [
    ("openssl", "a.example"), ("openssl-tls10", "a.example"), ("openssl-in-records", "a.example"),
    ("post-quantum", "a.example"), ("post-quantum-in-records", "a.example"),
    ("in-records-of-3", "a.example"), ("with-early-data", "a.example"),
    ("openssl-no-name", PUBLIC), ("openssl-no-name", f"[{PUBLIC_6}]"),
]


@in_world
@pytest.mark.parametrize("name,host", PASSED)
@pytest.mark.parametrize("port", [8443, 22])
@pytest.mark.parametrize("cut", [1, 700, 1 << 20])
def test_what_passes_is_what_was_sent(dns, name, host, port, cut):
    dns()
    server = tls.sink(port, PUBLIC_6 if ":" in host else PUBLIC)
    data = tls.seed(name) + b"and what follows"
    with Gate([f"{host}:{port}"]) as gate:
        with gate.tunnel(f"{host}:{port}") as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(data), cut):
                conn.sendall(data[at:at + cut])
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)
    assert received(server) == data


REFUSED = [
    ("openssl", "b.example", "sni-mismatch"), ("openssl", "b.a.example", "sni-mismatch"),
    ("post-quantum-in-records", "b.example", "sni-mismatch"),
    ("openssl", PUBLIC, "sni-mismatch"), ("address-name", PUBLIC, "sni-mismatch"),
    ("address-name", "a.example", "sni-mismatch"), ("nul-name", "a.example", "sni-mismatch"),
    ("openssl-no-name", "a.example", "sni-missing"),
    ("two-names", "a.example", "not-tls"), ("two-extensions", "a.example", "not-tls"),
    ("empty-name", "a.example", "not-tls"), ("empty-list", "a.example", "not-tls"),
    ("other-type", "a.example", "not-tls"),
]


@in_world
@pytest.mark.parametrize("name,host,code", REFUSED)
@pytest.mark.parametrize("port", [8443, 22])
def test_of_a_refused_hello_no_byte_goes_out(dns, name, host, code, port):
    dns()
    server = tls.sink(port)
    for cut in (1, 1 << 20):
        data = tls.seed(name)
        with Gate([f"{host}:{port}"]) as gate:
            conn = gate.tunnel(f"{host}:{port}")
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(data), cut):
                conn.sendall(data[at:at + cut])
            assert is_refused(gate, conn, code, host)
            gate.no_decision(0.02)
        assert received(server) == b""
        server.received.clear()


@in_world
@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0", b"\x16\x02",
                                  tls.seed("sslv2")], ids=range(5))
def test_another_protocol_is_refused_on_a_port_of_tls_and_passes_on_others(dns, data):
    dns()
    secure, other = tls.sink(443), tls.sink(2222)
    with Gate(["a.example:443", "a.example:2222"]) as gate:
        conn = gate.tunnel("a.example:443")
        conn.sendall(data)
        assert is_refused(gate, conn, "not-tls") == b""
        with gate.tunnel("a.example:2222") as conn:
            conn.sendall(data)
            conn.shutdown(socket.SHUT_WR)
            read_all(conn)
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)
    assert (received(secure), received(other)) == (b"", data)


@in_world
def test_a_server_that_speaks_first_is_heard_and_starttls_is_not_looked_into(dns):
    def handle(conn):
        conn.sendall(b"220 ready\r\n")
        assert read_until(conn, b"\r\n") == b"STARTTLS\r\n"
        conn.sendall(b"220 go ahead\r\n")
        server.received.append(receive(conn, len(hello)))
        conn.sendall(b"done")
    dns()
    hello = tls.hello("b.example")
    server = Server(handle, PUBLIC, 25)
    with Gate(["a.example:25"]) as gate:
        with gate.tunnel("a.example:25") as conn:
            assert read_until(conn, b"\r\n") == b"220 ready\r\n"
            conn.sendall(b"STARTTLS\r\n")
            assert read_until(conn, b"\r\n") == b"220 go ahead\r\n"
            conn.sendall(hello)
            assert receive(conn, 4) == b"done"
        assert gate.decision()["allowed"]
        gate.no_decision(0.02)
    assert server.received == [hello]


@in_world
def test_the_first_of_two_hellos_counts(dns):
    """Behind a hello that is right there may be anything: the server alone can tell what it is."""
    dns()
    server = tls.sink(443)
    right, wrong = tls.hello("a.example"), tls.hello("b.example")
    with Gate(["a.example"]) as gate:
        conn = gate.tunnel("a.example:443")
        conn.sendall(wrong + right)
        assert is_refused(gate, conn, "sni-mismatch")
        assert received(server) == b""
        server.received.clear()
        with gate.tunnel("a.example:443") as conn:
            conn.sendall(right + wrong)
            conn.shutdown(socket.SHUT_WR)
            read_all(conn)
        assert received(server) == right + wrong
        # Within one record it is neither one message nor the other.
        both = right[5:] + wrong[5:]
        assert gate.decision()["allowed"]
        conn = gate.tunnel("a.example:443")
        conn.sendall(b"\x16\x03\x01" + struct.pack("!H", len(both)) + both)
        assert is_refused(gate, conn, "not-tls")


@in_world
def test_a_hello_that_came_with_the_request_is_answered_in_http(dns):
    dns()
    server = tls.sink(443)
    head = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n"
    with Gate(["a.example"]) as gate:
        for data, code, word in ((tls.hello("b.example"), "sni-mismatch", "names b.example"),
                                 (tls.hello(None), "sni-missing", "names no server"),
                                 (b"SSH-2.0-x\r\n", "not-tls", "does not begin")):
            answer = gate.ask(head + data)
            assert (answer.status, answer.reason) == (403, code) and word in answer.text
            assert 'write "a.example:443;sni=any"' in answer.text
            first, second = gate.decision(), gate.decision()
            assert first["allowed"] and not second["allowed"]
            assert (second["reason"], second["status"]) == (code, 403)
            assert received(server) == b""
            server.received.clear()
        hello = tls.hello("a.example")
        for early in (1, 6, 200, len(hello)):
            conn = gate.send(head + hello[:early])
            assert read_until(conn).startswith(b"HTTP/1.1 200 ")
            conn.sendall(hello[early:])
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
            assert received(server) == hello
            server.received.clear()
            assert gate.decision()["allowed"]


@in_world
@pytest.mark.parametrize("port", [443, 22])
def test_a_hello_may_not_be_longer_than_its_limit(dns, port):
    dns()
    server = tls.sink(port)
    long = [b"\x16\x03\x01\x3f\xfc", b"\x16\x03\x01\x00\x04\x01\x00\x40\x00" + bytes(100),
            b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x01\x00" + b"\x16\x03\x01\x00\x01\x20"
            + b"\x16\x03\x01\x00\x01\x00" * 4000]
    with Gate([f"a.example:{port}"]) as gate:
        for data in long:
            conn = gate.tunnel(f"a.example:{port}")
            conn.sendall(data)
            assert is_refused(gate, conn, "hello-too-large")
            assert received(server) == b""
            server.received.clear()


@in_world
@pytest.mark.parametrize("port,data,code", [
    (443, b"", None), (443, b"\x16", "not-tls"), (443, tls.seed("openssl")[:-1], "not-tls"),
    (22, b"", None), (22, b"\x16", None), (22, b"\x16\x03", "not-tls"),
    (22, tls.seed("openssl")[:-1], "not-tls"),
], ids=range(7))
def test_an_end_in_the_middle_of_a_hello_is_no_way_out(dns, port, data, code):
    dns()
    server = tls.sink(port)
    with Gate([f"a.example:{port}"]) as gate:
        conn = gate.tunnel(f"a.example:{port}")
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        if code:
            assert is_refused(gate, conn, code)
        else:
            assert read_all(conn) == b""
            assert gate.decision()["allowed"]
            conn.close()
        gate.no_decision(0.02)
        assert received(server) == (b"" if code else data)


@in_world
def test_a_hello_through_a_parent_proxy_is_held_to_the_same():
    def handle(conn):
        assert read_until(conn).startswith(b"CONNECT a.example:443 ")
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        parent.received.append(read_all(conn))
    parent = Server(handle, PRIVATE)
    hello = tls.hello("a.example")
    with Gate(["a.example"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        conn = gate.tunnel("a.example:443")
        conn.sendall(tls.hello("b.example"))
        assert is_refused(gate, conn, "sni-mismatch")
        assert received(parent) == b""
        with gate.tunnel("a.example:443") as conn:
            conn.sendall(hello)
            conn.shutdown(socket.SHUT_WR)
            read_all(conn)
        until(lambda: len(parent.received) == 2)
        assert parent.received[1] == hello


@in_world
def test_tls_of_a_tool_that_knows_no_proxy_is_held_to_the_same(a):
    with names(ZONE):
        tls.web_server(443)
        curl = "curl --silent --show-error --insecure --max-time 30"
        result = run(a, f"{curl} https://a.example/; echo; {curl} --connect-to "
                     "b.example:443:a.example:443 https://b.example/; echo $?",
                     allowed_hosts=["a.example", "b.example"])
        assert result.text == "secret\n35\n" and "unrecognized name" in result.errors, result
        with agent(a, allowed_hosts=["a.example"]) as cage:
            address = cage.address_of("a.example")
            alert = b"\x15\x03\x03\x00\x02\x02"
            assert cage.talk(address, 443, tls.hello("b.example")) == alert + bytes([112])
            assert cage.talk(address, 443, tls.hello(None)) == alert + bytes([109])
            assert cage.talk(address, 443, b"SSH-2.0-x") is None
            codes = [event["code"] for event in cage.decisions(3, allowed=False)]
            assert codes == ["sni-mismatch", "sni-missing", "not-tls"]


# -- sni=any, and other rules while a tunnel is open --


@in_world
def test_an_entry_may_have_the_hello_not_looked_at(dns):
    dns()
    server = tls.sink(443)
    with Gate(["a.example:443;sni=any", "b.example:443"]) as gate:
        for data in (tls.hello("b.example"), tls.hello(None), b"SSH-2.0-x\r\n", tls.hello("a.example")):
            with gate.tunnel("a.example:443") as conn:
                conn.sendall(data)
                conn.shutdown(socket.SHUT_WR)
                assert read_all(conn) == b""
            assert gate.decision()["allowed"]
            assert received(server) == data
            server.received.clear()
        conn = gate.tunnel("b.example:443")
        conn.sendall(tls.hello("a.example"))
        assert is_refused(gate, conn, "sni-mismatch", "b.example")


@in_world
def test_a_tunnel_that_passed_unread_is_cut_when_its_entry_wants_to_read(dns):
    def handle(conn):
        while data := conn.recv(65536):
            conn.sendall(data)
    dns()
    Server(handle, PUBLIC, 443)
    Server(handle, PUBLIC, 22)
    exempt = ["a.example:443;sni=any", "a.example:22;sni=any", "b.example:443"]
    hellos = {"wrong": ("a.example:443", tls.hello("b.example")),
              "unread": ("a.example:443", tls.hello("a.example")),
              "odd": ("a.example:22", tls.hello("b.example")),
              "other": ("a.example:22", b"SSH-2.0-x\r\n"),
              "judged": ("b.example:443", tls.hello("b.example")),
              "idle": ("a.example:443", b"")}
    with Gate(exempt) as gate:
        conns = {}
        for name, (target, data) in hellos.items():
            conns[name] = gate.tunnel(target)
            conns[name].sendall(data)
            assert receive(conns[name], len(data)) == data
            assert gate.decision()["allowed"]
        assert gate.update(exempt)[0] == 0
        assert gate.update([rule.replace(";sni=any", "") for rule in exempt])[0] == 3
        for name in ("wrong", "unread", "odd"):
            with pytest.raises(ConnectionResetError):
                receive(conns[name], 1)
        for name in ("other", "judged"):
            conns[name].sendall(b"ping")
            assert receive(conns[name], 4) == b"ping"
        conns["idle"].sendall(tls.hello("b.example"))
        assert read_all(conns["idle"])[-1] == tls.ALERTS["sni-mismatch"]
        assert gate.decision()["reason"] == "sni-mismatch"
        for conn in conns.values():
            conn.close()


@in_world
def test_half_a_hello_is_judged_by_the_rule_that_is_in_force_when_it_goes_on(dns):
    dns()
    server = tls.sink(443)
    hello = tls.hello("b.example")
    with Gate(["a.example:443"]) as gate:
        conn = gate.tunnel("a.example:443")
        conn.sendall(hello[:100])
        gate.update(["a.example:443;sni=any"])
        conn.sendall(hello[100:])
        conn.shutdown(socket.SHUT_WR)
        assert read_all(conn) == b""
        assert received(server) == hello
        conn.close()


# -- what takes long (begun before the first test) --


def test_a_hello_must_come_in_time_and_an_unused_tunnel_may_wait():
    """15 s (GATE_HELLO_TIMEOUT) from its first byte, whatever trickles in."""
    seconds, first, second, passed, got = waited("trickle_a_hello")
    assert 14 < seconds < 35
    assert (first["reason"], second["reason"], second["status"]) == ("ok", "hello-timeout", 0)
    assert passed and got == b""
