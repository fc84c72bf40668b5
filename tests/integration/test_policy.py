"""The site policy in the daemon: each ceiling holds for a real user, the first rule that matches counts,
another policy takes its place as a whole or not at all, and a bad one never. What a policy may say is
tested by itself (test_policy_schema.py, tests/unit)."""

import json
import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from harness import paths
from harness.daemon import Client, Daemon, until
from harness.fuse import HangingFuse
from harness.patience import PATIENCE
from harness.varlink import VarlinkError

SLEEP = ["/bin/sleep", "600"]


@pytest.fixture(scope="module")
def data(base):
    """A data folder with a preset whose program is there, and more seccomp profiles than the default
    one: `strict` refuses a call more, `broken` is none."""
    folder = base / "policy-data"
    (folder / "agents").mkdir(parents=True)
    (folder / "seccomp").mkdir()
    for name in ("here", "other"):
        (folder / "agents" / f"{name}.json").write_text(json.dumps({
            "description": "it sleeps", "command": ["/bin/sleep", "600"]}))
    default = json.loads((paths.POLICY / "seccomp" / "default.json").read_text())
    (folder / "seccomp" / "default.json").write_text(json.dumps(default))
    refusal = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}
    strict = {**default, "syscalls": [refusal, *default["syscalls"]]}
    (folder / "seccomp" / "strict.json").write_text(json.dumps(strict))
    (folder / "seccomp" / "broken.json").write_text('{"defaultAction": "SCMP_ACT_KILL"}')
    (folder / "seccomp" / "Not A Name.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def shared(base, people, data):
    daemon = Daemon(base, people["group"])
    daemon.data = data
    yield daemon.start()
    assert daemon.process.poll() is None, f"cagedd died:\n{daemon.log()[-4000:]}"
    assert daemon.stop() == 0, daemon.log()[-6000:]


@pytest.fixture
def daemon(shared, people):
    """Each test gives it a policy of its own, and leaves no agent."""
    yield shared
    root = Client(shared, people["root"])
    for agent in root.call("List")["agents"]:
        try:
            root.call("Kill", agent_id=agent["agent_id"], owner_uid=agent["owner_uid"])
        except VarlinkError as error:
            assert error.name in ("NotRunning", "NoSuchAgent"), error
    until(lambda: root.call("List")["agents"] == [], what="all agents have ended")


@pytest.fixture
def own(base, people, data):
    """Makes daemons, to be started, with a policy of their own."""
    daemons = []

    def make(policy):
        daemons.append(Daemon(base, people["group"], policy=policy))
        daemons[-1].data = data
        return daemons[-1]

    yield make
    for daemon in daemons:
        if daemon.process and daemon.process.poll() is None:
            daemon.stop()


def rule(name, who, **keys):
    """A rule for a user, by name."""
    return {"name": name, "users": [who.name], **keys}


def policy(*rules):
    return {"rules": list(rules)}


def ended(client, agent_id):
    """Its agent is gone and counts no more: the log has all its entries."""
    client.call("Kill", agent_id=agent_id)
    client.wait(agent_id)
    client.daemon.log_lines(agent_id, "ended: killed")


# -- ceilings --

LIMITS = {"memory_mb": (64, 65), "memory_high_mb": (32, 33), "swap_mb": (0, 1), "cpu_shares": (512, 513),
          "cpu_quota_percent": (50, 51), "max_processes": (20, 21), "max_open_files": (64, 65)}


@pytest.mark.parametrize("key", LIMITS)
def test_a_limit_holds_at_its_ceiling_and_not_one_over(daemon, a, key):
    at, over = LIMITS[key]
    daemon.reload_policy(policy(rule("small", a.user, resource_limits={key: at})))
    error = a.refused(resource_limits={key: over})
    assert error.name == "NotPermitted", error
    assert error.parameters["what"] == f"$.resource_limits.{key}"
    for word in (str(over), str(at), '"small"'):
        assert word in error.parameters["reason"], error
    try:
        agent_id = a.spawn(command=SLEEP, resource_limits={key: at})
    except VarlinkError as error:  # what this host's cgroups cannot do was not the policy's word
        assert error.name == "NotSupported" and key in str(error), error
        return
    assert a.inspect(agent_id)["card"]["resource_limits"].get(key, 0) == at


# Each row: keys of the rule, keys of a card at the ceiling, of one that is over, and the path told.
CEILINGS = {
    "ttl": ({"max_ttl_seconds": 300}, {"ttl_seconds": 300}, {"ttl_seconds": 301}, "$.ttl_seconds"),
    "no ttl": ({"max_ttl_seconds": 300}, {"ttl_seconds": 1}, {"ttl_seconds": 86400}, "$.ttl_seconds"),
    "hosts": ({"allowed_hosts": ["*.example.com:443"]}, {"allowed_hosts": ["a.example.com:443"]},
              {"allowed_hosts": ["a.example.com:443", "a.example.com:444"]}, "$.allowed_hosts[1]"),
    "every port": ({"allowed_hosts": ["a.example:443"]}, {"allowed_hosts": ["a.example:443"]},
                   {"allowed_hosts": ["a.example"]}, "$.allowed_hosts[0]"),
    "wildcard": ({"allowed_hosts": ["*.example.com"]}, {"allowed_hosts": ["*.a.example.com"]},
                 {"allowed_hosts": ["*.com"]}, "$.allowed_hosts[0]"),
    "the provider's host": ({"allowed_hosts": ["a.example"]}, {"allowed_hosts": ["a.example"]}, {},
                            "$.allowed_hosts"),
    "private address": ({"private_hosts": ["10.1.0.0/16"]}, {"allowed_hosts": ["10.1.2.3:80"]},
                        {"allowed_hosts": ["10.2.2.3:80"]}, "$.allowed_hosts[0]"),
    "loopback": ({"private_hosts": ["127.0.0.1:8080"]}, {"allowed_hosts": ["127.0.0.1:8080"]},
                 {"allowed_hosts": ["127.0.0.1:22"]}, "$.allowed_hosts[0]"),
    "private name": ({"private_hosts": ["git.corp.example:*"]},
                     {"allowed_hosts": ["git.corp.example"], "private_hosts": ["git.corp.example"]},
                     {"allowed_hosts": ["db.corp.example"], "private_hosts": ["db.corp.example"]},
                     "$.private_hosts[0]"),
    "proxy": ({"parent_proxies": ["10.0.0.1:3128"]}, {"proxy": "http://10.0.0.1:3128"},
              {"proxy": "http://10.0.0.2:3128"}, "$.proxy"),
    "environment": ({"environment": ["LANG", "MY_*"]}, {"environment": {"LANG": "C", "MY_A": "1"}},
                    {"environment": {"LANG": "C", "LD_PRELOAD": "x"}}, "$.environment.LD_PRELOAD"),
    "preset": ({"presets": ["here"]}, {"agent": "here"}, {"agent": "other"}, "$.agent"),
    "command": ({"command": False}, {"agent": "here", "command": None}, {"command": ["true"]},
                "$.command"),
    "transparent": ({"transparent": False}, {"transparent": False}, {"transparent": True},
                    "$.transparent"),
    "seccomp": ({"seccomp_profiles": ["strict"]}, {"seccomp_profile": "strict"},
                {"seccomp_profile": "default"}, "$.seccomp_profile"),
}


@pytest.mark.parametrize("name", CEILINGS)
def test_a_ceiling_holds_at_its_limit_and_not_beyond(daemon, a, name):
    keys, at, over, path = CEILINGS[name]
    daemon.reload_policy(policy(rule("the-ceiling", a.user, **keys)))
    error = a.refused(**{"command": SLEEP, **over})
    assert (error.name, error.parameters["what"]) == ("NotPermitted", path), error
    assert '; the rule "the-ceiling" of the site policy allows ' in error.parameters["reason"], error
    a.spawn(**{"command": SLEEP, **at})
    # The operator reads of it as of any other refusal.
    daemon.log_lines("was not started", path, "the-ceiling")


@pytest.mark.parametrize("program", ["other", "/opt/other"])
def test_a_preset_that_is_found_by_the_commands_program_is_held_against_the_rule_too(daemon, a, program):
    daemon.reload_policy(policy(rule("the-ceiling", a.user, presets=["here"])))
    error = a.refused(command=[program])
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.command"), error
    assert error.parameters["reason"] == ('by its program the preset "other"; the rule "the-ceiling" of the '
                                          "site policy allows one of: here")
    # Who asks first is told the same, by the daemon and by the file.
    card, file = a.cards.write(a.card(command=[program])), a.cards.write(policy(
        rule("the-ceiling", a.user, presets=["here"])))
    for words in ([], ["--policy", file, "--data-dir", daemon.data]):
        assert explained(a, card, *words) == {
            "key": "agent", "ceiling": "here", "asked": "other (of the command)", "effective": "refused",
            "ok": False, "reason": 'found by its program the preset "other", expected one of: here'}
    row = explained(a, a.cards.write(a.card(command=SLEEP)))
    assert (row["asked"], row["ok"]) == ("none", True)
    a.spawn(command=SLEEP)


def explained(client, card, *words):
    """The row of the preset."""
    done = client.cagectl("policy", "explain", "-j", *words, card)
    row, = (row for row in json.loads(done.text)["ceilings"] if row["key"] == "agent")
    assert done.status == (0 if row["ok"] else 77), done
    return row


def test_a_program_whose_name_no_preset_can_have_brings_none(daemon, a):
    daemon.reload_policy(policy(rule("the-ceiling", a.user, presets=["here"])))
    for name in ("o" * 64, "Other", "other.json", "x" * 250):
        error = a.refused(command=[f"/opt/{name}"])
        assert error.name == "SpawnFailed" and "No such file" in error.parameters["reason"], error


def test_what_a_card_leaves_open_is_lowered_to_the_ceiling(daemon, a):
    daemon.reload_policy(policy(rule("small", a.user, max_ttl_seconds=1000, resource_limits={
        "memory_mb": 64, "max_processes": 20, "max_open_files": 77})))
    agent_id = a.spawn("ulimit -n; sleep 600")
    a.until_output(agent_id, "77")
    card = a.inspect(agent_id)["card"]
    limits = card["resource_limits"]
    assert (limits["memory_mb"], limits["max_processes"], limits["max_open_files"]) == (64, 20, 77)
    assert card["ttl_seconds"] == 1000
    agent = a.inspect(agent_id)["agent"]
    assert 900 < agent["ttl_left"] <= 1000
    applied = {limit["limit"]: limit["value"] for limit in a.inspect(agent_id)["limits"]}
    assert (applied["memory_mb"], applied["max_processes"]) == (64, 20)
    # A reload of the same card finds nothing that differs.
    assert a.call("Reload", card=a.card("ulimit -n; sleep 600", agent_id=agent_id, workspace=card[
        "workspace"]))["ignored"] == []


def test_so_many_agents_at_once_and_not_one_more(daemon, a, b):
    daemon.reload_policy(policy(rule("two", a.user, max_agents=2), rule("others", b.user)))
    first, _ = a.spawn(command=SLEEP), a.spawn(command=SLEEP)
    error = a.refused()
    assert error.name == "Busy" and error.parameters["maximum"] == 2, error
    assert 'agents of one user by the rule "two"' in error.parameters["limit"]
    done = a.cagectl("spawn", a.cards.write(a.card("true")))
    assert 'the rule "two" of the site policy is reached (2)' in done.errors, done
    b.spawn(command=SLEEP)
    ended(a, first)
    until(lambda: spawned(a), what="there is room for one again")
    assert a.refused().name == "Busy"


def test_where_a_rule_gives_no_agents_that_is_no_matter_of_trying_again(daemon, a):
    daemon.reload_policy(policy(rule("not these", a.user, max_agents=0)))
    error = a.refused()
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.max_agents"), error
    done = a.cagectl("spawn", a.cards.write(a.card("true")))
    assert done.status == 77
    assert 'the rule "not these" of the site policy allows none at all' in done.errors, done


def test_a_refusal_says_what_is_allowed_and_where_all_of_it_is_shown(daemon, a, b):
    daemon.reload_policy(policy(rule("https", a.user, allowed_hosts=["a.example:443"])))
    done = a.cagectl("spawn", a.cards.write(a.card("true", allowed_hosts=["a.example"])))
    assert done.status == 77 and done.errors.splitlines() == [
        'cagectl: not permitted: $.allowed_hosts[0]: the entry "a.example", which is ports 80 and 443; the '
        'rule "https" of the site policy allows what is within allowed_hosts of the rule (a.example:443)',
        "  all that you may have, beside what the card asks for: cagectl policy explain CARD"], done
    done = b.cagectl("spawn", b.cards.write(b.card("true")))
    assert done.status == 77 and done.errors.splitlines()[1:] == [
        "  the operator of this host decides who may run agents: caged.policy(5)"], done


def spawned(client):
    try:
        return client.spawn(command=SLEEP)
    except VarlinkError as error:
        assert error.name == "Busy", error
        return None


def test_so_many_spawns_a_minute_and_those_that_fail_count(daemon, a, b, root):
    daemon.reload_policy(policy(rule("slow", a.user, spawns_per_minute=2),
                                rule("slower", b.user, spawns_per_minute=1)))
    a.spawn(command=SLEEP)
    assert a.refused(seccomp_profile="strict").name == "NotPermitted"
    error = a.refused()
    assert error.name == "Busy" and error.parameters["maximum"] == 2, error
    assert 'spawns of one user in a minute by the rule "slow"' in error.parameters["limit"]
    assert 1 <= error.parameters["retry_seconds"] <= 30, error
    with pytest.raises(VarlinkError) as error:
        b.call("Spawn", card={"agent_id": "no-workspace"})
    assert error.value.name == "InvalidCard"
    assert b.refused().parameters["maximum"] == 1
    # When the next may come is told; ending agents would be no help.
    done = b.cagectl("spawn", b.cards.write(b.card("true")))
    assert re.search(r"^  attempts that failed count too: try again in [1-6]?[0-9] s$", done.errors, re.M), done
    assert "end some agents" not in done.errors
    daemon.log_lines("was not started", 'a minute by the rule "slower"', "the next one may come in")
    root.spawn(command=SLEEP, workspace=str(a.user.folder("roots-at-any-rate")))
    # A policy without that limit has none, and one that has it again remembers.
    daemon.reload_policy(policy(rule("quick", b.user)))
    b.spawn(command=SLEEP)
    daemon.reload_policy(policy(rule("slower", b.user, spawns_per_minute=1)))
    assert b.refused().name == "Busy"


# -- whose rule --


def test_the_first_rule_that_matches_counts_and_no_later_one(daemon, a, b, people):
    daemon.reload_policy(policy(
        rule("one", b.user, max_ttl_seconds=10),
        {"name": "two", "groups": [people["group"]], "max_ttl_seconds": 20},
        rule("three", a.user, max_ttl_seconds=30)))
    for client, name, seconds in ((a, "two", 20), (b, "one", 10)):
        error = client.refused(ttl_seconds=25)
        assert f'"{name}"' in error.parameters["reason"] and str(seconds) in error.parameters["reason"]


def test_whom_no_rule_matches_gets_no_agent_and_keeps_what_is_there(daemon, a, b):
    daemon.reload_policy(policy(rule("both", a.user), rule("also", b.user)))
    agent_id = a.spawn(command=SLEEP)
    daemon.reload_policy(policy(rule("b alone", b.user)))
    error = a.refused()
    assert error.name == "NotPermitted", error
    assert "no rule of the site policy is for you" in error.parameters["reason"]
    done = a.cagectl("spawn", a.cards.write(a.card("true")))
    assert done.status == 77 and "no rule of the site policy is for you" in done.errors, done
    b.spawn(command=SLEEP)
    assert [agent["agent_id"] for agent in a.call("List")["agents"]] == [agent_id]
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    ended(a, agent_id)


def test_root_has_no_ceilings_unless_a_rule_names_root(daemon, root, a):
    daemon.reload_policy(policy({"name": "all", "users": ["*"], "max_ttl_seconds": 5, "command": False}))
    assert a.refused().parameters["what"] == "$.command"
    folder = a.user.folder("roots-agent")
    agent_id = root.spawn(command=SLEEP, workspace=str(folder))
    root.call("Kill", agent_id=agent_id)
    daemon.reload_policy(policy({"name": "root too", "users": ["root"], "max_ttl_seconds": 5}))
    error = root.refused(ttl_seconds=6, workspace=str(folder))
    assert error.parameters["what"] == "$.ttl_seconds" and '"root too"' in error.parameters["reason"]


# -- a bad policy --

BAD = {
    "no JSON": ('{"rules": [\n  {"name": }\n]}', {"path": "$.rules[0].name", "line": 2}),
    "a key too many": ('{"rules": [{"users": ["*"], "max_agent": 3}]}', {"path": "$.rules[0].max_agent"}),
    "a key twice": ('{"rules": [{"users": ["*"], "command": true, "command": false}]}', {"line": 1}),
    "of nobody": ('{"rules": [{"name": "x"}]}', {}),
    "a wrong type": ('{"rules": [{"users": ["*"], "max_agents": "many"}]}',
                     {"path": "$.rules[0].max_agents"}),
    "empty": ("", {}),
    "too long": ('{"rules": []' + " " * (256 << 10) + "}", {"path": ""}),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_policy_at_a_reload_leaves_the_old_one_in_force(daemon, a, kind):
    text, place = BAD[kind]
    daemon.reload_policy(policy(rule("before", a.user, max_ttl_seconds=50)))
    with pytest.raises(VarlinkError) as error:
        daemon.reload_policy(text)
    assert error.value.name == "InvalidPolicy", error
    fault = error.value.parameters
    assert fault["file"] == str(daemon.policy) and fault["found"] and fault["expected"]
    assert {key: fault.get(key) for key in place} == place, fault
    daemon.log_lines("the one before stays in force", fault["found"])
    assert '"before"' in a.refused(ttl_seconds=51).parameters["reason"]
    a.spawn(command=SLEEP, ttl_seconds=50)


@pytest.mark.parametrize("kind", [*BAD, "missing"])
def test_with_a_bad_policy_at_its_start_the_daemon_serves_root_alone(own, people, kind):
    daemon = own(BAD[kind][0] if kind in BAD else "")
    if kind == "missing":
        daemon.policy.unlink()
    daemon.start()
    daemon.log_lines("the site policy was refused", "nobody but root may start agents",
                     str(daemon.policy))
    a, root = Client(daemon, people["a"]), Client(daemon, people["root"])
    error = a.refused()
    assert error.name == "NotPermitted", error
    assert "no site policy is in force" in error.parameters["reason"]
    card = a.cards.write(a.card("true"))
    explained = a.cagectl("policy", "explain", card)
    assert explained.status == 77 and "no site policy is in force" in explained.errors, explained
    assert root.cagectl("policy", "explain", card).status == 0
    assert a.call("List") == {"agents": []}
    agent_id = root.spawn(command=SLEEP, workspace=str(a.user.folder(f"bad-start-{kind}".replace(" ", "-"))))
    root.call("Kill", agent_id=agent_id)
    assert daemon.reload_policy(policy(rule("good", a.user))) == {"path": str(daemon.policy), "rules": 1}
    a.spawn(command=SLEEP)


def test_names_that_nobody_has_match_nobody_and_are_told(daemon, a):
    daemon.reload_policy(policy({"name": "ghosts", "users": ["no-such-user-here"],
                                 "groups": ["no-such-group-here"], "max_ttl_seconds": 1},
                                rule("real", a.user)))
    daemon.log_lines('rule "ghosts"', '"no-such-user-here"')
    daemon.log_lines('rule "ghosts"', '"no-such-group-here"')
    a.spawn(command=SLEEP)


# -- the file --


@pytest.fixture
def file_daemon(own, people):
    daemon = own(policy(rule("before", people["a"])))
    return daemon.start()


def refuse_file(daemon):
    with pytest.raises(VarlinkError) as error:
        daemon.reload_policy()
    assert error.value.name == "InvalidPolicy", error
    assert error.value.parameters["path"] == "", error
    return error.value.parameters["found"]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o622])
