"""What gates record, from the gate to cagectl audit: with a real daemon that has no journal, what
comes; with one that only answers, how the past and what comes are joined. The journal itself is in
tests/system/test_audit.py."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading

import pytest

from harness import paths
from harness.daemon import until
from harness.tunnels import Echo, in_network_of, place_of, status_of
from harness.varlink import VarlinkError

CURL = "curl -s --max-time 20 -o /dev/null"
UNSUPPORTED = 78


@pytest.fixture(scope="module")
def echo():
    """The port of a server on the host's loopback that sends back what it gets."""
    server = Echo("127.0.0.1")
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def tunnel(port, size=1000, more=""):
    """An agent's words: a tunnel to the port, so many bytes there and back, and its end."""
    return f"""python3 -c '
import os, socket, sys, time, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
s = socket.create_connection((proxy.hostname, proxy.port))
s.sendall(b"CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n")
head = b""
while not head.endswith(b"\\r\\n\\r\\n"): head += s.recv(1)
s.sendall(b"x" * {size})
left = {size}
while left: left -= len(s.recv(left))
{more}
s.shutdown(socket.SHUT_WR)
assert s.recv(1) == b""
'"""


class Follower:
    """A cagectl audit -f that has subscribed: it told that there is no past."""

    def __init__(self, client, *words):
        self.process = client.daemon.start_cagectl(client.user, "audit", "-f", *words,
                                                          bufsize=0)  # select(2) sees all
        self.errors = self.process.stderr.readline() + self.process.stderr.readline()

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, "no line came"
        return self.process.stdout.readline().decode().rstrip("\n")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=20)
        assert rest == b"", rest


@pytest.fixture
def follow():
    made = []

    def start(client, *words):
        made.append(Follower(client, *words))
        return made[-1]
    yield start
    for follower in made:
        follower.close()


# -- from the gate to a reader --


def test_a_decision_and_its_end_are_lines_that_fit_a_terminal(a, follow, echo):
    lines = follow(a, "told")
    assert b"the past cannot be shown: this host has no journal" in lines.errors
    result = a.run(f"{tunnel(echo, 12345)}; {CURL} http://bad.example/", agent_id="told",
                   allowed_hosts=[f"127.0.0.1:{echo}"])
    assert result.status == 0, result
    allowed, ended, refused = (lines.line() for _ in range(3))
    when = r"\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{when} told         allowed CONNECT 127.0.0.1:{echo} "
                        rf"by 127.0.0.1:{echo}", allowed)
    assert re.fullmatch(rf"{when} told         ended   CONNECT 127.0.0.1:{echo} "
                        r"closed 12 kB up 12 kB down [\d.]+ m?s", ended)
    assert re.fullmatch(rf"{when} told         refused GET     bad.example:80 "
                        r"host-not-allowed", refused)
    assert all(len(line) <= 100 for line in (allowed, ended, refused))


def test_events_and_audit_tell_the_same(a, follow, echo):
    lines = follow(a, "-o", "json", "same")
    with a.connect() as connection:
        connection.send("Events", {"agent_id": "same"}, more=True)
        a.call("List")
        a.run(f"{tunnel(echo)}; {CURL} http://bad.example/", agent_id="same",
              allowed_hosts=[f"127.0.0.1:{echo}"])
        events = []
        while not events or events[-1]["kind"] != "ended":
            events += connection.reply()["events"]
    told = [event for event in events if event["kind"].startswith("network")]
    assert [event["kind"] for event in told] == ["network", "network_ended", "network"]
    assert [event["record"] for event in told] == [1, 2, 3]
    assert [event["request"] for event in told] == [1, 1, 2]
    assert [event.get("verdict") for event in told] == ["allowed", None, "refused"]
    assert (told[1]["bytes_up"], told[1]["bytes_down"], told[1]["code"]) == (1000, 1000, "closed")
    assert 0 < told[1]["duration_usec"] < 60_000_000
    assert {event["invocation_id"] for event in told} == \
        {a.inspect("same")["agent"]["invocation_id"]}
    for event in told:
        line = json.loads(lines.line())
        del event["sequence"]
        assert line == event
    network = a.inspect("same")["network"]
    assert (network["allowed"], network["refused"]) == (1, 1)


