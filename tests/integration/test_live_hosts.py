"""Single hosts for a running agent (ChangeHosts, Hosts; cagectl allow, deny, hosts): all of a change
or nothing, in force when it is answered, for its owner and root alone."""

import json
import os
import signal
import socket
import threading

import pytest

from harness.daemon import until
from harness.tunnels import (Echo, ask_at, connect_in, is_alive, is_cut, place_of, status_of,
                             tunnel)
from harness.varlink import VarlinkError


def change(client, agent_id, allow=None, deny=None, **more):
    return client.call("ChangeHosts", agent_id=agent_id, **({"allow": allow} if allow else {}),
                       **({"deny": deny} if deny else {}), **more)


def hosts_of(client, agent_id):
    """Both lists that are in force."""
    reply = client.call("Hosts", agent_id=agent_id)
    return reply["allowed_hosts"], reply["denied_hosts"]


# -- what a change does --


def test_allow_and_deny_change_one_host_and_touch_no_other(a, agent, echoes):
    kept, gone, new = (echo.host for echo in echoes)
    agent_id = agent(allowed_hosts=[kept, gone])["agent_id"]
    to_kept, to_gone = tunnel(a, agent_id, kept), tunnel(a, agent_id, gone)
    gate = a.inspect(agent_id)["network"]["gate_pid"]

    done = a.cagectl("allow", agent_id, new, "*.example")
    assert (done.status, done.errors) == (0, "")
    assert done.text == f"{agent_id} changed\n  + {new}\n  + *.example\n"
    to_new = tunnel(a, agent_id, new)
    done = a.cagectl("deny", agent_id, gone)
    assert done.text == \
        f"{agent_id} changed\n  - {gone}\n  + {gone} (denied)\n  1 connection cut\n"
    assert is_cut(to_gone)
    assert is_alive(to_kept) and is_alive(to_new)
    assert status_of(a, agent_id, gone) == "403"
    assert hosts_of(a, agent_id) == ([kept, new, "*.example"], [gone])
    inspected = a.inspect(agent_id)["network"]
    assert inspected["gate_pid"] == gate
    assert (inspected["allowed_hosts"], inspected["denied_hosts"]) == hosts_of(a, agent_id)

    assert a.cagectl("allow", agent_id, gone).text == \
        f"{agent_id} changed\n  + {gone}\n  - {gone} (denied)\n"
    assert is_alive(tunnel(a, agent_id, gone))
    a.daemon.log_lines(f'CAGED_ADDED="{new} *.example"')
    a.daemon.log_lines(f'CAGED_DENIED_ADDED="{gone}"', f'CAGED_REMOVED="{gone}"')


def test_one_call_can_do_both_and_counts_what_it_cut(a, agent, echoes):
    old, new = echoes[0].host, echoes[1].host
    agent_id = agent(allowed_hosts=[old])["agent_id"]
    tunnels = [tunnel(a, agent_id, old) for _ in range(3)]
    reply = change(a, agent_id, allow=[new], deny=[old])
    assert reply["cut"] == 3 and all(map(is_cut, tunnels))
    assert (reply["allowed_hosts"], reply["denied_hosts"]) == ([new], [old])
    assert (reply["added"], reply["removed"]) == ([new], [old])
    assert (reply["denied_added"], reply["denied_removed"]) == ([old], [])
    assert (reply["ignored"], reply["agent"]["agent_id"]) == ([], agent_id)
    assert change(a, agent_id, deny=["x.example"])["cut"] == 0


def test_entries_are_the_same_however_they_are_written(a, agent):
    card_hosts = ["X.example", "x.example", "fd00::/8", "y.example:443"]
    agent_id = agent(allowed_hosts=card_hosts)["agent_id"]
    reply = change(a, agent_id, deny=["x.EXAMPLE", "[fd00::]/8", "y.example"])
    assert reply["allowed_hosts"] == ["y.example:443"]
    assert reply["denied_hosts"] == ["x.EXAMPLE", "[fd00::]/8", "y.example"]
    reply = change(a, agent_id, allow=["x.example.", "x.example"])
    assert reply["denied_hosts"] == ["[fd00::]/8", "y.example"]
    assert reply["allowed_hosts"] == ["y.example:443", "x.example"]


