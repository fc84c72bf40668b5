"""What caged-gate records (harness/gate.py): each request once, and the end of each that was
allowed once, with what passed and how it ended; many in one message where they come together."""

import os
import re
import signal
import socket
import time

import pytest

from harness.gate import (PUBLIC, UPDATED, Answer, Gate, Server, configuration, echo_server,
                          http_server, in_world, read_all, read_until, receive, records)

RECORDS_BURST, RECORDS_FOLDED_MAX = 256, 128  # common/caged-limits.h


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    conn.close()


def one_answer(conn):
    """Reads exactly one answer, which has its length in its head; returns its status and body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = conn.recv(1)
        assert byte, head
        head += byte
    size = int(re.search(rb"(?i)\r\nContent-Length: (\d+)", head)[1])
    return int(head[9:12]), receive(conn, size)


def to(server):
    return f"{PUBLIC}:{server.port}"


@in_world
def test_a_decision_and_an_end_have_the_same_number_and_tell_all():
    server = echo_server()
    with Gate([to(server)]) as gate:
        conn = gate.tunnel(to(server))
        decision = gate.record()
        assert decision == {
            "verdict": "allowed", "request": 1, "method": "CONNECT", "host": PUBLIC,
            "port": server.port, "address": PUBLIC, "rule": to(server), "reason": "ok",
            "status": 0, "count": 1}
        conn.sendall(b"x" * 1000)
        assert receive(conn, 1000) == b"x" * 1000
        conn.shutdown(socket.SHUT_WR)
        assert read_all(conn) == b""
        conn.close()
        end = gate.end()
        assert 0 < end.pop("duration_usec") < 60_000_000
        assert end == {
            "request": 1, "method": "CONNECT", "host": PUBLIC, "port": server.port,
            "address": PUBLIC, "rule": to(server), "reason": "closed", "bytes_up": 1000,
            "bytes_down": 1000, "count": 1}
        gate.no_decision()
        assert gate.ends == []


@in_world
def test_requests_are_numbered_as_they_come():
    server = http_server()
    with Gate([to(server)]) as gate:
        for i in range(1, 4):
            assert gate.ask(f"GET http://{to(server)}/ HTTP/1.1\r\n\r\n".encode()).status == 200
            assert gate.ask(b"CONNECT other.example:443 HTTP/1.1\r\n\r\n").status == 403
            assert [gate.record()["request"] for _ in range(2)] == [2 * i - 1, 2 * i]
            assert gate.end()["request"] == 2 * i - 1
        gate.no_decision()
        assert gate.ends == [], "what is refused has no end"


def keep_alive_server():
    """Answers each request of a connection with as many bytes as its path says."""
    def handle(conn):
        data = b""
        while piece := conn.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, data = data.split(b"\r\n\r\n", 1)
                size = int(head.split()[1][1:])
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    return Server(handle)


@in_world
def test_each_request_of_a_kept_connection_has_a_record_and_an_end_of_its_own():
    server = keep_alive_server()
    sizes = [0, 5000, 100]
    with Gate([to(server)]) as gate, gate.connect() as conn:
        for size in sizes:
            conn.sendall(f"GET http://{to(server)}/{size} HTTP/1.1\r\n\r\n".encode())
            assert one_answer(conn) == (200, b"x" * size)
            conn.sendall(b"GET http://refused.example/ HTTP/1.1\r\n\r\n")
            assert one_answer(conn)[0] == 403
        decisions = [gate.record() for _ in range(2 * len(sizes))]
        ends = [gate.end() for _ in sizes]
        gate.no_decision()
        assert [d["request"] for d in decisions] == list(range(1, 7))
        assert [d["verdict"] for d in decisions] == ["allowed", "refused"] * 3
        assert [e["request"] for e in ends] == [1, 3, 5] and gate.ends == []
        assert {e["reason"] for e in ends} == {"closed"}
        heads = [end["bytes_down"] - size for end, size in zip(ends, sizes)]
        assert all(30 < head < 150 for head in heads), heads
        assert all(0 < end["bytes_up"] < 300 for end in ends)


@in_world
def test_the_end_of_a_plain_request_counts_its_heads_and_its_body():
    body = b"b" * 5000
    server = http_server(body)
    with Gate([to(server)]) as gate:
        answer = gate.ask(f"POST http://{to(server)}/ HTTP/1.1\r\nContent-Length: 700\r\n\r\n"
                          .encode() + b"a" * 700)
        assert (answer.status, answer.body) == (200, body)
        end = gate.end()
    assert (end["method"], end["reason"]) == ("POST", "closed")
    assert 700 < end["bytes_up"] < 1200 and 5000 < end["bytes_down"] < 5500


def cut_by_the_client(gate, server, conn):
    reset(conn)


def cut_by_the_server(gate, server, conn):
    conn.sendall(b"reset")


def cut_by_other_hosts(gate, server, conn):
    n, _ = gate.update(["other.example"])
    assert n == 1


def cut_by_the_end_of_the_gate(gate, server, conn):
    gate.control.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("how, code", [
    (cut_by_the_client, "client-gone"), (cut_by_the_server, "server-gone"),
    (cut_by_other_hosts, "cut"), (cut_by_the_end_of_the_gate, "gate-ended")])
@in_world
def test_an_end_tells_who_ended_it(how, code):
    def handle(conn):
        while data := conn.recv(1000):
            if data == b"reset":
                reset(conn)
                return
            conn.sendall(data)
    server = Server(handle)
    with Gate([to(server)]) as gate:
        conn = gate.tunnel(to(server))
        conn.sendall(b"ping")
        assert receive(conn, 4) == b"ping"
        how(gate, server, conn)
        end = gate.end()
        assert (end["reason"], end["bytes_up"], end["rule"]) == \
            (code, 9 if code == "server-gone" else 4, to(server))
        conn.close()


@in_world
def test_an_end_by_a_refusal_has_the_code_of_the_answer():
    def handle(conn):
        read_until(conn)
        conn.sendall(b"garbage\r\n\r\n")
    server = Server(handle)
    with Gate([to(server)]) as gate:
        answer = gate.ask(f"GET http://{to(server)}/ HTTP/1.1\r\n\r\n".encode())
        assert answer.reason == "bad-answer"
        assert gate.end()["reason"] == answer.reason
        with gate.send(f"POST http://{to(server)}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "zz\r\n".encode()) as conn:
            answer = Answer(read_all(conn))
        assert answer.reason == "bad-request"
        assert gate.end()["reason"] == answer.reason


@in_world
def test_what_comes_together_goes_in_one_message():
    """The gate is stopped while they ask: it finds all of them in one round."""
    server = echo_server()
    with Gate([to(server)]) as gate:
        conns = [gate.connect() for _ in range(30)]
        first = gate.tunnel(to(server))  # by then all of these are accepted
        assert gate.record()["request"] == 1
        os.kill(gate.pid, signal.SIGSTOP)
        for conn in conns:
            conn.sendall(f"CONNECT {to(server)} HTTP/1.1\r\n\r\n".encode())
        os.kill(gate.pid, signal.SIGCONT)
        messages = 0
        while len(gate.decisions) < len(conns):
            data = gate.control.recv(65536)
            assert len(data) <= 8192
            gate.take(list(records(data)))
            messages += 1
        assert messages <= len(conns) / 3, messages
        for conn in conns:
            assert read_until(conn).startswith(b"HTTP/1.1 200 ")
            conn.close()
        first.close()


# -- floods --


def flood(gate, request, n, answer):
    """So many requests, one after the other."""
    for _ in range(n):
        with gate.send(request) as conn:
            assert read_all(conn).startswith(answer)
        gate.take_ready()


@in_world
def test_a_flood_of_refusals_is_told_by_few_records_and_none_is_missing():
    asked = RECORDS_BURST + 400
    with Gate([PUBLIC]) as gate:
        flood(gate, b"CONNECT bad.example:443 HTTP/1.1\r\n\r\n", asked, b"HTTP/1.1 403 ")
        found = []
        while sum(record["count"] for record in found) < asked:
            found.append(gate.record())
        gate.no_decision()
    assert len(found) < asked - 100, len(found)
    assert {(r["verdict"], r["host"], r["port"], r["reason"], r["status"]) for r in found} == \
        {("refused", "bad.example", 443, "host-not-allowed", 403)}
    alone = [r["request"] for r in found if r["count"] == 1]
    assert alone[:RECORDS_BURST] == list(range(1, RECORDS_BURST + 1))


@in_world
def test_a_flood_of_refusals_hides_nothing_that_was_allowed():
    server = echo_server()
    with Gate([to(server)]) as gate:
        flood(gate, b"CONNECT bad.example:443 HTTP/1.1\r\n\r\n", RECORDS_BURST + 100,
              b"HTTP/1.1 403 ")
        gate.tunnel(to(server)).close()
        while (record := gate.record())["verdict"] == "refused":
            pass
        assert (record["verdict"], record["count"]) == ("allowed", 1)
        assert gate.end()["count"] == 1


@in_world
def test_bytes_and_ends_of_a_flood_are_added_up():
    server = http_server(b"x" * 100)
    asked = RECORDS_BURST + 100
    with Gate([to(server)]) as gate:
        flood(gate, f"GET http://{to(server)}/ HTTP/1.1\r\nConnection: close\r\n\r\n".encode(),
              asked, b"HTTP/1.1 200 ")
        assert gate.counted(asked) == {("allowed", "ok"): asked}
        ends = []
        while sum(end["count"] for end in ends) < asked:
            ends.append(gate.end())
    folded = [end for end in ends if end["count"] > 1]
    assert folded and {end["reason"] for end in ends} == {"closed"}
    alone = next(end for end in ends if end["count"] == 1)
    assert all(end["bytes_down"] == end["count"] * alone["bytes_down"] for end in folded)
    assert all(end["bytes_up"] == end["count"] * alone["bytes_up"] for end in folded)


@in_world
def test_too_many_different_hosts_are_told_by_their_code():
    asked = RECORDS_BURST + 3 * RECORDS_FOLDED_MAX
    with Gate([PUBLIC]) as gate:
        begin = time.monotonic()
        for i in range(asked):
            assert gate.ask(f"CONNECT host-{i}.example:443 HTTP/1.1\r\n\r\n".encode()).status == 403
            gate.take_ready()
        seconds = time.monotonic() - begin
        found = []
        while sum(record["count"] for record in found) < asked:
            found.append(gate.record())
    nameless = [r for r in found if r["host"] == ""]
    # What the rate lets through, and a table each second.
    assert len(found) <= RECORDS_BURST + (seconds + 2) * (64 + RECORDS_FOLDED_MAX + 1)
    assert all((r["method"], r["port"], r["reason"]) == ("", 0, "host-not-allowed")
               for r in nameless)
    assert nameless or seconds > 1, "the table was never full"


@in_world
def test_what_is_added_up_is_told_when_the_gate_ends():
    asked = RECORDS_BURST + 50
    with Gate([PUBLIC]) as gate:
        flood(gate, b"CONNECT bad.example:443 HTTP/1.1\r\n\r\n", asked, b"HTTP/1.1 403 ")
        gate.control.shutdown(socket.SHUT_WR)
        assert gate.counted(asked) == {("refused", "host-not-allowed"): asked}
        assert gate.control.recv(1) == b""
        assert gate.wait() == 0


@in_world
def test_an_update_comes_behind_the_sums_of_what_was_refused():
    asked = RECORDS_BURST + 50
    with Gate([PUBLIC]) as gate:
        flood(gate, b"CONNECT bad.example:443 HTTP/1.1\r\n\r\n", asked, b"HTTP/1.1 403 ")
        gate.send_update(configuration(["bad.example"]))
        while (message := gate.message())[0][0] != UPDATED:
            gate.take(message)
        assert sum(record["count"] for record in gate.decisions) == asked