def test_a_file_that_others_can_write_is_refused(file_daemon, mode):
    file_daemon.policy.chmod(mode)
    assert f"mode {mode:04o}" in refuse_file(file_daemon)
    file_daemon.policy.chmod(0o600)
    assert file_daemon.reload_policy()["rules"] == 1


def test_a_file_of_somebody_elses_is_refused(file_daemon, people):
    os.chown(file_daemon.policy, people["a"].uid, 0)
    assert f"of uid {people['a'].uid}" in refuse_file(file_daemon)


@pytest.mark.parametrize("kind", ["others can write", "is somebody else's"])
def test_a_folder_in_which_others_can_exchange_the_file_is_refused(own, people, kind):
    daemon = own(policy(rule("before", people["a"])))
    folder = daemon.folder / "etc"
    folder.mkdir()
    daemon.policy = daemon.policy.rename(folder / "policy.json")
    daemon.start()
    if kind == "others can write":
        folder.chmod(0o775)
    else:
        os.chown(folder, people["a"].uid, 0)
    assert "a folder of uid" in refuse_file(daemon)
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    assert daemon.reload_policy()["rules"] == 1


@pytest.mark.parametrize("kind", ["link", "folder", "FIFO", "socket", "device"])
def test_what_is_no_regular_file_is_refused_at_once(file_daemon, kind):
    path = file_daemon.policy
    moved = path.rename(path.with_suffix(".moved"))
    if kind == "link":
        path.symlink_to(moved)
    elif kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path, 0o600)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    assert refuse_file(file_daemon)