def test_an_entry_of_denied_hosts_wins_over_wider_ones_of_allowed_hosts(a, agent, echoes):
    wide, denied = "127.0.0.2/32:*", echoes[1].host
    agent_id = agent(allowed_hosts=[wide, "x.example"], denied_hosts=["never.example"])["agent_id"]
    kept, gone = tunnel(a, agent_id, echoes[0].host), tunnel(a, agent_id, denied)
    reply = change(a, agent_id, deny=[denied])
    assert (reply["allowed_hosts"], reply["cut"]) == ([wide, "x.example"], 1)
    assert is_cut(gone) and is_alive(kept)
    assert a.call("Hosts", agent_id=agent_id)["live"] == [denied]
    assert status_of(a, agent_id, denied) == "403"
    item, = a.call("Hosts", agent_id=agent_id)["refused"]
    assert f"{item['host']}:{item['port']} {item['code']}" == f"{denied} host-denied"
    change(a, agent_id, allow=["never.example"])
    assert hosts_of(a, agent_id)[1] == [denied], "what the card denies can be allowed, too"


def test_the_host_of_the_provider_stays_until_it_is_denied(a, agent):
    agent_id = agent(allowed_hosts=[], api_provider="openai")["agent_id"]
    change(a, agent_id, allow=["x.example"])
    assert hosts_of(a, agent_id)[0] == ["api.openai.com:443", "x.example"]
    assert a.call("Hosts", agent_id=agent_id)["live"] == ["x.example"]
    change(a, agent_id, deny=["api.openai.com:443", "x.example"])
    assert hosts_of(a, agent_id)[0] == [], "the provider's host does not come back"


def test_a_reload_goes_back_to_the_card_and_says_so(a, agent, echoes):
    card = agent(allowed_hosts=[echoes[0].host])
    agent_id = card["agent_id"]
    change(a, agent_id, allow=[echoes[1].host], deny=["x.example"])
    to_live = tunnel(a, agent_id, echoes[1].host)
    done = a.cagectl("reload", a.cards.write(card))
    assert done.text == (
        f"{agent_id} reloaded\n  - {echoes[1].host}\n  - x.example (denied)\n"
        "  what allow, deny and approve had changed is as in the card again\n")
    assert is_cut(to_live)
    assert hosts_of(a, agent_id) == ([echoes[0].host], [])
    assert a.call("Reload", card=card)["live_replaced"] is False
    change(a, agent_id, allow=[echoes[0].host])  # which changes nothing
    assert a.call("Reload", card=card)["live_replaced"] is False


def test_hosts_shows_what_is_in_force_and_where_it_is_from(a, agent, echoes):
    agent_id = agent(allowed_hosts=[echoes[0].host], private_hosts=["p.example"])["agent_id"]
    change(a, agent_id, allow=["live.example"], deny=["never.example"])
    tunnel(a, agent_id, echoes[0].host).close()
    assert status_of(a, agent_id, "other.example:443") == "403"
    done = a.cagectl("hosts", agent_id)
    assert (done.status, done.errors) == (0, "")
    rows = [line.split() for line in done.text.splitlines()]
    assert rows[0] == ["LIST", "HOST", "FROM"]
    assert ["allowed", echoes[0].host, "card"] in rows
    assert ["allowed", "live.example", "live"] in rows
    assert ["private", "p.example", "card"] in rows
    assert ["denied", "never.example", "live"] in rows
    assert "1 request allowed, 1 refused" in done.text
    reply = json.loads(a.cagectl("hosts", "-j", agent_id).text)
    assert reply["live"] == ["live.example", "never.example"]
    assert (reply["requests_allowed"], reply["requests_refused"]) == (1, 1)


def test_an_entry_that_a_denied_one_makes_useless_is_told(a, agent):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    a.cagectl("deny", agent_id, "*.evil.example:443")
    done = a.cagectl("allow", agent_id, "www.evil.example:8443", "www.evil.example")
    assert "  ! www.evil.example is of no use: denied_hosts has *.evil.example:443\n" in done.text
    assert "8443 is of no use" not in done.text
    assert a.cagectl("allow", "-q", agent_id, "y.example").text == ""
    done = a.cagectl("allow", agent_id, "y.example")
    assert (done.status, done.text) == (0, f"{agent_id}: its hosts are as they were\n")


