"""Reload through the whole daemon: a running agent gets the hosts of its card as it is now, what
else differs is named, and nobody but its owner and root can do it."""

import json
import os
import re
import signal
import threading
import time

import pytest

from harness import paths
from harness.daemon import until
from harness.tunnels import (Echo, ask_at, connect_in, is_alive, is_cut, place_of, status_of,
                             tunnel)
from harness.varlink import VarlinkError


def reload(client, card, **keys):
    return client.call("Reload", card={**card, **keys})


# -- the hosts --


def test_reload_cuts_what_is_removed_and_opens_what_is_new(a, agent, echoes):
    kept, gone, new = (echo.host for echo in echoes)
    card = agent(allowed_hosts=[kept, gone])
    agent_id = card["agent_id"]
    to_kept, to_gone = tunnel(a, agent_id, kept), tunnel(a, agent_id, gone)
    assert status_of(a, agent_id, new) == "403"
    gate = a.inspect(agent_id)["network"]["gate_pid"]

    began = time.monotonic()
    path = a.cards.write({**card, "allowed_hosts": [kept, new]})
    done = a.cagectl("reload", path)
    assert is_cut(to_gone)
    assert time.monotonic() - began < 1
    assert (done.status, done.errors) == (0, "")
    assert done.text == f"{agent_id} reloaded\n  + {new}\n  - {gone}\n"

    assert is_alive(to_kept)
    assert status_of(a, agent_id, gone) == "403"
    assert is_alive(tunnel(a, agent_id, new))
    assert status_of(a, agent_id, "127.0.0.2:9") == "403"
    inspected = a.inspect(agent_id)
    assert inspected["network"]["gate_pid"] == gate, "it is the same gate"
    assert inspected["network"]["allowed_hosts"] == [kept, new]
    assert inspected["card"]["allowed_hosts"] == [kept, new]
    a.daemon.log_lines(f"CAGED_ADDED=\"{new}\"")
    a.daemon.log_lines("1 connections were cut")


def test_private_hosts_are_taken_over_too(a, agent):
    card = agent(allowed_hosts=["x.example"], private_hosts=["old.example"])
    reply = reload(a, card, private_hosts=["new.example", "x.example"])
    assert (reply["private_added"], reply["private_removed"]) == \
        (["new.example", "x.example"], ["old.example"])
    assert (reply["added"], reply["removed"], reply["ignored"]) == ([], [], [])
    assert a.inspect(card["agent_id"])["network"]["private_hosts"] == ["new.example", "x.example"]
    assert a.inspect(card["agent_id"])["card"]["private_hosts"] == ["new.example", "x.example"]


def test_denied_hosts_are_taken_over_and_cut_what_they_deny(a, agent, echoes):
    kept, denied = echoes[0].host, echoes[1].host
    card = agent(allowed_hosts=[kept, denied], denied_hosts=["old.example"])
    agent_id = card["agent_id"]
    assert a.inspect(agent_id)["network"]["denied_hosts"] == ["old.example"]
    stays, goes = tunnel(a, agent_id, kept), tunnel(a, agent_id, denied)
    with a.connect() as follower:
        follower.send("Events", more=True)
        assert follower.reply() == {"events": [], "lost": 0}
        reply = reload(a, card, denied_hosts=[denied])
        assert (reply["denied_added"], reply["denied_removed"]) == ([denied], ["old.example"])
        assert (reply["added"], reply["removed"], reply["ignored"]) == ([], [], [])
        event, = follower.reply()["events"]
        assert (event["denied_added"], event["denied_removed"]) == ([denied], ["old.example"])
    assert is_alive(stays) and not is_alive(goes)
    assert status_of(a, agent_id, denied) == "403"
    inspected = a.inspect(agent_id)
    assert inspected["network"]["denied_hosts"] == [denied]
    assert inspected["card"]["denied_hosts"] == [denied]
    a.daemon.log_lines(f"CAGED_DENIED_ADDED=\"{denied}\"")
    shown = a.cagectl("inspect", agent_id).text
    assert "denied hosts" in shown and denied in shown
    done = a.cagectl("reload", a.cards.write({**card, "denied_hosts": []}))
    assert f"  - {denied} (denied)" in done.text
    tunnel(a, agent_id, denied).close()
    stays.close()
    goes.close()