# -- reloads --


def test_only_root_reloads_the_policy(daemon, a):
    with pytest.raises(VarlinkError) as error:
        a.call("ReloadPolicy")
    assert error.value.name == "NotPermitted", error


def test_a_signal_reloads_it_too(daemon, a):
    daemon.reload_policy(policy(rule("before", a.user)))
    daemon.write_policy(policy(rule("after", a.user, max_ttl_seconds=10)))
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "ttl_seconds" in str(refused_or_ended(a)), what="the new policy is in force")


def refused_or_ended(client):
    """The error for a card that lives for 11 seconds, or nothing if it was started."""
    try:
        agent_id = client.spawn(command=SLEEP, ttl_seconds=11)
    except VarlinkError as error:
        return error
    client.call("Kill", agent_id=agent_id)
    return None


def test_a_reload_that_hangs_holds_up_nobody_and_those_that_come_then_see_the_newest(own, people):
    """Its disk does not answer: others are served, and who asks for a reload while one is under way gets
    one that began after."""
    daemon = own(policy(rule("before", people["a"])))
    folder = daemon.folder / "etc"
    folder.mkdir()
    daemon.policy = daemon.policy.rename(folder / "policy.json")
    daemon.start()
    a = Client(daemon, people["a"])
    fuse = HangingFuse(folder, people["root"])
    with daemon.connect(people["root"]) as first, \
            daemon.connect(people["root"]) as second:
        try:
            first.send("ReloadPolicy")
            until(lambda: fuse.unanswered, what="the file is looked at")
            second.send("ReloadPolicy")
            assert a.run("echo served").text == "served\n"
            a.spawn(command=SLEEP)
            fuse.detach()
            daemon.write_policy(policy(rule("after", people["a"]), rule("and", people["b"])))
        finally:
            fuse.close()
        with pytest.raises(VarlinkError) as error:
            first.reply()
        assert error.value.name == "InvalidPolicy"
        assert second.reply() == {"path": str(daemon.policy), "rules": 2}


