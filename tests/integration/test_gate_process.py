"""caged-gate as a process (harness/gate.py): what it starts with, what it gave up, its limits, and
what it does when cagedd goes away or does not listen."""

import os
import socket
import subprocess
import threading
import time

import pytest

from harness.flood import Echo, raise_limit
from harness.gate import (CONFIG, FAILED, PRIVATE, PUBLIC, UID, VOIDS, Answer, Gate,
                          configuration, echo_server, in_world, read_all, read_until, receive,
                          record)
from harness.gate_waits import begin_waits, waited

CONNECTIONS_MAX = 1536


@pytest.fixture(scope="module", autouse=True)
def waits():
    begin_waits()


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


# -- confinement --


@in_world
def test_the_running_gate_has_no_privilege_left():
    with Gate([PUBLIC], forwards=["127.0.0.1:9"]) as gate:
        status = status_of(gate.pid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert status["Uid"].split() == status["Gid"].split() == [str(UID)] * 4
        assert status["Groups"].strip() == ""
        assert status["Threads"] == "1"
        assert os.listdir(f"/proc/{gate.pid}/root") == []
        with pytest.raises(OSError):
            os.mkdir(f"/proc/{gate.pid}/root/x")
        assert os.stat(f"/proc/{gate.pid}/cwd").st_ino == os.stat(f"/proc/{gate.pid}/root").st_ino
        # Not dumpable: its files in /proc are root's, not its own uid's.
        assert os.stat(f"/proc/{gate.pid}/environ").st_uid == 0


@in_world
def test_it_has_only_its_descriptors_and_tight_limits():
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    with Gate([PUBLIC], forwards=["127.0.0.1:9", "127.0.0.1:10"]) as gate:
        fds = {int(fd): os.readlink(f"/proc/{gate.pid}/fd/{fd}")
               for fd in os.listdir(f"/proc/{gate.pid}/fd")}
        epoll = [fd for fd, what in fds.items() if what == "anon_inode:[eventpoll]"]
        assert len(epoll) == 1
        del fds[epoll[0]]
        assert sorted(fds) == [0, 1, 2, 3, 5, 6, 7]  # 4, the configuration, is closed
        assert all(fds[fd].startswith("socket:") for fd in (3, 5, 6, 7))
        with open(f"/proc/{gate.pid}/limits", encoding="ascii") as file:
            limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
        for name in ("Max core file size", "Max file size", "Max processes"):
            assert limits[name] == ["0", "0"], name
        soft, hard = limits["Max open files"]
        assert soft == hard and 2 * CONNECTIONS_MAX < int(soft) < 2 * CONNECTIONS_MAX + 400
        assert limits["Max data size"] == [str(256 << 20)] * 2
    os.close(inherited)


@in_world
def test_an_idle_gate_is_small():
    with Gate([PUBLIC]) as gate:
        with open(f"/proc/{gate.pid}/smaps_rollup", encoding="ascii") as file:
            private = sum(int(line.split()[1]) for line in file
                          if line.startswith(("Private_Dirty:", "Private_Clean:")))
        assert private < 1536  # KiB


@in_world
def test_both_ends_of_a_tunnel_are_probed_for_life():
    """The client's socket has that from the listener, the server's from the gate."""
    server = echo_server()
    with Gate([f"{PUBLIC}:{server.port}"]) as gate:
        conn = gate.tunnel(f"{PUBLIC}:{server.port}")
        for end in (f"( sport = :{gate.port} )", f"( dport = :{server.port} )"):
            found = subprocess.run(["ss", "-tnoH", "state", "established", end], check=True,
                                   capture_output=True, text=True).stdout
            assert found.count("timer:(keepalive,") == 1, found
        conn.close()


# -- bad starts --

GOOD = configuration([PUBLIC])
PARENT = GOOD + record(CONFIG["parent"], "http://a:1")


@in_world
@pytest.mark.parametrize("config,why", [
    (record(CONFIG["version"], 2) + GOOD[16:], "another version"),
    (GOOD[16:], "does not start with its version"),
    (GOOD + record(CONFIG["version"], 1), "does not start with its version"),
    (GOOD + record(99, "x"), "unknown type"), (GOOD + record(0, "x"), "unknown type"),
    (GOOD + record(CONFIG["uid"], 5), "came twice"),
    (GOOD + record(CONFIG["agent_id"], "x"), "came twice"),
    (GOOD + record(CONFIG["parent"], "http://a:1") * 2, "came twice"),
    (record(CONFIG["version"], 1) + record(CONFIG["agent_id"], "x"), "missing"),
    (record(CONFIG["version"], 1) + record(CONFIG["uid"], 5), "missing"),
    (configuration(uid=0), "the uid"), (configuration(uid=0xFFFFFFFF), "the uid"),
    (GOOD[:-1], "not whole records"), (GOOD + b"\0", "not whole records"),
    (GOOD + record(CONFIG["allow"], b"no end"), "not a string"),
    (GOOD + record(CONFIG["allow"], b"a\0b\0"), "not a string"),
    (GOOD + record(CONFIG["allow"], "*"), "subdomains"),
    (GOOD + record(CONFIG["allow"], "http://a/"), "slash"),
    (GOOD + record(CONFIG["private"], "10.0.0.1"), "private host"),
    (GOOD + record(CONFIG["parent"], "https://a:1"), "parent proxy"),
    (GOOD + record(CONFIG["parent"], "http://a"), "port is missing"),
    (GOOD + record(CONFIG["parent"], "http://a:1/path"), "path"),
    (GOOD + record(CONFIG["parent"], "http://u%0d%0a:x@a:1"), "percent-encoded"),
    (PARENT + record(CONFIG["parent_auth"], "no colon"), "user:password"),
    (PARENT + record(CONFIG["parent_auth"], ":no user"), "user:password"),
    (PARENT + record(CONFIG["parent_auth"], "u:a\r\nb"), "user:password"),
    (PARENT + record(CONFIG["parent_auth"], "u:" + "x" * 1023), "user:password"),
    (PARENT + record(CONFIG["parent_auth"], "u:x") * 2, "came twice"),
    (GOOD + record(CONFIG["parent_auth"], "u:x"), "no parent proxy"),
    (GOOD + record(CONFIG["parent"], "http://u:x@a:1") + record(CONFIG["parent_auth"], "u:x"),
     "two users"),
    (GOOD + record(CONFIG["parent_auth"], "u:x") + record(CONFIG["parent"], "http://u@a:1"),
     "two users"),
    (GOOD + record(CONFIG["forward"], "10.0.0.1:1"), "loopback"),
    (GOOD + record(CONFIG["forward"], "localhost:1"), "loopback"),
    (GOOD + record(CONFIG["forward"], "127.0.0.1:1") * 17, "too many forwards"),
    (GOOD + record(CONFIG["forward"], "127.0.0.1:1"), "inherited listener"),
    (GOOD + record(CONFIG["transparent"], b"x"), "is not empty"),
    (GOOD + record(CONFIG["transparent"], b"") * 2, "came twice"),
    (GOOD + record(CONFIG["transparent"], b""), "inherited listener"),
    (b"", "No data available"), (GOOD + record(CONFIG["allow"], "x" * 600000), "too large"),
])
def test_a_bad_configuration_is_refused(config, why):
    with Gate(config=config, ready=False) as gate:
        (kind, text), = gate.message()
        assert kind == FAILED and why in text, text
        assert gate.control.recv(10) == b""
        assert gate.wait() == 1


@in_world
@pytest.mark.parametrize("seals", [0, 0x7, 0xE])
def test_an_unsealed_configuration_is_refused(seals):
    with Gate(config=GOOD, seals=seals, ready=False) as gate:
        assert "sealed configuration" in gate.message()[0][1]
        assert gate.wait() == 1


@in_world
def test_a_socket_that_does_not_listen_is_refused():
    with Gate([PUBLIC], listener=False, ready=False) as gate:
        assert gate.message()[0][0] == FAILED
        assert gate.wait() == 1


# -- cagedd's end of the control socket --


@in_world
def test_the_end_of_the_control_socket_ends_the_gate():
    server = echo_server()
    gate = Gate([f"{PUBLIC}:{server.port}"])
    conn = gate.tunnel(f"{PUBLIC}:{server.port}")
    gate.decision()
    gate.control.close()
    assert gate.wait(2) == 0
    with pytest.raises(ConnectionResetError):
        read_all(conn)
    with pytest.raises(ConnectionRefusedError):
        gate.connect()


@in_world
def test_an_unexpected_message_ends_the_gate():
    gate = Gate([PUBLIC])
    gate.control.send(record(1, b""))
    assert gate.wait(2) == 1


@in_world
def test_no_record_is_lost_when_nobody_reads_them():
    """The socket takes a few records; from then on nothing new is decided, nothing allowed passes,
    and all goes on when somebody reads."""
    server = echo_server()
    asked = 300
    with Gate([f"{PUBLIC}:{server.port}"], record_buffer=4608) as gate:
        answers = []

        def ask(i):
            conn = gate.send(f"CONNECT {PUBLIC}:{server.port + i % 2} HTTP/1.1\r\n\r\n".encode())
            conn.sendall(b"secret")
            conn.shutdown(socket.SHUT_WR)
            answers.append(read_all(conn))
            conn.close()
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(asked)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert len(answers) < asked / 2  # it waits
        counted = gate.counted(asked)
        gate.no_decision()
        for thread in threads:
            thread.join(10)
    assert counted == {("allowed", "ok"): asked / 2, ("refused", "host-not-allowed"): asked / 2}
    assert sum(a.startswith(b"HTTP/1.1 200 ") and a.endswith(b"secret") for a in answers) \
        == asked / 2
    assert sum(a.startswith(b"HTTP/1.1 403 ") for a in answers) == asked / 2


@in_world
def test_what_was_decided_is_recorded_to_the_end():
    """cagedd says that it is over and still listens: records that wait in the gate come, and a
    request whose name was already asked for is recorded, too."""
    quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet.bind(("127.0.0.53", 53))
    with Gate(["a.example"], record_buffer=4608) as gate:
        looking = gate.send(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
        time.sleep(0.2)
        asked = [gate.connect() for _ in range(100)]
        time.sleep(0.2)
        for conn in asked:
            conn.sendall(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n")
        time.sleep(0.5)
        gate.control.shutdown(socket.SHUT_WR)
        found = [gate.decision()["reason"] for _ in range(101)]
        assert sorted(found) == ["client-gone"] + ["host-not-allowed"] * 100
        assert gate.control.recv(1) == b""
        assert gate.wait(2) == 0
        for conn in asked + [looking]:
            conn.close()
    quiet.close()


# -- limits --


@in_world
def test_one_connection_too_many_is_told_so():
    raise_limit(CONNECTIONS_MAX + 1024)
    with Echo(PUBLIC) as server, Gate([f"{PUBLIC}:{server.port}"]) as gate:
        held = []
        for _ in range(CONNECTIONS_MAX):
            held.append(gate.tunnel(f"{PUBLIC}:{server.port}"))
            gate.take_ready()
        assert gate.counted(CONNECTIONS_MAX) == {("allowed", "ok"): CONNECTIONS_MAX}
        for _ in range(100):  # more than can be told so at once
            with gate.connect() as conn:
                answer = Answer(read_until(conn))
                assert (answer.status, answer.reason) == (503, "too-many-connections")
            assert gate.decision()["reason"] == "too-many-connections"
        for conn in (held[0], held[-1]):  # the others are unharmed
            conn.sendall(b"ping")
            assert receive(conn, 4) == b"ping"
        held.pop().close()
        time.sleep(0.1)
        gate.tunnel(f"{PUBLIC}:{server.port}").close()
        for conn in held:
            conn.close()


@in_world
def test_a_flood_leaves_nothing_behind():
    with Gate([PUBLIC]) as gate:
        def flood():
            for i in range(500):
                conn = gate.connect()
                if i % 3 == 0:
                    conn.sendall(b"CONNECT 10.0.0.1:22 HTTP/1.1\r\n\r\n")
                elif i % 3 == 1:
                    conn.sendall(b"CONN")
                conn.close()

        def read():
            try:
                while True:
                    gate.message()
            except OSError:
                pass
        gate.control.settimeout(3)
        reader = threading.Thread(target=read)
        reader.start()
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reader.join()
        fds = os.listdir(f"/proc/{gate.pid}/fd")
        assert len(fds) == 6, fds
        assert gate.ask(b"GET / HTTP/1.1\r\n\r\n").reason == "bad-request"


@in_world
def test_a_client_that_goes_away_while_its_name_is_looked_up():
    """With a name server that never answers: the record says that the client went."""
    quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet.bind(("127.0.0.53", 53))
    with Gate(["a.example"]) as gate:
        conn = gate.send(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
        time.sleep(0.2)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn.close()
        decision = gate.decision()
        assert (decision["reason"], decision["status"]) == ("client-gone", 0)
    quiet.close()


# -- real clients --


@in_world
@pytest.mark.parametrize("arguments", [[], ["--http1.0"], ["--data", "x" * 100000], ["--http2"],
                                       ["--proxytunnel"], ["--data-binary", "@-", "-H",
                                                           "Transfer-Encoding: chunked"]])
def test_curl_works_through_it(arguments):
    """curl, with two requests for one connection, which it must cope with."""
    web = subprocess.Popen(["/usr/bin/python3", "-c", WEB_SERVER, PUBLIC], stdout=subprocess.PIPE)
    port = int(web.stdout.readline())
    try:
        with Gate([f"{PUBLIC}:{port}"]) as gate:
            url = f"http://{PUBLIC}:{port}/"
            result = subprocess.run(
                ["curl", "--silent", "--show-error", "--max-time", "20", "--proxy",
                 f"http://127.0.0.1:{gate.port}", *arguments, url + "1", url + "2"],
                input=b"y" * 300000, capture_output=True, check=False)
            assert result.returncode == 0, result.stderr
            assert result.stdout.startswith(b"answer to /1") and b"answer to /2" in result.stdout
    finally:
        web.terminate()
        web.wait()
        web.stdout.close()


WEB_SERVER = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = f"answer to {self.path}\\n".encode()
        size = int(self.headers.get("Content-Length", 0))
        got = self.rfile.read(size)
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline(), 16):
                got += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


# -- what takes long (begun before the first test) --


def test_a_dial_that_nobody_answers_times_out():
    """Nobody answers at all: 20 s, then 504."""
    answer, seconds = waited("dial_into_the_void")
    assert (answer.status, answer.reason) == (504, "dial-timeout")
    assert 19 < seconds < 29


def test_the_fifth_address_gets_the_place_of_the_first():
    """Four are tried at once; the oldest gives up after 5 s."""
    address, seconds = waited("late_address")
    assert address == PRIVATE
    assert 4.9 < seconds < 15


def test_an_address_that_comes_next_is_dropped_before_it_is_dialled():
    updated, answer, address, accepted = waited("late_address_dropped")
    assert updated == (0, [])
    assert (answer.status, answer.reason) == (504, "dial-timeout")
    assert address in VOIDS and not accepted


def test_slow_heads_are_cut_and_silent_connections_closed():
    """30 s (GATE_HEAD_TIMEOUT) whatever trickles in; a connection that never spoke ends without a
    word or a record."""
    answer, seconds, reason, said = waited("trickle_a_head")
    assert (answer.status, answer.reason, reason) == (408, "head-timeout", "head-timeout")
    assert 29 < seconds < 39
    assert said == b""
