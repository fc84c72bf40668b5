"""Other lists of hosts for a gate that runs (harness/gate.py): what they do not allow is cut or
refused, whatever state it is in; all else goes on as if nothing had been."""

import array
import hashlib
import os
import socket
import threading
import time

import pytest

from harness.daemon import until
from harness.gate import (CONFIG, FAILED, METADATA, PART, PRIVATE, PUBLIC, PUBLIC_2, UID, UPDATE,
                          Answer, Dns, Gate, Server, configuration, echo_server, http_server,
                          in_world, read_all, read_until, receive, record)

VOID = "12.0.0.1"  # nobody answers there


def is_alive(conn):
    """Whether an echo comes back."""
    try:
        conn.sendall(b"ping")
        return receive(conn, 4) == b"ping"
    except (ConnectionResetError, BrokenPipeError):
        return False


def is_cut(conn):
    """Whether the connection is reset, at once."""
    conn.settimeout(1)
    try:
        return conn.recv(1) == b"" and False
    except ConnectionResetError:
        return True


def is_waiting(conn):
    """Whether nothing comes for a while."""
    conn.settimeout(0.3)
    try:
        return conn.recv(1) and False
    except TimeoutError:
        return True


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    conn.close()


def connect_head(target):
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


# -- what is cut, and what is not --


@in_world
def test_what_is_removed_is_cut_and_all_else_goes_on():
    kept, gone, added = echo_server(), echo_server(), echo_server()
    to_kept, to_gone, to_added = (f"{PUBLIC}:{s.port}" for s in (kept, gone, added))
    with Gate([to_kept, to_gone]) as gate:
        tunnels = [gate.tunnel(to_kept), gate.tunnel(to_gone), gate.tunnel(to_gone)]
        assert all(gate.decision()["allowed"] for _ in tunnels)
        assert gate.ask(connect_head(to_added)).reason == "host-not-allowed"
        gate.decision()
        assert gate.update([to_added, to_kept]) == (2, [])
        assert is_cut(tunnels[1]) and is_cut(tunnels[2])
        assert is_alive(tunnels[0])
        tunnels.append(gate.tunnel(to_added))
        assert is_alive(tunnels[-1])
        found = gate.decision()
        assert (found["allowed"], found["rule"]) == (True, to_added)
        assert gate.ask(connect_head(to_gone)).reason == "host-not-allowed"
        assert gate.ask(connect_head(f"{PUBLIC}:9")).reason == "host-not-allowed"
        assert gate.update([]) == (2, [gate_refusal(gone.port), gate_refusal(9)])
        assert is_cut(tunnels[0]) and is_cut(tunnels[-1])
        for conn in tunnels:
            conn.close()


def gate_refusal(port):
    return {"allowed": False, "method": "CONNECT", "host": PUBLIC, "port": port, "address": "",
            "rule": "", "reason": "host-not-allowed", "status": 403}


@in_world
def test_the_server_of_a_cut_tunnel_sees_a_reset_too():
    seen = []

    def handle(conn):
        conn.sendall(b"x")
        try:
            seen.append(conn.recv(10))
        except ConnectionResetError:
            seen.append("reset")
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.tunnel(f"{PUBLIC}:{server.port}")
        assert receive(conn, 1) == b"x"
        gate.decision()
        assert gate.update([]) == (1, [])
        until(lambda: seen == ["reset"])
        conn.close()


@in_world
def test_a_tunnel_stays_whichever_rule_allows_it():
    server = echo_server(port=80)
    dns = Dns({"a.b.example": [PUBLIC]})
    with Gate(["*.example"]) as gate:
        conn = gate.tunnel("a.b.example:80")
        assert gate.decision()["rule"] == "*.example"
        for rules in (["a.b.example:80"], ["x.example", "*.b.example"], ["a.b.example", "*.c"]):
            assert gate.update(rules) == (0, [])
            assert is_alive(conn)
        # The address alone does not allow what was named by a name.
        assert gate.update([PUBLIC]) == (1, [])
        assert is_cut(conn)
        conn.close()
    dns.close()
    server.close()