def test_a_daemon_that_is_stopped_while_a_reload_hangs_ends(own, people):
    daemon = own(policy(rule("before", people["a"])))
    folder = daemon.folder / "etc"
    folder.mkdir()
    daemon.policy = daemon.policy.rename(folder / "policy.json")
    daemon.start()
    fuse = HangingFuse(folder, people["root"])
    try:
        with daemon.connect(people["root"]) as connection:
            connection.send("ReloadPolicy")
            until(lambda: fuse.unanswered, what="the file is looked at")
            daemon.process.send_signal(signal.SIGTERM)
            until(lambda: "stopping all agents" in daemon.log(), what="it stops")
            fuse.close()  # a process that waits for a FUSE cannot end before that answers
            fuse = None
            assert daemon.process.wait(30) == 0, daemon.log()[-3000:]
            daemon.process = None
    finally:
        if fuse:
            fuse.close()


def test_a_swap_is_whole_for_every_spawn_while_agents_come_and_go(daemon, a, b):
    """Each policy has its own memory and its own time to live; no agent has one of each."""
    both = [policy({"name": f"p{n}", "users": [a.user.name, b.user.name], "max_ttl_seconds": n,
                    "resource_limits": {"memory_mb": n}}) for n in (100, 200)]
    daemon.reload_policy(both[0])
    seen, faults, over = set(), [], threading.Event()

    def spawn_on(connection, card, workspace):
        try:
            while not over.is_set():
                connection.call("Spawn", {"card": card, "workspace_fd": 0}, [workspace])
                got = connection.call("Inspect", {"agent_id": card["agent_id"]})["card"]
                seen.add((got["resource_limits"]["memory_mb"], got["ttl_seconds"]))
                connection.call("Wait", {"agent_id": card["agent_id"]})
        except Exception as error:  # pylint: disable=broad-except
            faults.append(error)
        finally:
            connection.close()
            os.close(workspace)

    # All that needs the users' ids beforehand: a process has them for all of its threads.
    threads = []
    for client in (a, b):
        card = client.card(command=["/bin/true"])
        workspace = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
        threads.append(threading.Thread(target=spawn_on, args=(client.connect(), card, workspace)))
    for thread in threads:
        thread.start()
    for n in range(60):
        assert daemon.reload_policy(both[(n + 1) % 2])["rules"] == 1
        if n % 3 == 0:
            with pytest.raises(VarlinkError):
                daemon.reload_policy('{"rules": [')

    def swap_until_both_are_seen():  # a busy machine may have spawned but once in all that time
        both.reverse()
        daemon.reload_policy(both[0])
        return len(seen) > 1 or faults

    until(swap_until_both_are_seen, what="both policies had agents")
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert faults == []
    assert seen == {(100, 100), (200, 200)}