def test_a_port_of_the_loopback_is_not_added_but_can_come_back(a, agent):
    local = [Echo("127.0.0.1") for _ in range(2)]
    first, second = (server.host for server in local)
    port = local[0].server_address[1]
    agent_id = agent(allowed_hosts=[first])["agent_id"]
    inside = connect_in(a, agent_id, ("127.0.0.1", port))
    assert is_alive(inside)
    reply = change(a, agent_id, allow=[second, "localhost:9", "x.example"])
    assert reply["ignored"] == [second, "localhost:9"]
    assert reply["allowed_hosts"] == [first, "x.example"]
    done = a.cagectl("allow", agent_id, second)
    assert done.text == f"{agent_id} changed\n  needs a restart: {second}\n"
    assert is_alive(inside)
    change(a, agent_id, deny=[first])
    assert is_cut(inside)
    change(a, agent_id, allow=[first])
    assert is_alive(connect_in(a, agent_id, ("127.0.0.1", port)))
    for server in local:
        server.shutdown()
        server.server_close()


def test_before_its_first_connection_and_after_its_gate_died(a, agent, echoes):
    old, new = echoes[0].host, echoes[1].host
    agent_id = agent(allowed_hosts=[old])["agent_id"]
    change(a, agent_id, allow=[new], deny=[old])
    assert a.inspect(agent_id)["network"].get("gate_pid") is None
    assert status_of(a, agent_id, old) == "403"
    conn = tunnel(a, agent_id, new)
    gate = a.inspect(agent_id)["network"]["gate_pid"]
    os.kill(gate, signal.SIGKILL)
    change(a, agent_id, allow=[old], deny=[new])
    assert is_cut(conn)
    until(lambda: a.inspect(agent_id)["network"].get("gate_pid") != gate)
    tunnel(a, agent_id, old).close()
    assert status_of(a, agent_id, new) == "403"


def test_a_change_is_told_to_those_who_follow_events(a, b, agent, people):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    with a.connect() as connection:
        connection.send("Events", more=True)
        assert connection.reply() == {"events": [], "lost": 0}
        change(a, agent_id, allow=["x.example"])  # no change, no event
        change(a, agent_id, allow=["y.example"], deny=["x.example"])
        event, = connection.reply()["events"]
    assert (event["kind"], event["agent_id"]) == ("reloaded", agent_id)
    assert event["by_uid"] == event["owner_uid"] == people["a"].uid
    assert (event["added"], event["removed"]) == (["y.example"], ["x.example"])
    assert (event["denied_added"], event["denied_removed"]) == (["x.example"], [])


# -- what is refused --


@pytest.mark.parametrize("entry", [
    "http://x/", "", "x y", "x.example\n", "x.example\x1b[31m", "*", "*.*", "0177.0.0.1", "x:0",
    "x:99999", "ex\u0430mple.com", "fe80::1%eth0", "10.0.0.1/8", "a,b", "user@x", "-x", "x" * 64,
    "\u202egro.elpmaxe"])
def test_a_bad_entry_is_named_and_nothing_changes(a, agent, entry):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    for key in ("allow", "deny"):
        with pytest.raises(VarlinkError) as error:
            change(a, agent_id, **{key: ["y.example", "z.example", entry, "w.example"]})
        assert (error.value.name, error.value.parameters) == \
            ("org.varlink.service.InvalidParameter", {"parameter": f"{key}[2]"})
        assert hosts_of(a, agent_id) == (["x.example"], [])
    done = a.cagectl("allow", agent_id, "--", "y.example", entry)
    assert done.status == 64 and " is no host: " in done.errors
    assert "\x1b" not in done.errors and "\u202e" not in done.errors
    assert hosts_of(a, agent_id) == (["x.example"], [])


def test_options_of_what_is_denied_are_named_as_such(a, agent):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    done = a.cagectl("deny", agent_id, "y.example", "z.example:443;sni=any")
    assert done.status == 64 and "'z.example:443;sni=any': what is denied has no options" in done.errors
    assert hosts_of(a, agent_id) == (["x.example"], [])
    assert a.cagectl("allow", agent_id, "z.example:443;sni=any").status == 0


def test_bad_calls_are_refused_by_name(a, agent):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    for parameters, bad in [
            ({}, "agent_id"), ({"agent_id": agent_id}, "allow"),
            ({"agent_id": agent_id, "allow": [], "deny": []}, "allow"),
            ({"agent_id": agent_id, "allow": "x"}, "allow"),
            ({"agent_id": agent_id, "deny": [1]}, "deny"),
            ({"agent_id": agent_id, "allow": ["x"], "private": ["x"]}, "private"),
            ({"agent_id": agent_id, "allow": ["a.example", "x"], "deny": ["b", "X."]}, "deny[1]"),
            ({"agent_id": agent_id, "allow": ["x"], "owner_uid": -1}, "owner_uid")]:
        with pytest.raises(VarlinkError) as error:
            a.call("ChangeHosts", **parameters)
        assert error.value.parameters == {"parameter": bad}, parameters
    for words in (["allow"], ["allow", agent_id], ["deny", agent_id], ["hosts"]):
        assert a.cagectl(*words).status == 64
    assert hosts_of(a, agent_id) == (["x.example"], [])


