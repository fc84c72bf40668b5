"""Agents that ask (spawn --ask): a request for a host that no entry is about is held until somebody
answers it by approve, allow, deny or a reload, or until its time is over. Nothing passes before."""

import http.client
import os
import re
import signal
import socket
import threading

import pytest

from harness.daemon import until
from harness.much import change_much
from harness.servers import web_server
from harness.terminal import Terminal
from harness.tunnels import (ask_at, in_network_of, is_alive, is_cut, place_of, status_of, tunnel)
from harness.varlink import VarlinkError

HELD_MAX, HELD_BURST = 64, 128  # common/caged-limits.h
PAUSE = 0.2  # in which what must not come would have come


def begin(place, data):
    """A connection to the gate on which this was sent."""
    pid, address = place
    conn = in_network_of(pid, lambda: socket.create_connection(address, timeout=20))
    conn.sendall(data.encode())
    return conn


def connect_to(target, early=""):
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n{early}"


def head_of(conn):
    head = b""
    while b"\r\n\r\n" not in head and (piece := conn.recv(1)):
        head += piece
    return head.decode()


def is_silent(conn):
    conn.settimeout(PAUSE)
    try:
        conn.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        conn.settimeout(20)


def held(client, agent_id):
    """How many requests wait, by target."""
    return {f"{item['host']}:{item['port']}": item["count"]
            for item in client.call("Hosts", agent_id=agent_id)["held"]}


def until_held(client, agent_id, expected):
    until(lambda: held(client, agent_id) == expected, timeout=30,
          what=f"held: {expected}, not {held(client, agent_id)}")


# -- answers --


def test_a_held_request_goes_on_when_it_is_approved(a, agent, echoes):
    target, other = echoes[0].host, echoes[1].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    place = place_of(a, agent_id)
    conns = [begin(place, connect_to(target)) for _ in range(5)]
    waits = begin(place, connect_to(other))
    until_held(a, agent_id, {target: 5, other: 1})
    assert all(map(is_silent, conns)) and echoes[0].accepted == 0

    done = a.cagectl("approve", agent_id)
    assert done.status == 0 and re.search(
        rf"^waits    {target}  \d+s left, 5 requests$", done.text, re.M), done.text
    assert re.search(rf"^waits    {other}  \d+s left, 1 request$", a.cagectl("hosts", agent_id).text,
                     re.M)
    a.daemon.log_lines(f" held CONNECT {target} ")  # and no code that says the same again
    item = a.call("Hosts", agent_id=agent_id)["held"][0]
    assert item["deadline_usec"] == item["since_usec"] + 60 * 10**6

    done = a.cagectl("approve", agent_id, target)
    assert (done.status, done.text) == (0, f"{agent_id} changed\n  + {target}\n")
    for conn in conns:
        assert head_of(conn).startswith("HTTP/1.1 200 ") and is_alive(conn)
    assert held(a, agent_id) == {other: 1}, "one answer is for one host"
    assert is_silent(waits) and echoes[1].accepted == 0
    assert is_alive(tunnel(a, agent_id, target)), "the next need not wait"


def test_a_held_request_is_refused_at_once_when_its_host_is_denied(a, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    place = place_of(a, agent_id)
    conns = [begin(place, connect_to(target)) for _ in range(3)]
    until_held(a, agent_id, {target: 3})
    assert a.cagectl("deny", agent_id, target).status == 0
    for conn in conns:
        answer = head_of(conn)
        assert answer.startswith("HTTP/1.1 403 ") and "host-denied" in answer
    assert held(a, agent_id) == {} and echoes[0].accepted == 0
    assert status_of(a, agent_id, target) == "403", "who was answered is not asked again"
    assert held(a, agent_id) == {}


def test_without_an_answer_it_is_refused_in_time(a, agent, echoes):
    agent_id = agent(1, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), connect_to(echoes[0].host))
    answer = head_of(conn)
    assert answer.startswith("HTTP/1.1 403 ") and "ask-timeout" in answer
    until_held(a, agent_id, {})
    item, = a.call("Hosts", agent_id=agent_id)["refused"]
    assert item["code"] == "ask-timeout"
    assert a.cagectl("suggest", agent_id).text.splitlines() == \
        [echoes[0].host, f"# {echoes[0].host}: not a public address (loopback)"]
    assert echoes[0].accepted == 0
    a.daemon.log_lines("CAGED_VERDICT=\"held\"", f'CAGED_HOST="{echoes[0].host.split(":")[0]}"')