# -- what runs already --


def change_error(client, agent_id, **lists):
    with pytest.raises(VarlinkError) as error:
        client.call("ChangeHosts", agent_id=agent_id, **lists)
    return error.value


def test_hosts_for_an_agent_that_runs_are_held_against_its_owners_rule_whoever_asks(daemon, a, root):
    daemon.reload_policy(policy(rule("narrow", a.user, allowed_hosts=["*.example.com"],
                                     private_hosts=["10.1.0.0/16"])))
    agent_id = a.spawn(command=SLEEP, allowed_hosts=["a.example.com"])
    a.call("ChangeHosts", agent_id=agent_id, allow=["b.example.com:443", "10.1.2.3:80"])
    for client, more in ((a, {}), (root, {"owner_uid": a.user.uid})):
        for bad in ("b.example.org", "10.2.2.3:80", "127.0.0.1:22"):
            error = change_error(client, agent_id, allow=["c.example.com", bad], **more)
            assert (error.name, error.parameters["what"]) == ("NotPermitted", "allow[1]"), error
            assert f'entry "{bad}"' in error.parameters["reason"] and '"narrow"' in error.parameters["reason"]
    # A person is told which entry it was, not its place in a call.
    done = a.cagectl("allow", agent_id, "c.example.com", "b.example.org")
    assert done.status == 77 and done.errors.splitlines() == [
        'cagectl: not permitted: the entry "b.example.org", which is ports 80 and 443; the rule "narrow" of '
        "the site policy allows what is within allowed_hosts of the rule (*.example.com)",
        "  all that you may have, beside what the card asks for: cagectl policy explain CARD"], done
    assert a.call("Hosts", agent_id=agent_id)["allowed_hosts"] == [
        "a.example.com", "b.example.com:443", "10.1.2.3:80"]
    a.call("ChangeHosts", agent_id=agent_id, deny=["x.example.org"])