def test_a_list_that_would_be_too_long_is_refused_as_a_whole(a, agent):
    agent_id = agent(allowed_hosts=[f"h{i}.example" for i in range(200)])["agent_id"]
    with pytest.raises(VarlinkError) as error:
        change(a, agent_id, allow=[f"n{i}.example" for i in range(57)], deny=["d.example"])
    assert (error.value.name, error.value.parameters) == \
        ("TooManyHosts", {"list": "allowed_hosts", "maximum": 256})
    with pytest.raises(VarlinkError) as error:
        change(a, agent_id, deny=["d.example"] * 257)
    assert error.value.parameters == {"list": "deny", "maximum": 256}
    assert hosts_of(a, agent_id) == ([f"h{i}.example" for i in range(200)], [])
    done = a.cagectl("allow", agent_id, *[f"n{i}.example" for i in range(57)])
    assert done.status == 75 and "'allowed_hosts' would have more than 256" in done.errors
    done = a.cagectl("deny", agent_id, *["d.example"] * 257)
    assert done.status == 64 and "257 hosts are too many: one call takes 256" in done.errors
    reply = change(a, agent_id, allow=[f"n{i}.example" for i in range(56)])
    assert len(reply["allowed_hosts"]) == 256


def test_nobody_but_its_owner_and_root_can_change_an_agent_or_see_its_hosts(a, b, root, agent,
                                                                         people):
    agent_id = agent(allowed_hosts=["x.example"])["agent_id"]
    for keys in ({}, {"owner_uid": people["a"].uid}, {"owner_uid": 0}):
        for method, more in (("ChangeHosts", {"allow": ["evil.example"]}), ("Hosts", {})):
            with pytest.raises(VarlinkError) as error:
                b.call(method, agent_id=agent_id, **more, **keys)
            assert (error.value.name, error.value.parameters) == \
                ("NoSuchAgent", {"agent_id": agent_id})
    for words in (["allow", agent_id, "evil.example"], ["hosts", agent_id]):
        assert b.cagectl(*words).status == 67
    with pytest.raises((VarlinkError, PermissionError)):
        a.daemon.call(people["c"], "ChangeHosts", {"agent_id": agent_id, "allow": ["evil.example"]})
    assert hosts_of(a, agent_id) == (["x.example"], [])
    assert root.cagectl("deny", agent_id, "x.example").status == 0
    assert hosts_of(a, agent_id) == ([], ["x.example"])
    root.daemon.log_lines('CAGED_BY_UID="0"', f"agent {agent_id} ")
    assert root.cagectl("allow", "-u", people["b"].name, agent_id, "y").status == 67


def test_an_agent_that_does_not_run_gets_no_hosts(a, agent, echoes):
    card = agent(allowed_hosts=[echoes[0].host])
    agent_id = card["agent_id"]
    slow = a.card("trap '' TERM; echo on; while :; do sleep 0.1; done", allowed_hosts=["x.example"])
    a.daemon.spawn(a.user, slow)
    a.until_output(slow["agent_id"], "on")
    a.call("Stop", agent_id=slow["agent_id"], grace_seconds=600)
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    for name, state in ((slow["agent_id"], "stopping"), (agent_id, "ended")):
        with pytest.raises(VarlinkError) as error:
            change(a, name, allow=["y.example"])
        assert (error.value.name, error.value.parameters) == \
            ("NotRunning", {"agent_id": name, "state": state})
    done = a.cagectl("allow", agent_id, "y.example")
    assert done.status == 67 and "does not run" in done.errors
    assert hosts_of(a, agent_id) == ([echoes[0].host], []), "what it ended with is remembered"
    with pytest.raises(VarlinkError) as error:
        change(a, "never-was", allow=["y.example"])
    assert error.value.name == "NoSuchAgent"
    a.call("Kill", agent_id=slow["agent_id"])
    a.wait(slow["agent_id"])


def test_a_change_of_an_agent_that_ends_meanwhile_is_answered(a, agent, echoes):
    agent_id = agent(allowed_hosts=[echoes[0].host])["agent_id"]
    tunnel(a, agent_id, echoes[0].host).close()
    os.kill(a.inspect(agent_id)["network"]["gate_pid"], signal.SIGSTOP)
    with a.connect() as connection:
        connection.send("ChangeHosts", {"agent_id": agent_id, "deny": [echoes[0].host]})
        a.call("Kill", agent_id=agent_id)
        assert connection.reply()["agent"]["state"] in ("stopping", "ended")
    assert a.wait(agent_id)["reason"] == "killed"