def test_patterns_a_reload_and_other_entries_answer_too(a, agent, echoes):
    first, second, third = (echo.host for echo in echoes)
    card = agent(60, allowed_hosts=["x.example"])
    agent_id, place = card["agent_id"], place_of(a, card["agent_id"])
    conn = begin(place, connect_to(first))
    until_held(a, agent_id, {first: 1})
    a.call("ChangeHosts", agent_id=agent_id, allow=["y.example", "127.0.0.9"], deny=["z.example"])
    assert is_silent(conn) and held(a, agent_id) == {first: 1}, "that was no answer"
    a.call("ChangeHosts", agent_id=agent_id, allow=["127.0.0.2/32:" + first.split(":")[1]])
    assert head_of(conn).startswith("HTTP/1.1 200 ") and is_alive(conn)

    conns = [begin(place, connect_to(target)) for target in (second, third)]
    until_held(a, agent_id, {second: 1, third: 1})
    a.call("Reload", card={**card, "allowed_hosts": [second], "denied_hosts": [third]})
    assert head_of(conns[0]).startswith("HTTP/1.1 200 ")
    assert head_of(conns[1]).startswith("HTTP/1.1 403 ")
    until_held(a, agent_id, {})


def test_what_was_sent_early_goes_out_behind_the_answer_and_not_before(a, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), connect_to(target, early="early bytes"))
    until_held(a, agent_id, {target: 1})
    conn.sendall(b", later bytes")
    assert is_silent(conn) and echoes[0].accepted == 0
    a.call("ChangeHosts", agent_id=agent_id, allow=[target])
    assert head_of(conn).startswith("HTTP/1.1 200 ")
    assert conn.recv(24, socket.MSG_WAITALL) == b"early bytes, later bytes"