@in_world
def test_consent_to_a_private_address_can_be_taken_back():
    server = echo_server(PRIVATE)
    dns = Dns({"a.example": [PRIVATE], "b.example": [PRIVATE]})
    rules = [f"a.example:{server.port}", f"b.example:{server.port}"]
    with Gate(rules, private=["a.example", "b.example"]) as gate:
        a, b = (gate.tunnel(f"{name}.example:{server.port}") for name in "ab")
        assert gate.decision()["allowed"] and gate.decision()["allowed"]
        assert gate.update(rules, private=["b.example"]) == (1, [])
        assert is_cut(a) and is_alive(b)
        # By an entry that lists the address itself it may stay.
        assert gate.update(rules + [f"{PRIVATE}:{server.port}"], private=[]) == (0, [])
        assert is_alive(b)
        # A range that is wider than what makes the address special is no consent.
        assert gate.update(rules + [f"0.0.0.0/0:{server.port}"], private=[]) == (1, [])
        assert is_cut(b)
        a.close()
        b.close()
    dns.close()


@in_world
def test_a_request_that_is_being_answered_is_cut():
    going = threading.Event()

    def handle(conn):
        read_until(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        going.wait(10)
    server = Server(handle)
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.send(f"GET http://{PUBLIC}:{server.port}/ HTTP/1.1\r\n"
                         f"Host: {PUBLIC}:{server.port}\r\n\r\n".encode())
        read_until(conn, b"half")
        gate.decision()
        assert gate.update([PUBLIC_2]) == (1, [])
        assert is_cut(conn)
        conn.close()
    going.set()


@in_world
def test_a_forward_is_cut_and_can_come_back():
    server = echo_server("127.0.0.1")
    target = f"127.0.0.1:{server.port}"
    with Gate([target], forwards=[target]) as gate:
        def forward():
            conn = socket.create_connection(("127.0.0.1", gate.forward_ports[0]))
            conn.settimeout(10)
            return conn
        first = forward()
        assert is_alive(first)
        gate.decision()
        assert gate.update([f"localhost:{server.port}"]) == (0, [])  # the same by another name
        assert is_alive(first)
        for i in range(20):  # lists that come and go leave the forward as it is
            many = [f"{'x' * 40}-{i}-{k}.example" for k in range(200)]
            assert gate.update([target] + many, private=many) == (0, [])
        second = forward()
        assert is_alive(second)
        assert gate.decision()["port"] == server.port
        assert gate.update([PUBLIC]) == (2, [])
        assert is_cut(first) and is_cut(second)
        refused = forward()
        assert not is_alive(refused)
        assert gate.decision()["reason"] == "host-not-allowed"
        assert gate.update([target]) == (0, [])
        again = forward()
        assert is_alive(again)
        for conn in (first, second, refused, again):
            conn.close()


@in_world
def test_tunnels_by_a_parent_proxy_are_cut_by_what_was_asked_for():
    def handle(conn):
        head = read_until(conn)
        if b"slow.example" in head:
            conn.recv(1)
            return
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while data := conn.recv(100):
            conn.sendall(data)
    parent = Server(handle, PRIVATE)
    target = f"{METADATA}:81"
    with Gate(["*.example"], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        a, b = gate.tunnel("a.example:80"), gate.tunnel("b.example:80")
        gate.decision(), gate.decision()
        slow = gate.send(connect_head("slow.example:80"))
        until(lambda: parent.accepted == 3)
        n, decisions = gate.update(["a.example"])
        assert n == 1 and [d["reason"] for d in decisions] == ["host-not-allowed"]
        assert Answer(read_all(slow)).reason == "host-not-allowed"
        assert is_alive(a) and is_cut(b)
        for conn in (a, b, slow):
            conn.close()
    # A literal address is held against the lists here, whoever dials it.
    with Gate(["slow.example", target], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        literal = gate.tunnel(target)
        gate.decision()
        slow = gate.send(connect_head("slow.example:80"))
        until(lambda: parent.accepted == 5)
        n, decisions = gate.update(["0.0.0.0/0:81", "slow.example"])
        assert (n, decisions) == (1, [])
        assert is_cut(literal) and is_waiting(slow)
        literal.close()
        reset(slow)
        gate.decision()


@in_world
def test_an_address_that_a_parent_proxy_is_asked_for_may_lose_its_consent():
    parent = Server(lambda conn: read_until(conn) and conn.recv(1), PRIVATE)
    target = f"{METADATA}:81"
    with Gate([target], parent=f"http://{PRIVATE}:{parent.port}") as gate:
        slow = gate.send(connect_head(target))
        until(lambda: parent.accepted == 1)
        n, decisions = gate.update(["0.0.0.0/0:81"])
        assert n == 0
        assert [(d["reason"], d["address"]) for d in decisions] == \
            [("address-not-allowed", METADATA)]
        assert Answer(read_all(slow)).reason == "address-not-allowed"
        slow.close()


# -- what has not come so far yet --


@in_world
def test_a_name_that_is_being_looked_up_is_refused_or_goes_on():
    quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet.bind(("127.0.0.53", 53))
    quiet.settimeout(10)
    with Gate(["a.example", "b.example"]) as gate:
        a, b = (gate.send(connect_head(f"{name}.example:80")) for name in "ab")
        for _ in range(4):  # both names, A and AAAA
            quiet.recv(1000)
        n, decisions = gate.update(["a.example"])
        assert n == 0
        assert [(d["host"], d["reason"], d["status"]) for d in decisions] == \
            [("b.example", "host-not-allowed", 403)]
        assert Answer(read_all(b)).reason == "host-not-allowed"
        assert is_waiting(a)
        reset(a)
        assert gate.decision()["reason"] == "client-gone"
        b.close()
    quiet.close()


@in_world
def test_what_the_answer_brings_is_held_against_the_new_lists():
    """The name was asked for by the old lists; where it leads to, the new ones say."""
    server = echo_server(PRIVATE, 80)
    asked, answer = threading.Event(), threading.Event()

    class SlowDns(Dns):
        def _answer(self, query, tcp):
            asked.set()
            answer.wait(10)
            return super()._answer(query, tcp)
    dns = SlowDns({"a.example": [PRIVATE]})
    with Gate(["a.example"], private=["a.example"]) as gate:
        conn = gate.send(connect_head("a.example:80"))
        assert asked.wait(10)
        assert gate.update(["a.example"], private=[]) == (0, [])
        answer.set()
        assert Answer(read_all(conn)).reason == "address-not-allowed"
        assert gate.decision()["address"] == PRIVATE
        conn.close()
    assert server.accepted == 0
    dns.close()


@in_world
def test_what_is_being_dialled_is_refused_or_goes_on():
    dns = Dns({"a.example": [VOID], "b.example": [VOID]})
    with Gate(["a.example", "b.example", VOID]) as gate:
        waiting = [gate.send(connect_head(f"{name}:80")) for name in
                   ("a.example", "b.example", VOID)]
        until(lambda: gate.dialling() == [VOID] * 3)
        n, decisions = gate.update(["b.example"])
        assert n == 0
        assert sorted((d["host"], d["address"], d["reason"]) for d in decisions) == \
            [(VOID, VOID, "host-not-allowed"), ("a.example", VOID, "host-not-allowed")]
        for conn in (waiting[0], waiting[2]):
            assert Answer(read_all(conn)).reason == "host-not-allowed"
        assert is_waiting(waiting[1])
        reset(waiting[1])
        assert gate.decision()["reason"] == "client-gone"
        waiting[0].close()
        waiting[2].close()
    dns.close()


@in_world
def test_the_address_that_is_dialled_may_lose_its_consent():
    dns = Dns({"a.example": [PRIVATE], "two.example": [PRIVATE, VOID]})
    blocked = socket.socket()  # its backlog is full, so a dial there waits
    blocked.bind((PRIVATE, 443))
    blocked.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex((PRIVATE, 443))
    with Gate(["*.example"], private=["*.example"]) as gate:
        conn = gate.send(connect_head("a.example:443"))
        until(lambda: gate.dialling() == [PRIVATE])
        n, decisions = gate.update(["*.example"], private=[])
        assert n == 0
        assert [(d["reason"], d["address"]) for d in decisions] == \
            [("address-not-allowed", PRIVATE)]
        assert Answer(read_all(conn)).reason == "address-not-allowed"
        conn.close()
        # One of two that are tried at once: the other goes on.
        gate.update(["*.example"], private=["*.example"])
        conn = gate.send(connect_head("two.example:443"))
        until(lambda: gate.dialling() == sorted([PRIVATE, VOID]))
        assert gate.update(["*.example"], private=["*.example"], deny=[PRIVATE]) == (0, [])
        until(lambda: gate.dialling() == [VOID])
        assert is_waiting(conn)
        n, decisions = gate.update(["*.example"], deny=["12.0.0.0/8"])
        assert (n, [(d["reason"], d["rule"], d["address"]) for d in decisions]) == \
            (0, [("host-denied", "12.0.0.0/8", VOID)])
        assert Answer(read_all(conn)).reason == "host-denied"
        conn.close()
        assert gate.dialling() == []
    for s in fillers + [blocked]:
        s.close()
    dns.close()

@in_world
def test_half_a_head_is_decided_by_what_is_in_force_when_it_is_whole():
    server = echo_server()
    head = connect_head(f"{PUBLIC}:{server.port}")
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        allowed_before, allowed_after = gate.send(head[:-2]), gate.send(head[:-2])
        time.sleep(0.1)
        assert gate.update([]) == (0, [])
        allowed_before.sendall(head[-2:])
        assert Answer(read_all(allowed_before)).reason == "host-not-allowed"
        gate.decision()
        assert gate.update([f"{PUBLIC}:{server.port}"]) == (0, [])
        allowed_after.sendall(head[-2:])
        assert read_until(allowed_after).startswith(b"HTTP/1.1 200 ")
        gate.decision()
        allowed_before.close()
        allowed_after.close()


@in_world
def test_no_byte_passes_what_waits_for_its_record():
    """Allowed by the old lists and connected, while cagedd's socket was full: the update comes
    before the first byte."""
    server = http_server()
    target = f"{PUBLIC}:{server.port}"
    with Gate([target], record_buffer=4608) as gate:
        conns = [gate.send(f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
                 for _ in range(100)]
        until_idle(gate)  # the socket is full of records, and what was recorded is over
        gate.send_update(configuration([PUBLIC_2]))
        n, decisions = gate.updated()  # it is taken although no record was
        allowed = sum(d["allowed"] for d in decisions)
        assert 1 <= n < allowed
        settle(gate)
        requests = [data for data in server.received if data]
        assert len(requests) == allowed - n
        for conn in conns:
            conn.close()


def until_idle(gate):
    """Until it waits, and has waited for a moment."""
    def look():
        with open(f"/proc/{gate.pid}/stat", encoding="ascii") as stat, \
                open(f"/proc/{gate.pid}/schedstat", encoding="ascii") as run:
            return stat.read().rpartition(")")[2].split()[0], run.read().split()[0]

    before = None
    while (now := look()) != before or now[0] != "S":
        before = now
        time.sleep(0.3)


def settle(gate):
    """Reads the records that are left until none comes any more."""
    gate.control.settimeout(0.5)
    try:
        while True:
            gate.message()
    except TimeoutError:
        gate.control.settimeout(15)


# -- the way in which it comes --


@in_world
@pytest.mark.parametrize("part", [1, 7, 3500, 8184])
def test_it_takes_effect_with_its_last_byte(part):
    server = echo_server()
    target = f"{PUBLIC}:{server.port}"
    many = [f"host-{i}.example" for i in range(100)]
    with Gate([target]) as gate:
        conn = gate.tunnel(target)
        gate.decision()
        config = configuration(many + [f"{PUBLIC}:1"])
        gate.send_update(config, part, len(config) - 1)
        assert is_alive(conn)
        gate.tunnel(target).close()
        assert gate.decision()["allowed"]
        gate.no_decision()
        gate.control.send(record(PART, config[-1:]))
        assert gate.updated() == (1, [])
        assert is_cut(conn)
        assert gate.ask(connect_head("host-99.example:1")).reason == "host-not-allowed"
        assert gate.decision()["host"] == "host-99.example"
        conn.close()


LISTS = configuration([PUBLIC])


@in_world
@pytest.mark.parametrize("messages,why", [
    ([record(UPDATE, len(LISTS)), record(PART, LISTS[:-1] + b"x")], "not a string"),
    ([record(UPDATE, 5), record(PART, b"12345")], "not whole records"),
    ([record(UPDATE, len(LISTS)), record(PART, LISTS + b"x")], "too long"),
    ([record(UPDATE, len(LISTS)), record(PART, b"")], "empty"),
    ([record(UPDATE, len(LISTS)), record(UPDATE, len(LISTS))], "inside another"),
    ([record(PART, b"x")], "none is under way"),
    ([record(UPDATE, 0)], "size of an update"), ([record(UPDATE, 1 << 40)], "size of an update"),
    ([record(UPDATE, b"1")], "size of an update"), ([record(9, b"")], "unknown type"),
    ([b"x"], "not one record"), ([record(UPDATE, 5) * 2], "not one record"),
] + [([record(UPDATE, len(config)), record(PART, config)], why) for config, why in [
    (configuration([PUBLIC], uid=UID + 1), "another uid"),
    (configuration([PUBLIC], agent_id="other"), "another agent"),
    (configuration([PUBLIC], parent="http://10.0.0.1:1"), "another parent"),
    (configuration([PUBLIC], forwards=["127.0.0.1:9"]), "other forwards"),
    (configuration(["http://x/"]), "slash"), (LISTS + record(99, b""), "unknown type"),
    (LISTS + record(CONFIG["uid"], UID), "came twice")]])
def test_a_gate_that_cannot_take_an_update_ends(messages, why):
    """And never goes on by the old lists."""
    server = echo_server()
    gate = Gate([PUBLIC, f"{PUBLIC}:{server.port}"])
    conn = gate.tunnel(f"{PUBLIC}:{server.port}")
    gate.decision()
    for message in messages:
        gate.control.send(message)
    assert gate.end()["reason"] == "gate-ended"
    (kind, text), = gate.message()
    assert kind == FAILED and why in text, text
    assert gate.control.recv(10) == b""
    assert gate.wait(2) == 1
    assert is_cut(conn)
    conn.close()
    gate.control.close()


@in_world
def test_too_long_a_message_ends_the_gate():
    gate = Gate([PUBLIC])
    gate.control.send(record(PART, b"x" * 8185))
    assert gate.wait(2) == 1
    gate.control.close()


@in_world
def test_half_an_update_is_nothing_when_the_socket_ends():
    gate = Gate([PUBLIC])
    gate.send_update(LISTS, end=20)
    gate.control.close()
    assert gate.wait(2) == 0


@in_world
def test_no_descriptor_comes_in_with_an_update():
    with Gate([PUBLIC]) as gate:
        before = sorted(os.listdir(f"/proc/{gate.pid}/fd"))
        with open("/etc/passwd", encoding="ascii") as file:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))]
            gate.control.sendmsg([record(UPDATE, len(LISTS))], rights)
            gate.control.sendmsg([record(PART, LISTS)], rights)
        assert gate.updated() == (0, [])
        assert sorted(os.listdir(f"/proc/{gate.pid}/fd")) == before


# -- many of them --


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


@in_world
def test_a_thousand_updates_leave_nothing_behind():
    server = echo_server()
    target = f"{PUBLIC}:{server.port}"
    big = [f"{'a' * 60}.{'b' * 60}.host-{i}.example" for i in range(255)]
    with Gate([target]) as gate:
        conn = gate.tunnel(target)
        gate.decision()
        for i in range(1000):
            assert gate.update([target] + (big if i % 2 else [])) == (0, [])
            if i == 50:
                fds, memory = sorted(os.listdir(f"/proc/{gate.pid}/fd")), private_kib(gate.pid)
        assert sorted(os.listdir(f"/proc/{gate.pid}/fd")) == fds
        assert private_kib(gate.pid) < memory + 256
        assert is_alive(conn)
        conn.close()


@in_world
def test_a_stream_is_whole_through_many_updates():
    size = 30_000_000

    def handle(conn):
        block = bytes(range(256)) * 256
        for at in range(0, size, len(block)):
            conn.sendall(block[:min(len(block), size - at)])
    server = Server(handle)
    target = f"{PUBLIC}:{server.port}"
    with Gate([target]) as gate:
        conn = gate.tunnel(target)
        gate.decision()
        digest, n = hashlib.sha256(), 0
        for i in range(100):
            if piece := receive(conn, 100_000):
                digest.update(piece)
                n += len(piece)
            assert gate.update([f"x{i}.example", target]) == (0, [])
        rest = read_all(conn)
        digest.update(rest)
        whole = (bytes(range(256)) * 256 * (size // 65536 + 1))[:size]
        assert n + len(rest) == size and digest.digest() == hashlib.sha256(whole).digest()
        conn.close()


@in_world
def test_a_race_opens_nothing_that_neither_list_allows():
    """Connections come all the time while the lists go to and fro: none to a host that is in
    neither, and none is left to a host of the other list once an update was answered."""
    a, b, never = echo_server(), echo_server(), echo_server()
    lists = [[f"{PUBLIC}:{a.port}"], [f"{PUBLIC}:{b.port}"]]
    with Gate(lists[0]) as gate:
        over = threading.Event()
        found = {a.port: [], b.port: [], never.port: []}
        opened = {a.port: [], b.port: [], never.port: []}

        def ask(port):
            while not over.is_set():
                conn = gate.send(connect_head(f"{PUBLIC}:{port}"))
                try:
                    head = read_until(conn)
                except ConnectionResetError:
                    head = b"HTTP/1.1 200 cut"  # it was allowed, and cut before we read it
                found[port].append(head[9:12])
                if head[9:12] == b"200":
                    opened[port].append(conn)
                    if len(opened[port]) > 50:
                        opened[port].pop(0).close()
                else:
                    conn.close()
        threads = [threading.Thread(target=ask, args=(port,)) for port in found]
        for thread in threads:
            thread.start()
        for i in range(200):
            forbidden = (b, a)[(i + 1) % 2]
            gate.update(lists[(i + 1) % 2])
            if i % 20 == 0:  # what was open to the other is cut
                for conn in list(opened[forbidden.port]):
                    assert not is_alive_or_closed(conn)
        over.set()
        drain = threading.Thread(target=settle, args=(gate,))
        drain.start()
        for thread in threads:
            thread.join(20)
        drain.join()
        assert never.accepted == 0 and set(found[never.port]) == {b"403"}
        for port in (a.port, b.port):
            assert set(found[port]) == {b"200", b"403"}, "the race took place"
            for conn in opened[port]:
                conn.close()


def is_alive_or_closed(conn):
    """False for one that we closed ourselves meanwhile, too."""
    conn.settimeout(5)
    try:
        return is_alive(conn)
    except OSError:
        return False