def test_a_private_name_of_an_earlier_policy_gets_no_more_ports_by_this_one(daemon, a):
    """Names are held against allowed_hosts; this one leads to private addresses."""
    daemon.reload_policy(policy(rule("wide", a.user, private_hosts=["git.corp.example:*"])))
    agent_id = a.spawn(command=SLEEP, allowed_hosts=["git.corp.example:443"],
                       private_hosts=["git.corp.example"])
    a.call("ChangeHosts", agent_id=agent_id, allow=["git.corp.example:80"])
    daemon.reload_policy(policy(rule("narrow", a.user)))
    for entry in ("git.corp.example:22", "*.corp.example", "git.corp.example:*"):
        error = change_error(a, agent_id, allow=["ok.example", entry])
        assert (error.name, error.parameters["what"]) == ("NotPermitted", "allow[1]"), error
        assert f'entry "{entry}"' in error.parameters["reason"] and '"narrow"' in error.parameters["reason"]
    a.call("ChangeHosts", agent_id=agent_id, allow=["ok.example", "db.corp.example", "10.example"],
           deny=["git.corp.example:80"])
    assert a.call("Hosts", agent_id=agent_id)["allowed_hosts"] == [
        "git.corp.example:443", "ok.example", "db.corp.example", "10.example"]


def test_a_reload_of_a_card_is_held_against_the_rule_too(daemon, a):
    daemon.reload_policy(policy(rule("narrow", a.user, allowed_hosts=["*.example.com"])))
    card = a.card("sleep 600", allowed_hosts=["a.example.com"])
    daemon.spawn(a.user, card)
    for keys, path, named in (
            ({"allowed_hosts": ["b.example.com", "b.example.org"]}, "$.allowed_hosts[1]", "b.example.org"),
            ({"allowed_hosts": ["b.example.com"], "private_hosts": ["p.example.com"]}, "$.private_hosts[0]",
             "p.example.com"),
            ({"allowed_hosts": []}, "$.allowed_hosts", "api.anthropic.com")):
        with pytest.raises(VarlinkError) as error:
            a.call("Reload", card={**card, **keys})
        assert (error.value.name, error.value.parameters["what"]) == ("NotPermitted", path), error
        assert f'"{named}' in error.value.parameters["reason"] and '"narrow"' in error.value.parameters["reason"]
        done = a.cagectl("reload", a.cards.write({**card, **keys}))
        assert done.status == 77 and f'"{named}' in done.errors and "policy explain" in done.errors, done
    reply = a.call("Reload", card={**card, "allowed_hosts": ["b.example.com"]})
    assert (reply["added"], reply["removed"]) == (["b.example.com"], ["a.example.com"])


@pytest.mark.parametrize("entry", ["169.254.169.254", "169.254.42.42:80", "192.0.0.192",
                                   "[fd00:ec2::254]"])
def test_no_way_to_new_hosts_leads_to_the_metadata_of_clouds(daemon, a, entry):
    """Every private host is not these: neither for a card, nor for an agent that runs."""
    daemon.reload_policy(policy(rule("private", a.user, private_hosts=["*"])))
    assert a.refused(allowed_hosts=[entry]).parameters["what"] == "$.allowed_hosts[0]"
    card = a.card("sleep 600", allowed_hosts=["10.0.0.1"])
    daemon.spawn(a.user, card)
    error = change_error(a, card["agent_id"], allow=[entry])
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "allow[0]"), error
    with pytest.raises(VarlinkError) as error:
        a.call("Reload", card={**card, "allowed_hosts": ["10.0.0.1", entry]})
    assert (error.value.name, error.value.parameters["what"]) == \
        ("NotPermitted", "$.allowed_hosts[1]"), error
    assert a.call("Hosts", agent_id=card["agent_id"])["allowed_hosts"] == ["10.0.0.1"]