# -- many, and at once --


def test_live_tunnels_outlive_hundreds_of_changes(a, agent, echoes):
    """Bytes flow all the time through tunnels that stay allowed; those to a host that is denied and
    allowed by turns are cut each time."""
    kept, turns = echoes[0].host, echoes[1].host
    agent_id = agent(allowed_hosts=[kept])["agent_id"]
    place = place_of(a, agent_id)
    tunnels = [tunnel(a, agent_id, kept) for _ in range(8)]
    gate = a.inspect(agent_id)["network"]["gate_pid"]
    over, broken = threading.Event(), []

    def use(conn):
        number = 0
        while not over.is_set():
            data = (b"%08d" % number) * 512
            number += 1
            try:
                conn.sendall(data)
                if conn.recv(len(data), socket.MSG_WAITALL) != data:
                    broken.append(conn)
                    return
            except OSError as error:
                broken.append(error)
                return
    threads = [threading.Thread(target=use, args=(conn,)) for conn in tunnels]
    for thread in threads:
        thread.start()
    with a.connect() as connection:
        for i in range(150):
            connection.call("ChangeHosts", {"agent_id": agent_id, "allow": [turns],
                                            "deny": [f"d{i}.example"]})
            conn, status = ask_at(place, turns)
            assert status == "200" and is_alive(conn)
            reply = connection.call("ChangeHosts", {"agent_id": agent_id, "deny": [turns],
                                                    "allow": [f"d{i}.example"]})
            assert reply["cut"] == 1 and is_cut(conn)
            conn.close()
            assert status_of(a, agent_id, turns) == "403"
    over.set()
    for thread in threads:
        thread.join(30)
    assert broken == []
    assert a.inspect(agent_id)["network"]["gate_pid"] == gate
    assert len(hosts_of(a, agent_id)[0]) == 151


def test_thousands_of_changes_leave_nothing_behind(a, agent, echoes):
    agent_id = agent(allowed_hosts=[echoes[0].host])["agent_id"]
    conn = tunnel(a, agent_id, echoes[0].host)
    gate = a.inspect(agent_id)["network"]["gate_pid"]
    fds = []
    with a.connect() as connection:
        for i in range(2000):
            which = ("allow", "deny")[i % 2]
            connection.call("ChangeHosts", {"agent_id": agent_id, which: ["x.example", "*.y.example"]})
            if i in (100, 1999):
                fds.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in (a.daemon.pid, gate)])
    assert fds[0] == fds[1]
    assert a.inspect(agent_id)["network"]["gate_pid"] == gate and is_alive(conn)
    assert hosts_of(a, agent_id) == ([echoes[0].host], ["x.example", "*.y.example"])