def test_only_what_was_denied(a, follow, echo):
    lines = follow(a, "--denied", "-j", "denied")
    a.run(f"{tunnel(echo)}; {CURL} http://bad.example/; {tunnel(echo)}; {CURL} http://worse.example/",
          agent_id="denied", allowed_hosts=[f"127.0.0.1:{echo}"])
    records = [json.loads(lines.line()) for _ in range(2)]
    assert [(r["host"], r["verdict"], r["code"]) for r in records] == [
        ("bad.example", "refused", "host-not-allowed"),
        ("worse.example", "refused", "host-not-allowed")]


def test_others_see_nothing_of_it_and_root_sees_all(a, b, root, follow):
    bs, roots, roots_of_a = follow(b), follow(root), follow(root, "-u", str(a.user.uid))
    a.run(f"{CURL} http://of-a.example/", agent_id="alike", allowed_hosts=["x.example"])
    b.run(f"{CURL} http://of-b.example/", agent_id="alike", allowed_hosts=["x.example"])
    a.run(f"{CURL} http://again.example/", agent_id="alike", allowed_hosts=["x.example"])
    assert "of-b.example" in bs.line()
    seen = [roots.line() for _ in range(3)]
    assert [re.search(r"(\S+)\.example", line)[1] for line in seen] == ["of-a", "of-b", "again"]
    assert [re.search(r"(\S+)\.example", roots_of_a.line())[1] for _ in range(2)] == \
        ["of-a", "again"]
    for words in ([], ["-f"]):
        done = a.cagectl("audit", "-u", str(b.user.uid), *words)
        assert (done.status, done.text) == (77, "")
        assert done.errors == "cagectl: only root may see what all agents of another user did: name one\n"
    assert a.cagectl("audit", "-u", str(b.user.uid), "alike").status == 67


def test_a_flood_is_counted_for_the_owner_and_told_by_few_lines(a, follow):
    lines = follow(a, "-d", "-j", "flood")
    asked = 2000
    a.run(f"""python3 -c '
import os, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
for i in range({asked}):
    with socket.create_connection((proxy.hostname, proxy.port)) as s:
        s.sendall(b"GET http://bad.example/ HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n")
        while s.recv(4096): pass
'""", agent_id="flood", allowed_hosts=["x.example"])
    count, n_lines = 0, 0
    while count < asked:
        count += json.loads(lines.line())["count"]
        n_lines += 1
    assert count == asked and n_lines < asked / 2
    assert a.inspect("flood")["network"]["refused"] == asked


def test_the_log_tells_each_in_words(a, daemon, echo):
    a.run(f"{tunnel(echo, 5)}; {CURL} http://bad.example/", agent_id="words",
          allowed_hosts=[f"127.0.0.1:{echo}"])
    uid = a.user.uid
    daemon.log_lines(f"agent words of uid {uid}: allowed CONNECT 127.0.0.1:{echo} at 127.0.0.1 "
                     f"by rule 127.0.0.1:{echo}")
    daemon.log_lines(f"agent words of uid {uid}: ended CONNECT 127.0.0.1:{echo}: closed, 5 B up, "
                     "5 B down, ")
    daemon.log_lines(f"agent words of uid {uid}: refused GET bad.example:80: host-not-allowed")


def test_a_request_without_a_host_and_an_ipv6_address_are_told_as_such(a, agent):
    """Of what cannot be read, nothing is known; that does not make it several."""
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    pid, gate = place_of(a, agent_id)
    process = a.daemon.start_cagectl(a.user, "events", agent_id)
    try:
        shown = b""
        while b"refused -: bad-request\n" not in shown:  # until cagectl follows
            with in_network_of(pid, lambda: socket.create_connection(gate, timeout=20)) as conn:
                conn.sendall(b"nonsense\r\n\r\n")
                assert conn.recv(12) == b"HTTP/1.1 400"
            if select.select([process.stdout], [], [], 0.5)[0]:
                shown += os.read(process.stdout.fileno(), 4096)
        assert status_of(a, agent_id, "[2001:db8::1]:443") == "403"
        while b"refused CONNECT [2001:db8::1]:443: host-not-allowed\n" not in shown:
            assert select.select([process.stdout], [], [], 20)[0], shown
            shown += os.read(process.stdout.fileno(), 4096)
    finally:
        process.kill()
        process.communicate()
    assert a.daemon.log_lines(f"agent {agent_id} ", "refused a request: bad-request")


