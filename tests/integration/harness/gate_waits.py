"""Time-outs of caged-gate that take long by design: each is waited for in a thread of its own while
the other tests run. A test calls begin_waits() early and later asserts on what was seen."""

import concurrent.futures
import socket
import threading
import time

from harness.gate import PUBLIC, Answer, Gate, in_world, read_all, read_answer, read_until
from harness.http import ok

_waits = {}


def _dial_into_the_void():
    with Gate(["12.0.0.1"]) as gate:
        start = time.monotonic()
        answer = gate.ask(b"CONNECT 12.0.0.1:443 HTTP/1.1\r\n\r\n")
        return answer, time.monotonic() - start


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


def _run(wait, future):
    try:
        future.set_result(wait())
    except BaseException as error:
        future.set_exception(error)


@in_world
def begin_waits():
    """Once; threads that are started from the world are in it."""
    if not _waits:
        for wait in (_dial_into_the_void, _trickle_a_head, _idle_behind_an_answer):
            future = _waits[wait.__name__.strip("_")] = concurrent.futures.Future()
            # Daemons, so that a run of other tests alone does not wait for them.
            threading.Thread(target=_run, args=(wait, future), daemon=True).start()


def waited(name):
    begin_waits()
    return _waits[name].result(120)
