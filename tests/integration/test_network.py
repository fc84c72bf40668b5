"""The way out, through the whole daemon: what the card lists is reached, all else is refused with a
reason, and every decision is told."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from harness import leftovers
from harness.daemon import until
from harness.servers import ParentProxy, serving, web_server
from harness.users import acting_as


@pytest.fixture(scope="module")
def web():
    """A web server on the host's loopback."""
    with web_server("127.0.0.1") as server:
        yield server.server_port


@pytest.fixture
def parent():
    with serving(ParentProxy()) as server:
        yield server


CURL = "curl --silent --show-error --max-time 15"


def test_a_listed_loopback_port_is_reached_directly(a, web):
    result = a.run(f"{CURL} http://127.0.0.1:{web}/hello", allowed_hosts=[f"127.0.0.1:{web}"])
    assert result.text == "path /hello", result.errors


def test_a_listed_loopback_port_is_reached_by_the_proxy_too(a, web):
    result = a.run(f"{CURL} --noproxy '' http://127.0.0.1:{web}/hello; echo; "
                   f"{CURL} --noproxy '' --proxytunnel http://127.0.0.1:{web}/tunnel",
                   allowed_hosts=[f"127.0.0.1:{web}"])
    assert result.text == "path /hello\npath /tunnel", result.errors


def test_an_unlisted_loopback_port_is_not_there(a, web):
    result = a.run(f"{CURL} http://127.0.0.1:{web}/; echo $?", allowed_hosts=["example.com"])
    assert result.text.strip() == "7", result
    result = a.run(f"{CURL} --noproxy '' http://127.0.0.1:{web}/", allowed_hosts=["example.com"])
    assert "127.0.0.1" in result.text and "path" not in result.text


def test_a_host_that_is_not_listed_gets_a_403_that_says_why(a):
    agent_id = "refused-host"
    result = a.run(f"{CURL} -w '\\n%{{http_code}}' http://not-allowed.example/; "
                   f"{CURL} -w '\\n%{{http_connect}}' https://not-allowed.example/",
                   agent_id=agent_id, allowed_hosts=["allowed.example"])
    body, code, connect = re.fullmatch(r"(.*)\n(\d+)\n(\d+)", result.text, re.S).groups()
    assert (code, connect) == ("403", "403")
    assert "not-allowed.example" in body and agent_id in body, body
    network = a.inspect(agent_id)["network"]
    assert (network["refused"], network["allowed"]) == (2, 0)


def test_every_decision_is_an_event_and_a_log_entry(a, daemon, web):
    with a.connect() as connection:
        connection.send("Events", {"agent_id": "decisions"}, more=True)
        a.call("List")
        a.run(f"{CURL} --noproxy '' http://127.0.0.1:{web}/; {CURL} http://bad.example:8080/",
              agent_id="decisions", allowed_hosts=[f"127.0.0.1:{web}"])
        events = []
        while not events or events[-1]["kind"] != "ended":
            events += connection.reply()["events"]
    allowed, refused = [event for event in events if event["kind"] == "network"]
    assert allowed["allowed"] is True and allowed["host"] == "127.0.0.1"
    assert (allowed["port"], allowed["method"], allowed["rule"]) == (web, "GET", f"127.0.0.1:{web}")
    assert refused["allowed"] is False and refused["host"] == "bad.example"
    assert refused["port"] == 8080 and re.fullmatch("[a-z-]+", refused["code"])
    daemon.log_lines("decisions", "bad.example")
    daemon.log_lines("decisions", "127.0.0.1", str(web))


def test_no_hosts_in_the_card_means_the_providers_alone(a):
    agent_id = "provider-only"
    a.run(f"{CURL} http://example.com/", agent_id=agent_id, api_provider="openai")
    network = a.inspect(agent_id)["network"]
    assert network["allowed_hosts"] == ["api.openai.com:443"] and network["refused"] == 1