def test_a_killed_gate_leaves_word_of_the_ends_that_are_missing(a, daemon, echo):
    agent_id = a.spawn(tunnel(echo, more='print("open", flush=True); time.sleep(60)'),
                       allowed_hosts=[f"127.0.0.1:{echo}"])
    a.until_output(agent_id, "open")
    until(lambda: a.inspect(agent_id)["network"]["allowed"] == 1)
    os.kill(a.inspect(agent_id)["network"]["gate_pid"], signal.SIGKILL)
    daemon.log_lines(f"the gate of agent {agent_id} ",
                     "1 requests that it allowed have no entry of their end")
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def test_an_agents_end_ends_its_requests(a, daemon, echo):
    agent_id = a.spawn(tunnel(echo, more='print("open", flush=True); time.sleep(60)'),
                       allowed_hosts=[f"127.0.0.1:{echo}"])
    a.until_output(agent_id, "open")
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    daemon.log_lines(f"agent {agent_id} ", f"ended CONNECT 127.0.0.1:{echo}: ", "1.0 kB up")


@pytest.mark.parametrize("parameters, error, said", [
    ({"since": "now; reboot"}, "InvalidParameter", "since"),
    ({"until": ""}, "InvalidParameter", "until"),
    ({"lines": 1 << 40}, "InvalidParameter", "lines"),
    ({"lines": 1, "since": "today"}, "InvalidParameter", "lines"),
    ({"refused": "yes"}, "InvalidParameter", "refused"),
    ({"owner_uid": 0}, "InvalidParameter", "owner_uid"),
    ({"owner_uid": 0, "agent_id": "x"}, "NoSuchAgent", "x"),
    ({"agent_id": "x + _UID=0"}, "NoSuchAgent", "x + _UID=0"),
    ({"agent_id": "x"}, "NotSupported", "audit")])
def test_the_daemon_refuses_what_makes_no_sense(a, parameters, error, said):
    with pytest.raises(VarlinkError) as raised:
        a.call("Audit", output_fd=0, **parameters)
    assert raised.value.name.split(".")[-1] == error
    assert said in raised.value.parameters.values()


# -- the past, joined with what comes --


RUN, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def entry(record, run=RUN, **fields):
    """As journalctl prints it."""
    common = {"CAGED_AGENT": "a", "CAGED_OWNER_UID": "0", "CAGED_INVOCATION_ID": run,
              "CAGED_TIME_USEC": str(record), "CAGED_RECORD": str(record),
              "CAGED_REQUEST": str(record), "CAGED_VERDICT": "refused", "CAGED_METHOD": "GET",
              "CAGED_HOST": f"h{record}.example", "CAGED_PORT": "80", "CAGED_ADDRESS": "",
              "CAGED_RULE": "", "CAGED_CODE": "host-not-allowed", "CAGED_COUNT": "1"}
    found = {**common, **fields}
    return json.dumps({key: value for key, value in found.items() if value is not None}) + "\n"


def event(record, run=RUN, **fields):
    return {"agent_id": "a", "owner_uid": 0, "invocation_id": run, "kind": "network",
            "time_usec": record, "record": record, "request": record, "verdict": "refused",
            "allowed": False, "method": "GET", "host": f"h{record}.example", "port": 80,
            "address": "", "rule": "", "code": "host-not-allowed", "count": 1, **fields}


