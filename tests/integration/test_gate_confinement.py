"""What a gate could still do if it were taken over (tests/escape/gate-confined.c): the real confinement,
entered by a program that then makes every system call there is."""

import fcntl
import socket
import subprocess

from harness import paths
from harness.gate import PUBLIC, UID, in_world

USABLE = {"mmap", "socket-tcp", "socket-udp6", "accept4", "pipe2", "pipe-size", "getsockname"}
OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
           (socket.IPPROTO_TCP, socket.TCP_NODELAY)]


def state_of(listener):
    return [fcntl.fcntl(listener, fcntl.F_GETFL),
            listener.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8),
            *(listener.getsockopt(*option) for option in OPTIONS)]


@in_world
def test_a_gate_that_was_taken_over_can_do_next_to_nothing():
    """No other call than those that it needs, and with those no more than it needs: all else is
    refused, and the listener that it inherited is afterwards as it was."""
    listener = socket.create_server((PUBLIC, 0))
    listener.setblocking(False)
    before = state_of(listener)
    caller = socket.create_connection(listener.getsockname())
    ours, theirs = socket.socketpair()
    program = subprocess.Popen([paths.BUILD / "tests/escape/gate-confined", str(UID)],
                               stdin=listener, stdout=theirs)
    theirs.close()
    ours.settimeout(60)
    told = b""
    while piece := ours.recv(65536):
        told += piece
    assert program.wait(60) == 0
    found = [line.split() for line in told.decode().splitlines()]
    assert len(dict(found)) == len(found) >= 136, "each name once"
    assert {name for name, outcome in found if outcome == "ok"} == USABLE
    assert {name: outcome for name, outcome in found
            if name not in USABLE and outcome != "EPERM"} == {}
    assert {"all-calls", "all-calls-x32", "int80"} < dict(found).keys()
    assert state_of(listener) == before
    caller.close()
    another = socket.create_connection(listener.getsockname())  # it listens
    listener.setblocking(True)
    listener.settimeout(10)
    accepted, _ = listener.accept()
    for conn in (another, accepted, listener, ours):
        conn.close()