def test_plain_http_asks_like_a_tunnel(a, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n")
    until_held(a, agent_id, {target: 1})
    a.call("ChangeHosts", agent_id=agent_id, deny=[target])
    answer = head_of(conn)
    assert answer.startswith("HTTP/1.1 403 ") and "host-denied" in answer


@pytest.fixture
def pages():
    """Two web servers, as the hosts that requests name."""
    with web_server("127.0.0.2") as one, web_server("127.0.0.2") as other:
        yield [f"127.0.0.2:{server.server_port}" for server in (one, other)]


def test_any_request_of_a_connection_can_be_held(a, agent, pages):
    """Each is decided for itself: those before were let through, those behind wait their turn."""
    known, unknown = pages
    card = agent(60, allowed_hosts=[known])
    agent_id = card["agent_id"]
    pid, address = place_of(a, agent_id)
    client = http.client.HTTPConnection(*address, timeout=20)
    client.sock = in_network_of(pid, lambda: socket.create_connection(address, timeout=20))

    def page(target, path):
        client.request("GET", f"http://{target}{path}", headers={"Host": target})

    def answer():
        response = client.getresponse()
        return response.status, response.read().decode()
    page(known, "/1")
    assert answer() == (200, "path /1")
    page(unknown, "/2")
    until_held(a, agent_id, {unknown: 1})
    a.call("ChangeHosts", agent_id=agent_id, allow=[unknown])
    assert answer() == (200, "path /2")
    page(known, "/3")
    assert answer() == (200, "path /3")
    a.call("Reload", card=card)
    page(unknown, "/4")
    until_held(a, agent_id, {unknown: 1})
    a.call("ChangeHosts", agent_id=agent_id, deny=[unknown])
    status, body = answer()
    assert status == 403 and "host-denied" in body
    client.close()


def test_an_agent_gets_its_page_when_somebody_approves(a, pages):
    """curl in a cage that knows nothing of all this, and waits."""
    card = a.card(f"curl -sS -m 100 http://{pages[0]}/from-a-cage && "
                  f"curl -sS -m 100 -o /dev/null -w '%{{http_code}}' http://{pages[1]}/",
                  allowed_hosts=["x.example"])
    process = a.daemon.start_cagectl(a.user, "run", "--ask", a.cards.write(card))
    agent_id = card["agent_id"]
    try:
        until(lambda: any(one["agent_id"] == agent_id for one in a.call("List")["agents"]))
        until_held(a, agent_id, {pages[0]: 1})
        assert a.cagectl("approve", agent_id, pages[0]).status == 0
        until_held(a, agent_id, {pages[1]: 1})
        assert a.cagectl("deny", agent_id, pages[1]).status == 0
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (out, errors, process.returncode) == (b"path /from-a-cage403", b"", 0), (out, errors)


def test_only_what_no_entry_is_about_is_asked_for(a, agent, echoes):
    allowed, denied, unknown = (echo.host for echo in echoes)
    agent_id = agent(60, allowed_hosts=[allowed, "0.0.0.0/0:81"], denied_hosts=[denied])["agent_id"]
    place = place_of(a, agent_id)
    conn = begin(place, connect_to(unknown))
    until_held(a, agent_id, {unknown: 1})
    assert is_alive(tunnel(a, agent_id, allowed)), "others do not wait for it"
    assert status_of(a, agent_id, denied) == "403"
    assert status_of(a, agent_id, "127.0.0.4:81") == "403", "a special address, that a range allows"
    assert held(a, agent_id) == {unknown: 1}
    conn.close()

    silent = agent(allowed_hosts=[allowed])["agent_id"]
    assert status_of(a, silent, unknown) == "403", "an agent that was not spawned so does not ask"
    assert "was started without --ask" in a.cagectl("approve", silent).text
    assert a.call("Hosts", agent_id=silent).get("ask_seconds") is None


# -- ends --


def test_a_client_that_goes_is_not_asked_for_any_more(a, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    place = place_of(a, agent_id)
    stays, closes, resets = (begin(place, connect_to(target)) for _ in range(3))
    until_held(a, agent_id, {target: 3})
    closes.close()
    resets.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    resets.close()
    until_held(a, agent_id, {target: 1})
    a.daemon.log_lines('CAGED_CODE="client-gone"', at_least=2)
    assert is_silent(stays)
    a.call("ChangeHosts", agent_id=agent_id, allow=[target])
    assert head_of(stays).startswith("HTTP/1.1 200 ") and is_alive(stays)
    assert echoes[0].accepted == 1


def test_what_a_gate_held_goes_with_it(a, agent, echoes):
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), connect_to(echoes[0].host))
    until_held(a, agent_id, {echoes[0].host: 1})
    os.kill(a.inspect(agent_id)["network"]["gate_pid"], signal.SIGKILL)
    assert is_cut(conn)
    until_held(a, agent_id, {})
    again = begin(place_of(a, agent_id), connect_to(echoes[0].host))
    until_held(a, agent_id, {echoes[0].host: 1})
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert is_cut(again)
    assert held(a, agent_id) == {}


def test_a_gate_that_hangs_does_not_hold_up_the_daemon(a, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), connect_to(target))
    until_held(a, agent_id, {target: 1})
    os.kill(a.inspect(agent_id)["network"]["gate_pid"], signal.SIGSTOP)
    reply = a.call("ChangeHosts", agent_id=agent_id, allow=[target])
    assert reply["added"] == [target]
    assert is_cut(conn), "the gate was killed, and the next has the new hosts"
    until_held(a, agent_id, {})
    assert is_alive(tunnel(a, agent_id, target))