def test_another_policy_leaves_agents_as_they_are_and_counts_for_what_is_asked_then(daemon, a, b):
    daemon.reload_policy(policy(rule("wide", a.user), rule("others", b.user)))
    card = a.card("sleep 600", allowed_hosts=["a.example", "b.example"],
                  resource_limits={"memory_mb": 300})
    daemon.spawn(a.user, card)
    agent_id = card["agent_id"]
    daemon.reload_policy(policy(rule("narrow", a.user, allowed_hosts=["c.example"],
                                     resource_limits={"memory_mb": 100})))
    inspected = a.inspect(agent_id)
    assert inspected["card"]["resource_limits"]["memory_mb"] == 300
    assert inspected["network"]["allowed_hosts"] == ["a.example", "b.example"]
    assert '"narrow"' in change_error(a, agent_id, allow=["b.example:443"]).parameters["reason"]
    a.call("ChangeHosts", agent_id=agent_id, allow=["c.example"], deny=["a.example"])
    assert a.refused(resource_limits={"memory_mb": 300}).name == "NotPermitted"

    daemon.reload_policy(policy(rule("others", b.user)))
    error = change_error(a, agent_id, allow=["c.example:443"])
    assert error.name == "NotPermitted" and "can only be denied" in error.parameters["reason"], error
    done = a.cagectl("allow", agent_id, "c.example:443")
    assert done.status == 77 and 'the entry "c.example:443": no rule of the site policy' in done.errors, done
    with pytest.raises(VarlinkError) as error:
        a.call("Reload", card={**card, "allowed_hosts": ["b.example"]})
    assert error.value.name == "NotPermitted"
    a.call("ChangeHosts", agent_id=agent_id, deny=["b.example"])
    assert a.call("Hosts", agent_id=agent_id)["allowed_hosts"] == ["c.example"]


# -- seccomp profiles --


def test_a_card_can_have_another_seccomp_profile_where_the_policy_lets_it(daemon, a):
    daemon.reload_policy(policy(rule("profiles", a.user, seccomp_profiles=["default", "strict", "nowhere",
                                                                           "broken"])))
    script = "mkdir /tmp/x && echo made"
    assert a.run(script).text == "made\n"
    assert a.run(script, seccomp_profile="default").text == "made\n"
    strict = a.run(script, seccomp_profile="strict")
    assert strict.status != 0 and "Resource temporarily unavailable" in strict.errors, strict
    error = a.refused(seccomp_profile="nowhere")
    assert (error.name, error.parameters["path"]) == ("InvalidCard", "$.seccomp_profile"), error
    error = a.refused(seccomp_profile="broken")
    assert (error.name, error.parameters["what"]) == ("NotSupported", "seccomp_profile"), error
    assert '"broken"' in error.parameters["reason"] and "defaultErrnoRet" in error.parameters["reason"]
    daemon.log_lines("broken.json", "cannot be used", "defaultErrnoRet")


def test_without_a_word_in_the_policy_there_is_the_default_profile_alone(daemon, a):
    daemon.reload_policy(policy(rule("plain", a.user)))
    assert a.refused(seccomp_profile="strict").parameters["what"] == "$.seccomp_profile"
    a.spawn(command=SLEEP, seccomp_profile="default")


def test_a_default_profile_that_does_not_compile_keeps_the_daemon_from_starting(own, people, data, base):
    daemon = own(policy(rule("any", people["a"])))
    daemon.data = base / "bad-default"
    (daemon.data / "seccomp").mkdir(parents=True)
    (daemon.data / "seccomp" / "default.json").write_text("{}")
    daemon.launch()
    assert daemon.process.wait(20) == 1
    assert "default.json cannot be used" in daemon.log()
    daemon.process = None


# -- the policy that ships --


def test_the_shipped_policy_serves_its_group_and_keeps_the_hosts_network_within_bounds(own, people):
    shipped = json.loads((paths.POLICY / "site.json").read_text())
    assert [rule["groups"] for rule in shipped["rules"]] == [["caged"]]
    shipped["rules"][0]["groups"] = [people["group"]]
    daemon = own(shipped).start()
    a = Client(daemon, people["a"])
    hello = json.loads((paths.POLICY / "cards" / "hello.json").read_text())
    a.spawn(command=SLEEP, allowed_hosts=hello["allowed_hosts"])
    assert a.run("echo hello").text == "hello\n"
    error = a.refused(allowed_hosts=["169.254.169.254:80"])
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.allowed_hosts[0]"), error


# -- ExplainPolicy --


def by_key(reply):
    return {row["key"]: row for row in reply["ceilings"]}


def test_a_card_is_explained_as_it_would_be_held(daemon, a, b):
    daemon.reload_policy(policy(rule("other", b.user),
                                rule("mine", a.user, max_ttl_seconds=60, resource_limits={"memory_mb": 64})))
    card = a.card(command=["true"], resource_limits={"memory_mb": 65})
    reply = a.call("ExplainPolicy", card=card)
    assert (reply["rule"], reply["index"]) == ("mine", 1)
    rows = by_key(reply)
    assert [key for key, row in rows.items() if not row["ok"]] == ["resource_limits.memory_mb"]
    assert "65" in rows["resource_limits.memory_mb"]["asked"]
    assert "64" in rows["resource_limits.memory_mb"]["reason"]
    assert "60" in rows["ttl_seconds"]["effective"] and "reason" not in rows["ttl_seconds"]
    assert a.call("List") == {"agents": []}
    with pytest.raises(VarlinkError) as error:
        a.call("ExplainPolicy", card={**card, "agent_id": "Not An Id"})
    assert (error.value.name, error.value.parameters["path"]) == ("InvalidCard", "$.agent_id")