def test_without_a_list_it_is_the_host_of_the_provider_that_runs(a, agent):
    card = agent(allowed_hosts=["x.example"], api_provider="openai")
    del card["allowed_hosts"]
    reply = reload(a, card)
    assert (reply["added"], reply["removed"]) == (["api.openai.com:443"], ["x.example"])
    reply = reload(a, card, api_provider="anthropic")
    assert (reply["added"], reply["ignored"]) == ([], ["$.api_provider"])
    assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["api.openai.com:443"]
    reply = reload(a, card, allowed_hosts=["x.example"])
    assert reply["removed"] == ["api.openai.com:443"]


def test_before_its_first_connection_an_agent_has_no_gate_to_tell(a, agent, echoes):
    old, new = echoes[0].host, echoes[1].host
    card = agent(allowed_hosts=[old])
    assert reload(a, card, allowed_hosts=[new])["added"] == [new]
    assert a.inspect(card["agent_id"])["network"].get("gate_pid") is None
    assert status_of(a, card["agent_id"], old) == "403"
    tunnel(a, card["agent_id"], new).close()
    assert echoes[0].accepted == 0


def test_after_the_gate_was_killed_the_next_has_the_new_hosts(a, agent, echoes):
    old, new = echoes[0].host, echoes[1].host
    card = agent(allowed_hosts=[old])
    conn = tunnel(a, card["agent_id"], old)
    os.kill(a.inspect(card["agent_id"])["network"]["gate_pid"], signal.SIGKILL)
    reload(a, card, allowed_hosts=[new])
    assert is_cut(conn)
    tunnel(a, card["agent_id"], new).close()
    assert status_of(a, card["agent_id"], old) == "403"


def test_a_gate_that_does_not_answer_is_killed(a, agent, echoes):
    """Reload comes back when its connections are cut, and the next gate has the new hosts."""
    old, new = echoes[0].host, echoes[1].host
    card = agent(allowed_hosts=[old])
    conn = tunnel(a, card["agent_id"], old)
    gate = a.inspect(card["agent_id"])["network"]["gate_pid"]
    os.kill(gate, signal.SIGSTOP)
    reload(a, card, allowed_hosts=[new])
    assert is_cut(conn)
    assert a.inspect(card["agent_id"])["network"].get("gate_pid") != gate
    a.daemon.log_lines("it did not take an update in time")
    tunnel(a, card["agent_id"], new).close()
    assert status_of(a, card["agent_id"], old) == "403"


def test_other_agents_and_calls_do_not_wait_for_a_gate_that_hangs(a, agent, echoes):
    card, other = (agent(allowed_hosts=[echoes[0].host]) for _ in range(2))
    tunnel(a, card["agent_id"], echoes[0].host).close()
    gate = a.inspect(card["agent_id"])["network"]["gate_pid"]
    os.kill(gate, signal.SIGSTOP)
    with a.connect() as connection:
        connection.send("Reload", {"card": {**card, "allowed_hosts": []}})
        began = time.monotonic()
        for _ in range(20):
            reload(a, other, ttl_seconds=0)
        assert time.monotonic() - began < 3
        os.kill(gate, signal.SIGCONT)
        assert connection.reply()["removed"] == [echoes[0].host]
    assert a.inspect(card["agent_id"])["network"]["gate_pid"] == gate


# -- the host's loopback --


def test_a_port_of_the_loopback_can_be_taken_away_but_not_added(a, agent, echoes):
    """What listens in the cage is made at its start: an entry for a new port is left out as a
    whole, also for the gate's proxy, and named."""
    local = [Echo("127.0.0.1") for _ in range(2)]
    (first, second), far = (server.host for server in local), echoes[0].host
    ports = [server.server_address[1] for server in local]
    card = agent(allowed_hosts=[first])
    agent_id = card["agent_id"]
    inside = connect_in(a, agent_id, ("127.0.0.1", ports[0]))
    assert is_alive(inside)

    reply = reload(a, card, allowed_hosts=[first, second, f"localhost:{ports[1]}", far])
    assert reply["ignored"] == ["$.allowed_hosts[1]", "$.allowed_hosts[2]"]
    assert reply["added"] == [far]
    for target in (second, f"localhost:{ports[1]}"):
        assert status_of(a, agent_id, target) == "403"
    with pytest.raises(ConnectionRefusedError):
        connect_in(a, agent_id, ("127.0.0.1", ports[1]))
    assert is_alive(inside)

    # Nothing that can be taken is not the same as no list.
    reply = reload(a, card, allowed_hosts=[second])
    assert (reply["removed"], reply["ignored"]) == ([first, far], ["$.allowed_hosts[0]"])
    inspected = a.inspect(agent_id)
    assert inspected["network"]["allowed_hosts"] == inspected["card"]["allowed_hosts"] == []
    assert inspected["network"]["forwards"] == []
    assert is_cut(inside)
    with pytest.raises(ConnectionResetError):
        connect_in(a, agent_id, ("127.0.0.1", ports[0])).recv(1)

    assert reload(a, card)["added"] == [first]
    assert a.inspect(agent_id)["network"]["forwards"] == [first]
    assert is_alive(connect_in(a, agent_id, ("127.0.0.1", ports[0])))
    for server in local:
        server.shutdown()
        server.server_close()