class FakeDaemon:
    """Answers Audit with these entries, one call after the other, and Events with these replies."""

    def __init__(self, path, pasts, *replies, error=None):
        self.pasts, self.replies, self.error = list(pasts), replies, error
        self.calls = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        self.path = path
        self.asked = threading.Event()

    def close(self):
        """A thread that still waited here would accept the connections of whatever socket gets the
        descriptor's number next."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.server.accept()[0],),
                                 daemon=True).start()

    def _serve(self, conn):
        with conn:
            while True:
                data, fds, _, _ = socket.recv_fds(conn, 65536, 4)
                if not data:
                    return
                call = json.loads(data[:-1])
                self.calls.append(call)
                getattr(self, call["method"].split(".")[-1])(conn, fds)

    @staticmethod
    def say(conn, parameters, **more):
        conn.sendall(json.dumps({"parameters": parameters, **more}).encode() + b"\0")

    def Audit(self, conn, fds):
        with open(fds[0], "w") as pipe:
            pipe.write("".join(self.pasts.pop(0)))
        if self.error:
            self.say(conn, self.error[1], error=f"io.caged.{self.error[0]}")
        else:
            self.say(conn, {})
        self.asked.set()

    def History(self, conn, fds):
        os.close(fds[0])
        self.say(conn, {})

    def Inspect(self, conn, fds):
        self.say(conn, {"agent_id": "a"}, error="io.caged.NoSuchAgent")

    def Events(self, conn, fds):
        self.say(conn, {"events": [], "lost": 0}, continues=True)
        for i, (lost, events) in enumerate(self.replies):
            self.say(conn, {"events": events, "lost": lost}, continues=i + 1 < len(self.replies))


@pytest.fixture
def audit(tmp_path):
    made = []

    def run(*words, pasts=([],), replies=(), error=None):
        made.append(FakeDaemon(tmp_path / f"{len(made)}.sock", pasts, *replies, error=error))
        done = subprocess.run([paths.CAGECTL, "audit", *words], capture_output=True, text=True,
                              timeout=60, env={"CAGED_SOCKET": str(made[-1].path), "TZ": "UTC"})
        return done, made[-1].calls
    yield run
    for daemon in made:
        daemon.close()


def hosts(done):
    return re.findall(r"(h\d+)\.example", done.stdout)


def test_the_past_and_what_comes_are_joined_without_a_gap_or_twice(audit):
    """The journal has what Events tells as well; which runs come when does not matter."""
    done, calls = audit("-f", pasts=[[entry(1), entry(1, OTHER), entry(2), entry(3)]],
                        replies=[(0, [event(2), event(3), event(4)]),
                                 (0, [event(1, OTHER), event(5), event(2, OTHER)])])
    assert hosts(done) == ["h1", "h1", "h2", "h3", "h4", "h5", "h2"] and done.stderr == ""
    assert [call["method"] for call in calls] == ["io.caged.Events", "io.caged.Audit"]


def test_what_is_missing_is_told_where_it_is(audit):
    done, _ = audit(pasts=[[entry(7), entry(8), entry(11), entry(1, OTHER)]])
    assert hosts(done) == ["h7", "h8", "h11", "h1"]
    assert done.stderr == "cagectl: 2 records are missing here of agent 'a'\n"
    done, _ = audit("--denied", pasts=[[entry(7), entry(11)]])  # what was allowed is between them
    assert hosts(done) == ["h7", "h11"] and done.stderr == ""


def test_lost_events_are_made_up_for_from_the_journal(audit):
    pasts = [[entry(1)], [entry(1), entry(2), entry(3), entry(4), entry(5)]]
    done, calls = audit("-f", pasts=pasts, replies=[(0, [event(2)]), (2, [event(5), event(6)])])
    assert hosts(done) == ["h1", "h2", "h3", "h4", "h5", "h6"] and done.stderr == ""
    assert re.fullmatch(r"@\d+", calls[-1]["parameters"]["since"])


def test_without_a_journal_lost_events_are_told(audit):
    done, _ = audit("-f", error=("NotSupported", {"what": "audit", "reason": "no journal here"}),
                    replies=[(0, [event(1)]), (3, [event(5)])])
    assert hosts(done) == ["h1", "h5"] and done.returncode == 0
    assert "the past cannot be shown: no journal here" in done.stderr
    assert "3 events lost here: you read too slowly" in done.stderr


def test_without_a_journal_there_is_no_past(audit):
    done, _ = audit(error=("NotSupported", {"what": "audit", "reason": "no journal here"}))
    assert (done.returncode, done.stdout) == (UNSUPPORTED, "")
    assert "the past cannot be shown: no journal here" in done.stderr


def test_what_is_asked_of_the_daemon(audit):
    def asked(*words):
        return audit(*words)[1][0]["parameters"]
    assert asked() == {"output_fd": 0}
    assert asked("-d", "-n", "5", "-u", "0") == {"output_fd": 0, "refused": True, "lines": 5,
                                                 "owner_uid": 0}
    assert asked("-S", "today", "-U", "now", "-n", "5", "a") == {
        "output_fd": 0, "agent_id": "a", "since": "today", "until": "now"}


def test_the_last_of_a_time_are_counted_here(audit):
    done, _ = audit("-S", "today", "-n", "2", pasts=[[entry(i) for i in range(1, 200)]])
    assert hosts(done) == ["h198", "h199"] and done.stderr == ""


def test_an_agent_that_nobody_knows_is_an_error(audit):
    done, _ = audit("a")
    assert (done.returncode, done.stdout) == (67, "") and "you have no agent 'a'" in done.stderr


def test_a_record_cannot_touch_the_terminal(audit):
    done, _ = audit(pasts=[[entry(1, CAGED_HOST="\x1b[2J\u009b.example", CAGED_CODE="x\u202ey\n",
                                  CAGED_AGENT="\x07", CAGED_METHOD="G\rT", CAGED_ADDRESS="\x7f")]])
    assert re.fullmatch(r"[\x20-\x7e]+\n", done.stdout), done.stdout
    assert r"\x1b[2J" in done.stdout
    done, _ = audit("-j", pasts=[[entry(1, CAGED_HOST="\x1b[2J.example")]])
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("line", [
    "no JSON\n", "[]\n", entry(0), entry(1, CAGED_RECORD="x"), entry(1, CAGED_COUNT="0"),
    entry(1, CAGED_VERDICT="perhaps"), entry(1, run="x"), entry(1, CAGED_PORT="65536"),
    entry(1, CAGED_HOST=None), entry(1, CAGED_HOST=["a", "b"]), entry(1, CAGED_VERDICT=None)])
def test_what_is_no_record_is_counted(audit, line):
    done, _ = audit(pasts=[[entry(1), line, entry(2)]])
    assert hosts(done) == ["h1", "h2"] and done.returncode == 0
    assert done.stderr == ("cagectl: 1 entries of the journal are not shown: they are not what "
                           "cagedd writes\n")


def test_ends_and_sums_in_words(audit):
    end = {"CAGED_VERDICT": None, "CAGED_BYTES_UP": "12345", "CAGED_BYTES_DOWN": "3000000",
           "CAGED_DURATION_USEC": "4234567", "CAGED_CODE": "closed"}
    done, _ = audit("a", pasts=[[
        entry(1, **end), entry(2, CAGED_COUNT="1234", CAGED_REQUEST=None),
        entry(3, CAGED_COUNT="9", CAGED_REQUEST=None, CAGED_HOST="", CAGED_METHOD="",
              CAGED_PORT="0"),
        entry(4, CAGED_VERDICT="allowed", CAGED_HOST="::1", CAGED_ADDRESS="::1",
              CAGED_RULE="[::1]:80")]])
    details = [line.split(None, 4)[-1] for line in done.stdout.splitlines()]
    assert details == [
        "ended   GET     h1.example:80 closed 12 kB up 3.0 MB down 4.2 s",
        "refused GET     h2.example:80 host-not-allowed (1,234 times)",
        "refused -       (several) host-not-allowed (9 times)",
        "allowed GET     [::1]:80 by [::1]:80"]


@pytest.mark.parametrize("words, why", [
    (["-f", "-U", "now"], "--follow goes on into the future"),
    (["-o", "cat"], "--output wants short or json, not 'cat'"),
    (["-j", "-o", "short"], "--json is --output=json"),
    (["a", "b"], "unexpected argument 'b'"), (["-u", "nobody-at-all"], "there is no user"),
    (["-S", "now; reboot"], "--since wants a time"), (["-n", "x"], "--lines wants a number")])
def test_what_makes_no_sense_is_refused(words, why):
    done = subprocess.run([paths.CAGECTL, "audit", *words], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout) == (64, "") and why in done.stderr
