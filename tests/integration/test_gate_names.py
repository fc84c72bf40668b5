"""caged-gate as the name server of a transparent cage (harness/gate.py): its records, its limits
and what it does when nobody reads them. What it answers: test_transparent.py."""

import contextlib
import os
import select
import socket
import struct

from harness.gate import FAILED, PUBLIC, Gate, configuration, in_world
from harness.transparent import NO_SUCH_NAME, TXT, parse, question


def questions_to(gate):
    """A socket that is connected to the gate's for names."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(gate.transparent[1].getsockname())
    s.settimeout(15)
    return s


def answer_to(s, data):
    s.send(data)
    return parse(s.recv(4096), data)


@in_world
def test_a_refused_name_is_recorded_and_an_allowed_one_is_not():
    with Gate(["a.example:5"], transparent=True) as gate, questions_to(gate) as s:
        code, (address,) = answer_to(s, question("a.example"))
        assert code == 0 and address.startswith(("198.18.", "198.19."))
        assert answer_to(s, question("a.example", TXT)) == (0, [])
        assert answer_to(s, question("b.example", 28)) == (NO_SUCH_NAME, [])
        gate.no_decision()
        assert answer_to(s, question("B.example", TXT)) == (NO_SUCH_NAME, [])
        found = gate.decision()
        assert (found["allowed"], found["method"], found["host"], found["port"], found["reason"],
                found["status"], found["address"], found["rule"]) == (
            False, "dns", "b.example", 0, "host-not-allowed", 0, "", "")
        assert answer_to(s, question("no\thost.example")) == (NO_SUCH_NAME, [])
        found = gate.decision()
        assert (found["host"], found["reason"]) == ("", "bad-request")


@in_world
def test_a_denied_name_is_refused_by_its_entry_as_long_as_no_port_is_left():
    with Gate(["*.example", "evil.test:80"], deny=["evil.example", "*.half.example:443", "evil.test:80"],
              transparent=True) as gate, questions_to(gate) as s:
        for name, entry in (("evil.example", "evil.example"), ("evil.test", "evil.test:80")):
            assert answer_to(s, question(name)) == (NO_SUCH_NAME, [])
            found = gate.decision()
            assert (found["host"], found["reason"], found["rule"]) == (name, "host-denied", entry)
        assert len(answer_to(s, question("a.half.example"))[1]) == 1
        gate.no_decision()


@in_world
def test_no_refused_name_is_answered_before_its_record_and_none_is_lost():
    """The control socket takes a few records; then questions wait until somebody reads."""
    asked = 100
    with Gate(["a.example"], transparent=True, record_buffer=4608) as gate, questions_to(gate) as s:
        for number in range(asked):
            s.send(question(f"n{number}.example", number=number))
        # What is answered has a record: as long as none is read, some questions are not.
        answered = 0
        while select.select([s], [], [], 1)[0]:
            s.recv(4096)
            answered += 1
        assert 0 < answered < asked
        hosts = [gate.decision()["host"] for _ in range(asked)]
        assert hosts == [f"n{number}.example" for number in range(asked)]
        for _ in range(asked - answered):
            s.recv(4096)
        assert answer_to(s, question("a.example"))[0] == 0


@in_world
def test_a_flood_of_refused_names_is_added_up_and_all_are_answered():
    asked = 2000
    with Gate(["a.example"], transparent=True) as gate, questions_to(gate) as s:
        missing = set(range(asked))
        sent = 0
        while missing:
            some = sorted(missing)[:50]
            for number in some:
                s.send(question(f"n{number}.example", number=number))
            sent += len(some)
            for _ in some:
                missing.discard(struct.unpack("!H", s.recv(4096)[:2])[0])
        assert gate.counted(sent) == {("refused", "host-not-allowed"): sent}
        gate.no_decision()


@in_world
def test_an_update_changes_the_names_and_their_addresses_stay():
    with Gate(["a.example"], transparent=True) as gate, questions_to(gate) as s:
        _, (a,) = answer_to(s, question("a.example"))
        assert gate.update(["b.example"]) == (0, [])
        assert answer_to(s, question("a.example")) == (NO_SUCH_NAME, [])
        assert gate.decision()["host"] == "a.example"
        _, (b,) = answer_to(s, question("b.example"))
        assert gate.update(["a.example", "b.example"]) == (0, [])
        assert answer_to(s, question("a.example")) == (0, [a]) and a != b


@in_world
def test_a_connection_to_an_address_that_nobody_was_given_is_reset():
    with Gate(["a.example"], transparent=True) as gate:
        address, port = gate.transparent[0].getsockname()
        with contextlib.suppress(ConnectionResetError):  # as early as while it connects
            with socket.create_connection((address, port), 15) as conn:
                assert conn.recv(10) == b""
        found = gate.decision()
        assert (found["allowed"], found["method"], found["host"], found["port"], found["address"],
                found["reason"], found["status"]) == (
            False, "tcp", address, port, address, "address-unknown", 0)


@in_world
def test_an_update_cannot_make_a_gate_transparent_or_stop_it_from_being():
    for transparent in (True, False):
        gate = Gate(["a.example"], transparent=transparent)
        gate.send_update(configuration(["a.example"], transparent=not transparent))
        assert "transparent" in dict(gate.message())[FAILED]
        assert gate.wait() == 1
        gate.control.close()


@in_world
def test_it_is_small_and_has_two_descriptors_more():
    with Gate([PUBLIC], forwards=["127.0.0.1:9"], transparent=True) as gate:
        fds = {int(fd): os.readlink(f"/proc/{gate.pid}/fd/{fd}")
               for fd in os.listdir(f"/proc/{gate.pid}/fd")}
        assert [fd for fd in sorted(fds) if fds[fd].startswith("socket:")] == [3, 5, 6, 7, 8]
        with open(f"/proc/{gate.pid}/smaps_rollup", encoding="ascii") as file:
            private = sum(int(line.split()[1]) for line in file
                          if line.startswith(("Private_Dirty:", "Private_Clean:")))
        assert private < 1536  # KiB