# -- what else the card says --


def test_what_needs_a_restart_is_named_and_not_touched(a, agent):
    card = agent(allowed_hosts=["x.example"], environment={"A": "secret-one", "B": "same"},
                 ttl_seconds=500, resource_limits={"memory_mb": 100, "max_processes": 50})
    before = a.inspect(card["agent_id"])
    changed = {**card, "environment": {"A": "secret-two", "B": "same", "C": "secret-three"},
               "ttl_seconds": 400, "resource_limits": {"memory_mb": 101, "max_processes": 50},
               "command": ["true"], "allowed_hosts": ["y.example"]}
    done = a.cagectl("reload", a.cards.write(changed))
    assert done.status == 0
    assert done.text.splitlines() == [
        f"{card['agent_id']} reloaded", "  + y.example", "  - x.example",
        "  needs a restart: $.command", "  needs a restart: $.resource_limits.memory_mb",
        "  needs a restart: $.ttl_seconds", "  needs a restart: $.environment.A",
        "  needs a restart: $.environment.C"]
    after = a.inspect(card["agent_id"])
    assert after["card"] == {**before["card"], "allowed_hosts": ["y.example"]}
    assert (after["limits"], after["command"]) == (before["limits"], before["command"])
    assert "secret-" not in a.daemon.log() + json.dumps(after)


def test_a_card_that_did_not_change_changes_nothing(a, agent):
    card = agent(allowed_hosts=["x.example"])
    done = a.cagectl("reload", a.cards.write(card))
    assert done.text == f"{card['agent_id']} reloaded\n  its hosts are as they were\n"
    assert a.cagectl("reload", "-q", a.cards.write(card)).text == ""
    done = a.cagectl("reload", "-j", a.cards.write({**card, "allowed_hosts": ["y.example"]}))
    reply = json.loads(done.text)
    assert (reply["added"], reply["removed"], reply["ignored"]) == (["y.example"], ["x.example"], [])
    assert reply["agent"]["agent_id"] == card["agent_id"]
    assert done.text.count("\n") == 1


def test_a_reload_is_told_to_who_follows_events(a, b, agent, people):
    card = agent(allowed_hosts=["x.example"], private_hosts=["p.example"])
    with a.connect() as connection, b.connect() as other:
        for follower in (connection, other):
            follower.send("Events", more=True)
            assert follower.reply() == {"events": [], "lost": 0}
        reload(a, card)  # no change, no event
        reload(a, card, allowed_hosts=["y.example"], private_hosts=[])
        event, = connection.reply()["events"]
        assert event["kind"] == "reloaded" and event["agent_id"] == card["agent_id"]
        assert event["by_uid"] == event["owner_uid"] == people["a"].uid
        assert (event["added"], event["removed"]) == (["y.example"], ["x.example"])
        assert (event["private_added"], event["private_removed"]) == ([], ["p.example"])
        other.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            other.reply()
    process = a.daemon.start_cagectl(a.user, "events", card["agent_id"])
    try:
        line = b""
        while b"reloaded" not in line:  # until it follows
            reload(a, card, allowed_hosts=["z.example"])
            reload(a, card, allowed_hosts=["z.example", "y.example"])
            os.set_blocking(process.stdout.fileno(), False)
            line += process.stdout.read() or b""
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    uid = people["a"].uid
    assert re.search(rf"{card['agent_id']} reloaded by uid {uid}:"
                     r"( [+-][yz]\.example| \+p\.example\(private\))+\n", line.decode())


# -- who, and what is refused --