def test_whom_no_rule_matches_is_told_so_and_root_has_the_rule_without_an_index(daemon, a, b, root):
    daemon.reload_policy(policy(rule("other", b.user)))
    card = a.card(command=["true"])
    assert a.call("ExplainPolicy", card=card) == {"ceilings": []}
    reply = root.call("ExplainPolicy", card=card)
    assert reply["rule"] and "index" not in reply and all(row["ok"] for row in reply["ceilings"])


def test_root_may_ask_about_anybody_and_others_about_themselves(daemon, a, b, root, people):
    daemon.reload_policy(policy(rule("bs", b.user), {"name": "by group", "groups": [people["group"]]}))
    card = a.card(command=["true"])
    numbers = {"user_uid": b.user.uid, "user_gid": b.user.gid}
    assert root.call("ExplainPolicy", card=card, **numbers)["rule"] == "bs"
    members = {"user_uid": 4711, "user_gid": 4711, "user_groups": a.user.groups}
    assert root.call("ExplainPolicy", card=card, **members)["rule"] == "by group"
    assert root.call("ExplainPolicy", card=card, user_uid=4711, user_gid=4711) == {"ceilings": []}
    with pytest.raises(VarlinkError) as error:
        a.call("ExplainPolicy", card=card, **numbers)
    assert error.value.name == "NotPermitted"
    for bad in ({"user_uid": 5}, {"user_gid": 5}, {"user_uid": 2**32 - 1, "user_gid": 0},
                {"user_uid": 5, "user_gid": 5, "user_groups": ["x"]}):
        with pytest.raises(VarlinkError) as error:
            root.call("ExplainPolicy", card=card, **bad)
        assert error.value.name == "org.varlink.service.InvalidParameter", bad


# -- cagectl policy reload --


def reload_by_cagectl(daemon, user):
    return daemon.cagectl(user, "policy", "reload")


def test_cagectl_says_what_is_in_force_and_where_a_fault_is(daemon, a, root):
    daemon.write_policy(policy(rule("one", a.user), rule("two", root.user)))
    done = reload_by_cagectl(daemon, root.user)
    assert (done.status, done.text, done.errors) == (0, f"{daemon.policy}: in force, with 2 rules\n", "")
    daemon.write_policy('{"rules": [\n  {"users": ["*"],\n   "max_agents": 1,,\n}]}')
    done = reload_by_cagectl(daemon, root.user)
    assert done.status == 65 and f"{daemon.policy}:3:" in done.errors, done
    daemon.write_policy({"rules": [{"users": ["*"], "max_agents": -1}]})
    done = reload_by_cagectl(daemon, root.user)
    assert done.status == 65 and "$.rules[0].max_agents: " in done.errors, done
    assert "what was in force before is so still" in done.errors
    daemon.policy.chmod(0o666)
    done = reload_by_cagectl(daemon, root.user)
    assert done.status == 65 and f"{daemon.policy}: found a file of uid 0 with mode 0666" in done.errors
    assert reload_by_cagectl(daemon, a.user).status == 77


def test_cagectl_explains_a_card_by_the_policy_in_force(daemon, a, b, root):
    daemon.reload_policy(policy(rule("bs", b.user), rule("mine", a.user, resource_limits={"memory_mb": 64})))
    fits, over = (a.cards.write(a.card("true", resource_limits={"memory_mb": mb})) for mb in (64, 65))
    done = a.cagectl("policy", "explain", fits)
    assert done.status == 0 and "The rule \"mine\" decides, number 2 of the site policy in force." in done.text
    done = a.cagectl("policy", "explain", over)
    assert done.status == 77 and "found 65, expected at most 64" in done.text, done
    assert '"bs"' in root.cagectl("policy", "explain", over, "--as", b.user.name).text
    refused = a.cagectl("policy", "explain", over, "--as", b.user.name)
    assert refused.status == 77 and "only root may ask about other users" in refused.errors
    by_daemon = json.loads(root.cagectl("policy", "explain", "-j", over, "--as", a.user.name).text)
    by_file = json.loads(root.cagectl("policy", "explain", "-j", "--policy", daemon.policy, over,
                                      "--as", a.user.name).text)
    assert by_daemon == by_file and by_daemon["rule"] == "mine"
    daemon.reload_policy(policy(rule("bs", b.user)))
    assert a.cagectl("policy", "explain", fits).status == 77


# -- totals of an owner: what they do is in test_limits.py and the system tests --


def owner_folder(agent):
    """The cgroup of all agents of the agent's owner, in which hierarchy the host has its tasks."""
    folders = [Path(folder).parent for folder in agent["cgroups"]]
    return next(folder for folder in folders if (folder / "pids.max").exists())


def test_a_total_is_in_force_from_the_first_spawn_and_follows_the_policy(daemon, a):
    daemon.reload_policy(policy(rule("total", a.user, total={"max_processes": 300})))
    first = a.inspect(a.spawn(command=SLEEP))
    assert int((owner_folder(first) / "pids.max").read_text()) >= 300
    before = (owner_folder(first) / "pids.max").read_text()
    daemon.reload_policy(policy(rule("total", a.user, total={"max_processes": 200})))
    assert int((owner_folder(first) / "pids.max").read_text()) == int(before) - 100
