"""`cagectl run -t`: a terminal of the cage's own, driven from a real one."""

import os
import signal
import termios
import time

import pytest

from harness.terminal import Terminal


@pytest.fixture
def terminal(a):
    """Starts scripts in a cage with a terminal: terminal(script) gives the session."""
    made = []

    def start(script, **keys):
        made.append(Terminal(a, a.card(script), **keys))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_agent_has_a_terminal_of_the_windows_size(terminal):
    session = terminal("tty; stty size; echo TERM is $TERM; test -t 0 -a -t 1 -a -t 2 && echo all; exit 9",
                       rows=33, columns=101)
    assert session.finish() == 9, session.seen
    assert b"/dev/pts/0" in session.seen and b"33 101" in session.seen
    assert b"all" in session.seen and b"TERM is xterm" in session.seen


def test_what_is_typed_arrives_and_is_echoed_once(terminal):
    session = terminal("echo ready; read line; echo got:$line:")
    session.until(b"ready")
    session.type(b"hello you\r")
    session.until(b"got:hello you:")
    assert session.finish() == 0
    assert session.seen.count(b"hello you") == 2


def test_a_change_of_the_windows_size_reaches_the_agent(terminal):
    session = terminal("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.1; done")
    session.until(b"ready")
    session.resize(50, 132)
    session.until(b"50 132")
    assert session.finish() == 0


def test_control_c_interrupts_the_agent_not_the_client(terminal):
    session = terminal("trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done")
    session.until(b"ready")
    session.type(b"\x03")
    session.until(b"interrupted")
    assert session.finish() == 5


def test_control_d_is_the_end_of_the_input(terminal):
    session = terminal("echo ready; cat; echo after")
    session.until(b"ready")
    session.type(b"\x04")
    session.until(b"after")
    assert session.finish() == 0


def test_job_control_works(terminal):
    session = terminal("exec bash --norc -i")
    session.until(b"$")
    session.type(b"sleep 30\r")
    session.until(b"Stopped", poke=b"\x1a")  # again if it came before sleep did
    session.type(b"fg\r")
    session.until(b"^C", poke=b"\x03")
    session.type(b"echo status-$?\r")
    session.until(b"status-130")
    session.type(b"exit 3\r")  # with a stopped job the shell would stay
    assert session.finish() == 3
    assert b"no job control" not in session.seen


def test_raw_mode_and_all_bytes_pass(terminal):
    session = terminal("stty raw -echo; echo ready; head -c 4 | od -An -tx1; exit 0")
    session.until(b"ready")
    session.type(b"\x03\x04\xff\x00")
    session.until(b"03 04 ff 00")
    assert session.finish() == 0


@pytest.mark.parametrize("end", ["exit 0", "kill -KILL $$", "stty raw -echo; exit 1"])
def test_the_callers_terminal_is_as_before(terminal, end):
    session = terminal(end)
    session.finish()
    assert termios.tcgetattr(session.slave) == session.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_callers_terminal_is_as_before_when_the_client_is_told_to_end(terminal, a, number):
    session = terminal("trap '' TERM HUP; echo ready; while :; do sleep 0.1; done")
    session.until(b"ready")
    session.process.send_signal(number)
    time.sleep(0.3)
    if session.process.poll() is None:  # it passed the signal on; the agent ignores it
        a.call("Kill", agent_id=session.card["agent_id"])
    session.finish()
    assert termios.tcgetattr(session.slave) == session.before


def test_much_output_is_whole(terminal):
    session = terminal("i=0; while [ $i -lt 3000 ]; do echo line-$i-; i=$((i+1)); done; echo the-end")
    session.until(b"the-end", timeout=30)
    session.finish()
    assert session.seen == b"".join(b"line-%d-\r\n" % i for i in range(3000)) + b"the-end\r\n"


def test_the_agent_cannot_push_input_into_the_callers_terminal(terminal):
    """Its terminal is not ours; and TIOCSTI into its own is refused as well."""
    session = terminal("python3 -c 'import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b\"x\")'; "
                       "echo done")
    session.until(b"done")
    session.finish()
    assert b"OSError" in session.seen or b"PermissionError" in session.seen, session.seen


def test_without_a_terminal_the_client_says_so(a):
    result = a.cagectl("run", "-t", a.cards.write(a.card("true")))
    assert result.status != 0 and "terminal" in result.errors


def test_the_agent_ends_when_the_window_is_closed(terminal, a):
    session = terminal("trap '' HUP; echo ready; while :; do sleep 0.1; done")
    session.until(b"ready")
    session.process.kill()
    assert a.wait(session.card["agent_id"])["reason"] == "client_gone"


def test_an_agent_in_the_background_can_have_a_terminal_too(a):
    with a.connect() as connection:
        card = a.card("stty size; exit 3")
        reply = a.daemon.spawn(a.user, card, connection, terminal=True)
        assert os.isatty(connection.fds[reply["terminal_fd"]])
        assert a.wait(card["agent_id"])["exit_status"] == 3