@pytest.mark.parametrize("address", [
    "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[fe80::1]", "[fd00::1]"])
def test_special_addresses_are_refused_at_once(a, address):
    result = a.run(f"{CURL} --noproxy '' -w '%{{http_code}}' http://{address}/",
                   allowed_hosts=["*.example.com"])
    assert result.text.endswith("403"), result


def test_localhost_is_reached_only_if_the_card_lists_it(a, web):
    result = a.run(f"{CURL} --noproxy '' -w '%{{http_code}}' http://localhost:{web}/",
                   allowed_hosts=["*.example.com"])
    assert result.text.endswith("403"), result
    result = a.run(f"{CURL} --noproxy '' http://localhost:{web}/x", allowed_hosts=[f"localhost:{web}"])
    assert result.text == "path /x", result


def test_the_cage_has_one_route_and_no_other_way(a):
    result = a.run("cat /proc/net/route; python3 -c '\n"
                   "import socket\n"
                   "for host in (\"1.1.1.1\", \"8.8.8.8\", \"169.254.169.254\"):\n"
                   "  s = socket.socket(); s.settimeout(3)\n"
                   "  try: s.connect((host, 443)); print(\"open\")\n"
                   "  except OSError as e: print(e.strerror or e)\n"
                   "'")
    lines = result.text.splitlines()
    assert lines[-3:] == ["Network is unreachable"] * 3, result.text
    routes = [line.split() for line in lines[1:-3]]
    assert [(route[0], route[2]) for route in routes] == [("eth0", "00000000")], "the link alone"


def test_a_link_has_one_queue(a):
    """More would each be made and given up again, which the spawn waits for."""
    agent_id = a.spawn("sleep 60")
    pid = a.inspect(agent_id)["agent"]["pid"]
    done = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-json", "-details", "link", "show", "eth0"],
                          capture_output=True, check=True)
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    link, = json.loads(done.stdout)
    assert (link["num_tx_queues"], link["num_rx_queues"]) == (1, 1)


def test_another_agents_gate_is_out_of_reach(a, b, web):
    other = b.spawn("sleep 60", allowed_hosts=[f"127.0.0.1:{web}"])
    network = b.inspect(other)["network"]
    gate, own = network["gate_address"], network["agent_address"]
    result = a.run(f"for x in {gate} {own}; do {CURL} --connect-timeout 3 --noproxy '*' "
                   f"http://$x:{network['gate_port']}/; echo $?; done")
    assert result.text.split() == ["7", "7"], "curl could not connect"
    b.call("Kill", agent_id=other)
    b.wait(other)


def test_a_tunnel_carries_bytes_both_ways_and_half_closes(a):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve():
            connection, _ = server.accept()
            with connection:
                data = b""
                while piece := connection.recv(65536):
                    data += piece
                connection.sendall(b"%d bytes" % len(data))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        result = a.run(f"head -c 3000000 /dev/zero | python3 -c '\n"
                       "import socket, sys\n"
                       f"s = socket.create_connection((\"127.0.0.1\", {port}))\n"
                       "s.sendall(sys.stdin.buffer.read()); s.shutdown(1)\n"
                       "print(s.recv(100).decode())'", allowed_hosts=[f"127.0.0.1:{port}"])
        thread.join(10)
    assert result.text == "3000000 bytes\n", result.errors


def test_a_parent_proxy_gets_the_requests_for_allowed_hosts_only(a, parent):
    result = a.run(f"{CURL} http://allowed.example/x; {CURL} --proxytunnel http://allowed.example/y; "
                   f"{CURL} http://other.example/z", allowed_hosts=["allowed.example"],
                   proxy=f"http://user:secret-word@127.0.0.1:{parent.server_address[1]}")
    assert result.text.count("by the parent") == 2, result
    lines = [head[0] for head in parent.heads]
    assert any(line.startswith(("GET http://allowed.example/x", "CONNECT allowed.example:80"))
               for line in lines), lines
    assert not any("other.example" in line for line in lines)
    assert all(any(line.lower().startswith("proxy-authorization: basic") for line in head)
               for head in parent.heads)
    assert "secret-word" not in a.daemon.log()