def test_another_user_cannot_reload_an_agent(a, b, agent, people):
    card = agent(allowed_hosts=["x.example"])
    for keys in ({}, {"owner_uid": people["a"].uid}, {"owner_uid": 0}):
        with pytest.raises(VarlinkError) as error:
            b.call("Reload", card=card, **keys)
        assert (error.value.name, error.value.parameters) == \
            ("NoSuchAgent", {"agent_id": card["agent_id"]})
    path = b.cards.write({**card, "allowed_hosts": ["evil.example"]})
    done = b.cagectl("reload", path)
    assert done.status == 67 and "you have no agent" in done.errors
    with pytest.raises((VarlinkError, PermissionError)) as error:
        a.daemon.call(people["c"], "Reload", {"card": card})
    assert "PermissionError" in repr(error) or error.value.name == "NotPermitted"
    assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["x.example"]


def test_two_users_with_the_same_id_reload_their_own(a, b, root, agent, people):
    card = agent(allowed_hosts=["x.example"])
    other = b.card("sleep 600", agent_id=card["agent_id"], allowed_hosts=["x.example"])
    b.daemon.spawn(b.user, other)
    try:
        b.call("Reload", card={**other, "allowed_hosts": ["b.example"]})
        assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["x.example"]
        with pytest.raises(VarlinkError) as error:
            root.call("Reload", card=card)
        assert error.value.name == "Ambiguous"
        path = root.cards.write({**card, "allowed_hosts": ["root.example"]})
        assert root.cagectl("reload", "--owner", people["a"].name, path).status == 0
        assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["root.example"]
        assert b.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["b.example"]
        root.daemon.log_lines('CAGED_BY_UID="0"')
    finally:
        b.call("Kill", agent_id=card["agent_id"])
        b.wait(card["agent_id"])


def test_the_unit_reloads_no_agent_of_a_user(a, root, agent):
    """Who has the id of a unit's agent gets none of its hosts, though the unit's agent is gone."""
    card = agent(allowed_hosts=["x.example"])
    unit = (paths.BUILD / "units" / "caged-agent@.service").read_text()
    (line,) = re.findall("^ExecReload=(.*)$", unit, re.M)
    path = root.cards.write({**card, "allowed_hosts": ["root.example"]})
    program, *words = line.replace("%i", card["agent_id"]).split()
    assert program.endswith("/cagectl") and words[-1].endswith(f"/agents/{card['agent_id']}.json")
    assert root.cagectl(*words[:-1], path).status == 67
    assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["x.example"]


@pytest.mark.parametrize("keys, path", [
    ({"allowed_hosts": ["http://x/"]}, "$.allowed_hosts[0]"),
    ({"allowed_hosts": "x.example"}, "$.allowed_hosts"),
    ({"private_hosts": ["10.0.0.1"]}, "$.private_hosts[0]"),
    ({"ttl_seconds": -1}, "$.ttl_seconds"), ({"allowed_host": []}, "$.allowed_host"),
    ({"workspace": "relative"}, "$.workspace")])
def test_a_card_with_an_error_changes_nothing(a, agent, keys, path):
    card = agent(allowed_hosts=["x.example"])
    wrong = {**card, "allowed_hosts": ["y.example"], **keys}
    with pytest.raises(VarlinkError) as error:
        a.call("Reload", card=wrong)
    assert (error.value.name, error.value.parameters["path"]) == ("InvalidCard", path)
    done = a.cagectl("reload", a.cards.write(wrong))
    assert done.status == 65 and path in done.errors
    assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["x.example"]


def test_bad_calls_are_refused_by_name(a, agent):
    card = agent(allowed_hosts=["x.example"])
    for parameters, bad in [({}, "card"), ({"card": []}, "card"), ({"card": card, "x": 1}, "x"),
                            ({"card": card, "owner_uid": -1}, "owner_uid")]:
        with pytest.raises(VarlinkError) as error:
            a.call("Reload", **parameters)
        assert error.value.parameters == {"parameter": bad}
    assert a.cagectl("reload").status == 64
    assert a.cagectl("reload", "/nowhere/card.json").status == 66


def test_an_agent_that_ended_cannot_be_reloaded(a, agent):
    card = agent(allowed_hosts=["x.example"])
    a.call("Kill", agent_id=card["agent_id"])
    a.wait(card["agent_id"])
    with pytest.raises(VarlinkError) as error:
        reload(a, card, allowed_hosts=["y.example"])
    assert error.value.name == "NotRunning"
    done = a.cagectl("reload", a.cards.write(card))
    assert done.status == 67 and "does not run" in done.errors
    assert a.inspect(card["agent_id"])["network"]["allowed_hosts"] == ["x.example"]
    with pytest.raises(VarlinkError) as error:
        reload(a, card, agent_id="never-was")
    assert error.value.name == "NoSuchAgent"


