"""Time-outs of caged-gate that take long by design: each is waited for in a thread of its own while
the other tests run. A test calls begin_waits() early and later asserts on what was seen."""

import concurrent.futures
import socket
import threading
import time

from harness import tls
from harness.daemon import until
from harness.gate import (PRIVATE, PUBLIC, VOIDS, Answer, Gate, in_world, read_all, read_answer,
                          read_until, receive)
from harness.http import ok

_waits = {}


def _dial_into_the_void():
    with Gate(["12.0.0.1"]) as gate:
        start = time.monotonic()
        answer = gate.ask(b"CONNECT 12.0.0.1:443 HTTP/1.1\r\n\r\n")
        return answer, time.monotonic() - start


def _late_address():
    """Nobody answers at the first four of a name, which are tried at once; the fifth is PRIVATE."""
    name = "late-in-hosts.example"
    with socket.create_server((PRIVATE, 0)) as server:
        target = f"{name}:{server.getsockname()[1]}"
        with Gate([target], private=[name]) as gate:
            start = time.monotonic()
            gate.tunnel(target).close()
            return gate.decision()["address"], time.monotonic() - start


def _late_address_dropped():
    """The same, but it is not allowed any more when its turn comes."""
    name = "late-in-hosts.example"
    with socket.create_server((PRIVATE, 0)) as server:
        target = f"{name}:{server.getsockname()[1]}"
        with Gate([target], private=[name]) as gate:
            conn = gate.send(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
            until(lambda: gate.dialling() == VOIDS[:4], 30)
            updated = gate.update([target], private=[])
            answer = Answer(read_all(conn))
            conn.close()
            address = gate.decision()["address"]
        server.setblocking(False)
        try:
            server.accept()[0].close()
            return updated, answer, address, True
        except BlockingIOError:
            return updated, answer, address, False


def _trickle_a_head():
    """Also opens a connection that never says a word."""
    with Gate(["11.22.33.44"]) as gate:
        silent = gate.connect()
        slow = gate.send(b"GET http://a/ HTTP/1.1\r\n")
        start = time.monotonic()
        slow.settimeout(0.5)
        answer = b""
        while not answer and time.monotonic() - start < 40:
            try:
                answer = read_until(slow)
            except TimeoutError:
                slow.sendall(b"X: y\r\n")
        seconds = time.monotonic() - start
        reason = gate.decision()["reason"]
        said = read_all(silent)
        gate.no_decision()
        slow.close()
        silent.close()
        return Answer(answer), seconds, reason, said


def _idle_behind_an_answer():
    listener = socket.create_server((PUBLIC, 0))  # not a Server: those end with the next test
    target = f"{PUBLIC}:{listener.getsockname()[1]}"
    with listener, Gate([target]) as gate:
        with gate.send(f"GET http://{target}/ HTTP/1.1\r\n\r\n".encode()) as conn:
            server, _ = listener.accept()
            read_until(server)
            server.sendall(ok())
            assert read_answer(conn).status == 200
            start = time.monotonic()
            conn.settimeout(100)
            return conn.recv(1), time.monotonic() - start


def _trickle_a_hello():
    """Beside a tunnel that was opened before it and says nothing meanwhile."""
    hello = tls.hello(None)
    with socket.create_server((PUBLIC, 8883)) as server, Gate([f"{PUBLIC}:8883"]) as gate:
        idle = gate.tunnel(f"{PUBLIC}:8883")
        idle_server = server.accept()[0]
        gate.decision()
        slow = gate.tunnel(f"{PUBLIC}:8883")
        slow_server = server.accept()[0]
        start = time.monotonic()
        slow.settimeout(0.5)
        for byte in hello:
            try:
                slow.sendall(bytes([byte]))
                slow.recv(1)
                break
            except TimeoutError:
                pass
            except ConnectionError:
                break
        seconds = time.monotonic() - start
        first, second = gate.decision(), gate.decision()
        try:
            received = slow_server.recv(100)
        except ConnectionResetError:
            received = b""
        idle.sendall(hello)
        passed = receive(idle_server, len(hello)) == hello
        for conn in (slow, slow_server, idle, idle_server):
            conn.close()
        return seconds, first, second, passed, received


def _parent_that_hangs():
    """It takes the request, and says half of an answer's head."""
    with socket.create_server((PUBLIC, 0)) as parent, \
            Gate(["a.example"], parent=f"http://{PUBLIC}:{parent.getsockname()[1]}") as gate:
        conn = gate.send(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
        start = time.monotonic()
        asked = parent.accept()[0]
        read_until(asked)
        asked.sendall(b"HTTP/1.1 200 OK\r\n")
        answer = Answer(read_all(conn))
        seconds = time.monotonic() - start
        conn.close()
        asked.close()
        return answer, seconds


def _ask_parent(said):
    """A parent proxy that says these bytes, one each half second, and no more."""
    with socket.create_server((PUBLIC, 0)) as parent, \
            Gate(["a.example"], parent=f"http://{PUBLIC}:{parent.getsockname()[1]}") as gate:
        client = gate.send(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
        start = time.monotonic()
        conn = parent.accept()[0]
        client.settimeout(0.5)
        answer = b""
        while not answer and time.monotonic() - start < 60:
            try:
                answer = read_all(client)
            except TimeoutError:
                conn.sendall(said[:1])
                said = said[1:]
        seconds = time.monotonic() - start
        client.close()
        conn.close()
        return Answer(answer), seconds, gate.decision()["reason"]


def _parent_stalls():
    return _ask_parent(b"")


def _parent_trickles():
    return _ask_parent(b"HTTP/1.1 200 " + b"x" * 1000)


def _run(wait, future):
    try:
        future.set_result(wait())
    except BaseException as error:
        future.set_exception(error)


@in_world
def begin_waits():
    """Once; threads that are started from the world are in it."""
    if not _waits:
        for wait in (_dial_into_the_void, _late_address, _late_address_dropped, _trickle_a_head,
                     _trickle_a_hello, _parent_that_hangs, _parent_stalls, _parent_trickles,
                     _idle_behind_an_answer):
            future = _waits[wait.__name__.strip("_")] = concurrent.futures.Future()
            # Daemons, so that a run of other tests alone does not wait for them.
            threading.Thread(target=_run, args=(wait, future), daemon=True).start()


def waited(name):
    begin_waits()
    return _waits[name].result(120)