def test_a_dead_parent_proxy_is_an_error_never_a_direct_way(a, web):
    with socket.create_server(("127.0.0.1", 0)) as server:
        dead = server.getsockname()[1]
    result = a.run(f"{CURL} -w '%{{http_code}}' http://allowed.example/", allowed_hosts=["allowed.example"],
                   proxy=f"http://127.0.0.1:{dead}")
    assert result.text[-3:] in ("502", "503", "504"), result


def test_a_gate_that_is_killed_is_replaced(a, web):
    """One process to lose: the next connection starts another, and no way was open meanwhile."""
    agent_id = a.spawn(f"{CURL} --noproxy '' http://127.0.0.1:{web}/one; echo; "
                       "while ! test -e /workspace/go; do sleep 0.05; done; "
                       f"{CURL} --noproxy '' http://127.0.0.1:{web}/two; echo; sleep 60",
                       allowed_hosts=[f"127.0.0.1:{web}"])
    a.until_output(agent_id, "path /one")
    inspected = a.inspect(agent_id)
    gate = inspected["network"]["gate_pid"]
    status = open(f"/proc/{gate}/status").read()
    assert re.search(r"^Uid:\t(\d+)\t\1\t\1", status, re.M)[1] == str(inspected["uid_base"] + 65535)
    assert "CapEff:\t0000000000000000" in status and "Seccomp:\t2" in status
    subprocess.run(["kill", "-KILL", str(gate)], check=True)
    until(lambda: a.inspect(agent_id)["network"].get("gate_pid") != gate)
    folder = inspected["agent"]["workspace"]
    with open(f"{folder}/go", "w"):
        pass
    a.until_output(agent_id, "path /two")
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def test_an_agent_that_never_connects_has_no_gate(a):
    agent_id = a.spawn("sleep 60")
    assert a.inspect(agent_id)["network"].get("gate_pid") is None
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


def test_the_host_shows_no_trace_in_its_own_network(a):
    before = subprocess.run(["ip", "-o", "link"], capture_output=True, check=True).stdout
    agent_id = a.spawn("sleep 60")
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, check=True).stdout == before
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


SEND_SOCKET = """mkdir many; cd many; seq 1 50000 | xargs touch; exec python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/workspace/socket")
given = socket.socket()
socket.send_fds(s, [b"x"], [given.fileno()])
s.recv(1)
'"""


def stop_scan(folder):
    """Stops caged-scan as soon as it is in this cgroup."""
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() in ("cagedd\n", "caged-scan\n"):
                os.kill(int(pid), signal.SIGSTOP)
                return True
    return False


def test_the_link_of_a_network_that_is_held_outside_goes_however_long_the_workspace_is_looked_through(
        a, daemon):
    """With a socket in it that an agent gave away the network stays, and the link to it would."""
    folder = Path(a.user.folder("holds-network"))
    with socket.socket(socket.AF_UNIX) as server:
        with acting_as(a.user):
            server.bind(str(folder / "socket"))
        server.listen()
        server.settimeout(60)
        agent_id = a.spawn(SEND_SOCKET, workspace=str(folder))
        cgroup = Path(a.inspect(agent_id)["cgroups"][0])
        with server.accept()[0] as connection:
            _, held, _, _ = socket.recv_fds(connection, 1, 1)
        assert held
        try:  # the connection is closed: now it ends
            while not stop_scan(cgroup):
                assert cgroup.exists(), "it was too quick"
            assert "too long" in a.wait(agent_id)["planted_incomplete"]
            until(lambda: not any(name.startswith("cg") for names in leftovers.snapshot(daemon)["links"]
                                  for name in names), what="the link is gone")
        finally:
            for fd in held:
                os.close(fd)