def test_an_agent_that_ends_meanwhile_is_answered_for(a, agent, echoes):
    card = agent(allowed_hosts=[echoes[0].host])
    tunnel(a, card["agent_id"], echoes[0].host).close()
    os.kill(a.inspect(card["agent_id"])["network"]["gate_pid"], signal.SIGSTOP)
    with a.connect() as connection:
        connection.send("Reload", {"card": {**card, "allowed_hosts": []}})
        a.call("Kill", agent_id=card["agent_id"])
        assert connection.reply()["agent"]["state"] in ("stopping", "ended")
    assert a.wait(card["agent_id"])["reason"] == "killed"


# -- many, and at once --


def fds_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


def test_a_thousand_reloads_leave_nothing_behind(a, agent, echoes):
    card = agent(allowed_hosts=[echoes[0].host])
    agent_id, daemon = card["agent_id"], a.daemon.pid
    conn = tunnel(a, agent_id, echoes[0].host)
    gate = a.inspect(agent_id)["network"]["gate_pid"]
    many = [f"{'x' * 50}-{i}.example" for i in range(200)]
    with a.connect() as connection:
        for i in range(1000):
            hosts = [echoes[0].host] + (many[:i % 7] if i != 50 else many)
            connection.call("Reload", {"card": {**card, "allowed_hosts": hosts}})
            if i == 100:
                before = fds_of(daemon), fds_of(gate)
                memory = private_kib(daemon), private_kib(gate)
        assert (fds_of(daemon), fds_of(gate)) == before
        # The ring of events fills up meanwhile: 1 MiB.
        assert private_kib(daemon) < memory[0] + 1500
        assert private_kib(gate) < memory[1] + 256
    assert a.inspect(agent_id)["network"]["gate_pid"] == gate
    assert is_alive(conn)
    conn.close()


def test_clients_that_do_not_wait_for_the_answer_do_no_harm(a, agent, echoes):
    card = agent(allowed_hosts=[echoes[0].host])
    conn = tunnel(a, card["agent_id"], echoes[0].host)
    before = fds_of(a.daemon.pid)
    for i in range(50):
        with a.connect() as connection:
            connection.send("Reload", {"card": {**card, "allowed_hosts": [
                echoes[0].host, f"h{i}.example"]}})
    last = "h49.example"
    until(lambda: a.inspect(card["agent_id"])["network"]["allowed_hosts"][-1] == last)
    until(lambda: fds_of(a.daemon.pid) == before)
    assert is_alive(conn)
    conn.close()


def test_reloads_at_once_end_with_one_of_the_lists_as_a_whole(a, agent, echoes):
    """Several clients, each with lists of its own, and connections all the time: what is in none of
    them is never reached, and what is in force in the end is what Inspect shows."""
    never = echoes[2].host
    lists = [[echoes[0].host, "a.example"], [echoes[1].host, "b.example"]]
    card = agent(allowed_hosts=lists[0])
    agent_id = card["agent_id"]
    over = threading.Event()
    statuses, place = [], place_of(a, agent_id)

    def reload_often(connection, hosts):
        with connection:
            for _ in range(150):
                connection.call("Reload", {"card": {**card, "allowed_hosts": hosts}})

    def ask_often():
        while not over.is_set():
            for target in (never, echoes[0].host, echoes[1].host):
                try:
                    conn, status = ask_at(place, target)
                    conn.close()
                    statuses.append((target, status))
                except ConnectionResetError:  # cut before its answer was read
                    statuses.append((target, "cut"))
    asking = threading.Thread(target=ask_often)
    threads = [threading.Thread(target=reload_often, args=(a.connect(), hosts)) for hosts in lists]
    for thread in [asking, *threads]:
        thread.start()
    for thread in threads:
        thread.join(60)
    over.set()
    asking.join(20)
    assert {status for target, status in statuses if target == never} == {"403"}
    for echo in echoes[:2]:
        found = {status for target, status in statuses if target == echo.host}
        assert {"200", "403"} <= found, "the race took place"
    assert echoes[2].accepted == 0
    final = a.inspect(agent_id)["network"]["allowed_hosts"]
    assert final in lists
    for target, hosts in ((echoes[0].host, lists[0]), (echoes[1].host, lists[1])):
        assert status_of(a, agent_id, target) == ("200" if hosts == final else "403")