# -- who is told, and who may answer --


def test_events_and_the_log_tell_of_it(a, b, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    process = a.daemon.start_cagectl(a.user, "events", agent_id)
    try:
        with a.connect() as connection, b.connect() as stranger:
            for one in (connection, stranger):
                one.send("Events", more=True)
                assert one.reply() == {"events": [], "lost": 0}
            conns = [begin(place_of(a, agent_id), connect_to(target))]
            event, = connection.reply()["events"]
            assert (event["kind"], event["verdict"], event["allowed"]) == ("network", "held", False)
            assert f"{event['host']}:{event['port']}" == target and event["method"] == "CONNECT"
            a.call("ChangeHosts", agent_id=agent_id, deny=[target])
            events = []
            while len(events) < 2:
                events += connection.reply()["events"]
            assert [one["kind"] for one in events] == ["reloaded", "network"]
            assert (events[1]["verdict"], events[1]["code"]) == ("refused", "host-denied")
            assert events[1]["request"] == event["request"]
            stranger.socket.settimeout(PAUSE)
            with pytest.raises(TimeoutError):
                stranger.reply()
        conns[0].close()
        a.call("ChangeHosts", agent_id=agent_id, allow=["never.example"])
        shown = b""
        asked = 0
        while f"held CONNECT unknown.example:{asked}\n".encode() not in shown:
            asked += 1  # until cagectl follows
            conns.append(begin(place_of(a, agent_id), connect_to(f"unknown.example:{asked}")))
            until(lambda: f"unknown.example:{asked}" in held(a, agent_id))
            os.set_blocking(process.stdout.fileno(), False)
            shown += process.stdout.read() or b""
            assert asked < HELD_MAX
    finally:
        process.kill()
        process.communicate()


def test_nobody_else_can_answer_or_see_what_an_agent_asks_for(a, b, agent, echoes):
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    conn = begin(place_of(a, agent_id), connect_to(target))
    until_held(a, agent_id, {target: 1})
    for words in (["approve", agent_id, target], ["approve", agent_id], ["deny", agent_id, target]):
        done = b.cagectl(*words)
        assert done.status == 67 and target not in done.text
    assert held(a, agent_id) == {target: 1} and is_silent(conn)


@pytest.mark.parametrize("seconds", [0, 601, -1, "60", 2**40, 1.5])
def test_a_time_that_is_none_is_refused_by_name(a, seconds):
    with pytest.raises(VarlinkError) as error:
        a.daemon.spawn(a.user, a.card("true"), ask_seconds=seconds)
    assert error.value.parameters == {"parameter": "ask_seconds"}


def test_cagectl_takes_a_time_or_its_own(a, echoes):
    for option, seconds in (("--ask", 60), ("--ask=7", 7)):
        card = a.card("sleep 600", allowed_hosts=["x.example"])
        assert a.cagectl("spawn", option, a.cards.write(card)).status == 0
        assert a.call("Hosts", agent_id=card["agent_id"])["ask_seconds"] == seconds
        a.call("Kill", agent_id=card["agent_id"])
    for wrong in ("--ask=0", "--ask=601", "--ask=", "--ask=a"):
        done = a.cagectl("spawn", wrong, "card.json")
        assert done.status == 64 and "--ask wants seconds from 1 to 600" in done.errors


@pytest.mark.parametrize("options", [("--ask",), ("-t", "--ask")])
def test_run_tells_at_the_terminal_what_to_type(a, echoes, options):
    target = echoes[0].host
    script = "echo up; read line; echo done" if "-t" in options else "echo up; sleep 600"
    card = a.card(script, allowed_hosts=["x.example"])
    agent_id = card["agent_id"]
    session = Terminal(a, card, options=options, columns=500)
    try:
        session.until(b"up")
        conns = [begin(place_of(a, agent_id), connect_to(target)) for _ in range(3)]
        line = (f"cagectl: agent {agent_id} asks for {target}: cagectl approve {agent_id} {target} / "
                f"cagectl deny {agent_id} {target} (60 s)\r\n").encode()
        session.until(line)
        until_held(a, agent_id, {target: 3})
        assert a.cagectl("approve", agent_id, target).status == 0
        for conn in conns:
            assert head_of(conn).startswith("HTTP/1.1 200 ")
        if "-t" in options:
            session.type(b"\r")
            session.until(b"done")
        else:
            a.call("Kill", agent_id=agent_id)
        session.finish()
        assert session.seen.count(b" asks for ") == 1, "one line for each host"
    finally:
        session.close()


def test_a_request_that_cannot_wait_does_not_make_run_tell_again_of_those_that_do(a, echoes):
    target = echoes[0].host
    card = a.card("echo up; sleep 600", allowed_hosts=["x.example"])
    agent_id = card["agent_id"]
    session = Terminal(a, card, options=("--ask",), columns=500)
    try:
        session.until(b"up")
        place = place_of(a, agent_id)
        conns = [begin(place, connect_to(target)) for _ in range(HELD_MAX)]
        until_held(a, agent_id, {target: HELD_MAX})
        for _ in range(HELD_MAX):
            conn, status = ask_at(place, target)
            conn.close()
            assert status == "403"
        conns.pop().close()
        until_held(a, agent_id, {target: HELD_MAX - 1})
        conns.append(begin(place, connect_to(target)))
        until_held(a, agent_id, {target: HELD_MAX})
        other = echoes[1].host
        conns.pop().close()
        until_held(a, agent_id, {target: HELD_MAX - 1})
        conns.append(begin(place, connect_to(other)))
        session.until(f" asks for {other}: ".encode())
        a.call("Kill", agent_id=agent_id)
        session.finish()
        assert session.seen.count(b" asks for ") == 2, "one line for each host"
    finally:
        session.close()


@pytest.mark.parametrize("who", ["a", "root"])
def test_run_tells_what_waits_though_events_were_lost(request, a, echoes, who):
    """They are lost to who reads none while more happens than the daemon keeps. Root's agent has a
    namesake of a user's."""
    target, other = echoes[0].host, echoes[1].host
    client = request.getfixturevalue(who)
    card = a.card("echo up; sleep 600", allowed_hosts=["x.example"])
    agent_id = card["agent_id"]
    session = Terminal(client, card, options=("--ask",), columns=500)

    def line(host):
        return f"agent {agent_id} asks for {host}: cagectl approve {agent_id} {host} /".encode()
    try:
        session.until(b"up")
        place = place_of(client, agent_id)
        os.kill(session.process.pid, signal.SIGSTOP)
        change_much(client, agent_id)
        conns = [begin(place, connect_to(target)) for _ in range(2)]
        until_held(client, agent_id, {target: 2})
        change_much(client, agent_id)
        if who == "root":
            a.daemon.spawn(a.user, {**card, "workspace": str(a.user.folder("namesake"))})
        os.kill(session.process.pid, signal.SIGCONT)
        session.until(line(target), timeout=30)
        conns.append(begin(place, connect_to(other)))
        session.until(line(other), timeout=30)
        for owner in {a.user.uid, client.user.uid} if who == "root" else {a.user.uid}:
            client.call("Kill", agent_id=agent_id, owner_uid=owner)
        session.finish()
        assert session.seen.count(b" asks for ") == 2, "one line for each host"
    finally:
        session.close()


# -- floods --


def test_no_more_than_a_number_of_requests_is_held(a, agent, echoes):
    """What is over it is refused at once and does no harm to what is held, nor to tunnels."""
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=[echoes[1].host])["agent_id"]
    alive = tunnel(a, agent_id, echoes[1].host)
    place = place_of(a, agent_id)
    conns = [begin(place, connect_to(target)) for _ in range(HELD_MAX)]
    until_held(a, agent_id, {target: HELD_MAX})
    for i in range(20):
        conn, status = ask_at(place, f"more{i}.example:443")
        conn.close()
        assert status == "403"
    assert held(a, agent_id) == {target: HELD_MAX}
    assert {item["code"] for item in a.call("Hosts", agent_id=agent_id)["refused"]} == \
        {"too-many-held"}
    assert is_alive(alive) and is_alive(tunnel(a, agent_id, echoes[1].host))
    a.call("ChangeHosts", agent_id=agent_id, allow=[target])
    for conn in conns:
        assert head_of(conn).startswith("HTTP/1.1 200 ") and is_alive(conn)
    waits = begin(place, connect_to("next.example:443"))
    until_held(a, agent_id, {"next.example:443": 1})
    waits.close()


