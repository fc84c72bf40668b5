"""Ten thousand connections at once from one agent (harness/flood.py): its gate takes so many and no
more, in bounded memory, and is itself again when they have gone; other agents do not notice."""

import http.server
import os
import threading
import time

import pytest

from harness import tls
from harness.daemon import until
from harness.flood import FLOOD, Echo, Flood
from harness.gate import PUBLIC, Gate, in_world, receive

CONNECTIONS_MAX = 1536
REFUSING_MAX = 64
DESCRIPTORS_MAX = 32 + 16 + 2 * CONNECTIONS_MAX + REFUSING_MAX
HEAD_MAX, HELLO_MAX = 32, 16  # KiB


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Reader:
    """Takes a gate's records and adds them up, as cagedd would, until it is closed."""

    def __init__(self, gate):
        self.gate = gate
        self.counts = {}
        gate.control.settimeout(0.2)
        self.stop = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop:
            try:
                self.gate.take(self.gate.message())
            except TimeoutError:
                pass
            for record in self.gate.decisions:
                self.counts[record["reason"]] = self.counts.get(record["reason"], 0) \
                    + record["count"]
            self.gate.decisions.clear()
            self.gate.ends.clear()

    def close(self):
        self.stop = True
        self.thread.join()
        self.gate.control.settimeout(15)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echo_time(conn):
    start = time.monotonic()
    conn.sendall(b"ping")
    assert receive(conn, 4) == b"ping"
    return time.monotonic() - start


FLOODS = {
    # what each connection says, how many there are, KiB that one may cost the gate
    "nothing": (b"", 10000, 3),
    "half a head": (b"GET http://a.example/ HTTP/1.1\r\nX: " + b"x" * 20000, 3000, HEAD_MAX + 3),
    "a tunnel": (b"CONNECT %s HTTP/1.1\r\n\r\n", 10000, 4),
    "a tunnel and half a hello":
        (b"CONNECT %s HTTP/1.1\r\n\r\n\x16\x03\x01\x3f\x00\x01\x00\x3e\xfc" + b"x" * 15000, 3000,
         2 * HELLO_MAX + 4),
}


@in_world
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_bounded_and_harms_nobody_else(kind):
    said, count, each = FLOODS[kind]
    with Echo(PUBLIC, 8443) as echo, Gate([f"{PUBLIC}:{echo.port};sni=any", PUBLIC]) as other, \
            Gate([f"{PUBLIC}:{echo.port}", f"{PUBLIC}:22"]) as gate, Reader(gate) as reader:
        target = f"{PUBLIC}:{echo.port}"
        tunnel = other.tunnel(target)
        echo_time(tunnel)
        idle, idle_fds = private_kib(gate.pid), descriptors(gate.pid)
        said = said.replace(b"%s", target.encode())
        with Flood("127.0.0.1", gate.port, count, said) as flood:
            full = CONNECTIONS_MAX * (2 if b"CONNECT" in said else 1)
            until(lambda: descriptors(gate.pid) >= full, 60, "all places are taken")
            until(lambda: flood.heard().get("503", 0) >= REFUSING_MAX, 60, "others are told so")
            worst, most, times = 0, 0, []
            for _ in range(20):
                times.append(echo_time(tunnel))
                with other.tunnel(target) as conn:
                    conn.sendall(b"SSH")  # is under sni=any
                    times.append(echo_time(tunnel))
                worst = max(worst, private_kib(gate.pid))
                most = max(most, descriptors(gate.pid))
            heard = flood.heard()
        assert max(times) < 5, times
        assert most <= DESCRIPTORS_MAX
        assert worst - idle < (CONNECTIONS_MAX + REFUSING_MAX) * each, (idle, worst)
        assert heard.get("200", 0) <= CONNECTIONS_MAX
        assert set(heard) <= {"nothing", "connected", "200", "503"}, heard
        until(lambda: descriptors(gate.pid) == idle_fds, 60, "all of them are gone")
        with gate.tunnel(target) as conn:
            conn.sendall(tls.hello(None))
            assert receive(conn, 5)
        assert private_kib(gate.pid) < worst + 1024
        tunnel.close()
    assert reader.counts.get("too-many-connections", 0) >= REFUSING_MAX


# -- through the daemon --


@pytest.fixture
def web():
    """A web server on the host's loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_):
        pass


def test_an_agent_that_floods_its_gate_harms_no_other_agent(a, b, web):
    """Out of a cage, with the listening socket that the daemon makes, and the daemon's log."""
    curl = f"curl --silent --show-error --max-time 30 --noproxy '' http://127.0.0.1:{web}/"
    with Echo("127.0.0.1") as echo:
        said = f"CONNECT 127.0.0.1:{echo.port} HTTP/1.1\r\n\r\n".encode()
        card = a.card("gate=${http_proxy#http://}; gate=${gate%/}; echo $gate; "
                      "/usr/bin/python3 flood.py ${gate%:*} ${gate##*:} 10000 \"$SAID\" 1000 & "
                      "while ! test -e over; do sleep 0.05; done; kill $!; wait; "
                      f"until {curl} --fail; do sleep 0.1; done",  # its gate sees them end by and by
                      environment={"SAID": repr(said)}, resource_limits={"max_open_files": 16384},
                      allowed_hosts=[f"127.0.0.1:{echo.port}", f"127.0.0.1:{web}"])
        with open(f"{card['workspace']}/flood.py", "w", encoding="ascii") as file:
            file.write(FLOOD)
        flooding = card["agent_id"]
        a.daemon.spawn(a.user, card)
        a.until_output(flooding, "begun")
        gate = until(lambda: a.inspect(flooding)["network"].get("gate_pid"))
        until(lambda: descriptors(gate) >= 2 * CONNECTIONS_MAX, 60, "all places are taken")
        result = b.run("for i in 1 2 3 4 5 6 7 8 9 10; do "
                       f"{curl} -w '%{{time_total}}\\n'; done", allowed_hosts=[f"127.0.0.1:{web}"])
        words = result.text.split()
        assert words[::2] == ["hello"] * 10 and max(map(float, words[1::2])) < 5, result
        assert descriptors(gate) <= DESCRIPTORS_MAX
        assert private_kib(gate) < CONNECTIONS_MAX * 4 + 2048
        with open(f"{card['workspace']}/over", "w", encoding="ascii"):
            pass
        assert a.wait(flooding)["reason"] == "exited"
        out, errors = a.output(flooding)
        assert out.endswith(b"hello\n"), (out, errors)