def test_changes_at_once_are_all_made(a, agent, echoes):
    """Several clients, and some that do not wait for the answer: no change undoes another's."""
    agent_id = agent(allowed_hosts=[echoes[0].host])["agent_id"]
    conn = tunnel(a, agent_id, echoes[0].host)

    def run(connection, name):
        with connection:
            for i in range(30):
                connection.call("ChangeHosts", {"agent_id": agent_id,
                                                "allow": [f"{name}{i}.example"],
                                                "deny": [f"{name}{i}.invalid"]})
    threads = [threading.Thread(target=run, args=(a.connect(60), name)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for i in range(20):
        with a.connect() as connection:
            connection.send("ChangeHosts", {"agent_id": agent_id, "allow": [f"gone{i}.example"]})
    for thread in threads:
        thread.join(60)
    expected = {echoes[0].host} | {f"{name}{i}.example" for name in "abcd" for i in range(30)} | \
        {f"gone{i}.example" for i in range(20)}
    until(lambda: set(hosts_of(a, agent_id)[0]) == expected, timeout=30)
    assert set(hosts_of(a, agent_id)[1]) == {f"{n}{i}.invalid" for n in "abcd" for i in range(30)}
    assert is_alive(conn)


# -- what it was refused --


def refuse_all(client, agent_id, targets):
    place = place_of(client, agent_id)
    for target in targets:
        conn, status = ask_at(place, target)
        conn.close()
        assert status == "403", target


def test_suggest_prints_what_would_have_been_allowed(a, agent):
    agent_id = agent(allowed_hosts=["ok.example"])["agent_id"]
    assert a.cagectl("suggest", agent_id).text == ""
    refuse_all(a, agent_id, [
        "web.example:443", "web.example:80", "WEB.example:443", "api.example:443", "git.example:22",
        "git.example:9418", "[2001:db8::1]:443", "203.0.113.7:8443", "web.example:443"])
    done = a.cagectl("suggest", agent_id)
    assert (done.status, done.errors) == (0, "")
    expected = ["[2001:db8::1]:443", "203.0.113.7:8443", "api.example:443", "git.example:22",
                "git.example:9418", "web.example"]
    assert done.text.splitlines() == [
        *expected, "# [2001:db8::1]:443: not a public address (documentation)",
        "# 203.0.113.7:8443: not a public address (documentation)"]
    assert json.loads(a.cagectl("suggest", "-j", agent_id).text) == {
        "allowed_hosts": expected, "private_hosts": [], "denied": [], "lost": 0}
    refused = a.call("Hosts", agent_id=agent_id)["refused"]
    web = next(item for item in refused if (item["host"], item["port"]) == ("web.example", 443))
    assert web["count"] == 3 and web["code"] == "host-not-allowed" and web["last_usec"] > 0

    # It covers what was refused: nothing is left to suggest.
    assert a.cagectl("allow", agent_id, *expected).status == 0
    assert a.cagectl("suggest", agent_id).text == ""
    a.cagectl("deny", agent_id, "git.example:22", "*.example:443")
    assert "git.example:22" in a.cagectl("suggest", agent_id).text
    lines = a.cagectl("suggest", agent_id).text.splitlines()
    assert all(line.startswith("# ") for line in lines), lines
    assert "# git.example:22 is denied, by git.example:22 in denied_hosts" in lines
    assert "# web.example:443 is denied, by *.example:443 in denied_hosts" in lines
    reply = json.loads(a.cagectl("suggest", "-j", agent_id).text)
    assert reply["allowed_hosts"] == []
    assert {"host": "api.example", "port": 443, "by": "*.example:443"} in reply["denied"]


def test_a_name_that_was_refused_for_its_address_is_told_apart(a, agent):
    """localhost is in the gate's own hosts table; its address is what is refused."""
    agent_id = agent(allowed_hosts=["0.0.0.0/0:*"])["agent_id"]
    refuse_all(a, agent_id, ["127.0.0.3:80"])
    assert a.cagectl("suggest", agent_id).text == \
        "127.0.0.3:80\n# 127.0.0.3:80: not a public address (loopback)\n"
    item, = a.call("Hosts", agent_id=agent_id)["refused"]
    assert (item["code"], item["address"]) == ("address-not-allowed", "127.0.0.3")


def test_what_an_agent_was_refused_is_remembered_after_its_end(a, b, agent):
    agent_id = agent(allowed_hosts=["ok.example"])["agent_id"]
    refuse_all(a, agent_id, ["late.example:443"])
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert a.cagectl("suggest", agent_id).text == "late.example:443\n"
    assert b.cagectl("suggest", agent_id).status == 67


def test_the_memory_of_refusals_is_bounded_and_says_so(a, agent):
    agent_id = agent(allowed_hosts=["ok.example"])["agent_id"]
    refuse_all(a, agent_id, [f"h{i}.example:443" for i in range(300)])
    refuse_all(a, agent_id, ["h0.example:443", "h299.example:443"])

    def total():  # what comes too fast is told a second later, as a sum
        reply = a.call("Hosts", agent_id=agent_id)
        assert len(reply["refused"]) <= 256
        return sum(item["count"] for item in reply["refused"]) + reply["refused_lost"]
    until(lambda: total() == 302, timeout=30)
    assert len(a.call("Hosts", agent_id=agent_id)["refused"]) == 256
    done = a.cagectl("suggest", agent_id)
    assert len(done.text.splitlines()) == 256
    assert "refusals are not remembered" in done.errors


def test_a_name_that_did_not_resolve_is_suggested_without_a_port(a):
    script = "getent hosts learn.example LEARN.example; getent hosts no.example; true"
    card = a.card(script, transparent=True, allowed_hosts=["one.example"],
                  denied_hosts=["no.example"])
    assert a.cagectl("run", a.cards.write(card)).status == 0
    assert a.cagectl("suggest", card["agent_id"]).text.splitlines() == [
        "learn.example", "# no.example is denied, by no.example in denied_hosts",
        "# learn.example: its name was asked for; which port is not known"]