def test_an_agent_that_asks_without_end_is_slowed_down(a, agent):
    """It cannot flood the log and its operator: connections that ask and go come to a bound."""
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    place = place_of(a, agent_id)
    with a.connect() as connection:
        connection.send("Events", more=True)
        connection.reply()

        def flood():
            for i in range(600):
                with socket.create_connection(place[1], timeout=20) as conn:
                    conn.sendall(connect_to(f"h{i}.example:443").encode())
        in_network_of(place[0], flood)
        counts = {"held": 0, "refused": 0}
        while counts["refused"] < 600:
            for event in connection.reply()["events"]:
                if event.get("verdict") in counts:
                    counts[event["verdict"]] += event["count"]
    assert counts["refused"] == 600, "each has an end"
    assert HELD_BURST <= counts["held"] < 400, counts
    until_held(a, agent_id, {})


def test_what_became_of_a_held_request_is_told_in_a_flood(a, agent, echoes):
    """Where refusals come so fast that they are added up, those that somebody waits for are not."""
    target = echoes[0].host
    agent_id = agent(60, allowed_hosts=["x.example"], denied_hosts=["*.flood.example"])["agent_id"]
    place = place_of(a, agent_id)
    conns = [begin(place, connect_to(target)) for _ in range(10)]
    until_held(a, agent_id, {target: 10})

    def flood():
        for i in range(400):
            with socket.create_connection(place[1], timeout=20) as conn:
                conn.sendall(connect_to(f"h{i}.flood.example:443").encode())
                assert conn.recv(12).endswith(b" 403")
    in_network_of(place[0], flood)
    a.call("ChangeHosts", agent_id=agent_id, deny=[target])
    for conn in conns:
        assert head_of(conn).startswith("HTTP/1.1 403 ")
    assert held(a, agent_id) == {}


def test_answers_race_with_requests_and_nothing_gets_through_wrongly(a, agent, echoes):
    """Requests come and go while a host is approved and denied by turns: each gets an answer that was
    in force while it waited, and no connection is made to what never was."""
    target, never = echoes[0].host, echoes[1].host
    agent_id = agent(60, allowed_hosts=["x.example"])["agent_id"]
    place = place_of(a, agent_id)
    over, statuses = threading.Event(), []
    connection = a.connect(60)

    def answer():
        try:
            for i in range(100):
                which = ("allow", "deny")[i % 2]
                connection.call("ChangeHosts", {"agent_id": agent_id, which: [target]})
                n = len(statuses)
                if i % 5 == 0:  # now and then one request has no other answer in its time
                    until(lambda: len(statuses) >= n + 2, timeout=30)
        finally:
            connection.close()
            over.set()
    thread = threading.Thread(target=answer)
    waits = begin(place, connect_to(never))
    thread.start()
    while not over.is_set():
        conn = begin(place, connect_to(target))
        try:
            statuses.append(head_of(conn)[9:12])
        except ConnectionResetError:
            statuses.append("cut")
        conn.close()
    thread.join(60)
    assert {"200", "403"} <= set(statuses) <= {"200", "403", "cut", ""}, set(statuses)
    assert held(a, agent_id) == {never: 1} and is_silent(waits)
    assert echoes[1].accepted == 0
    waits.close()
