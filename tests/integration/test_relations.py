"""Every method of io.caged and everybody who may call it: the owner of an agent, others of the group,
operators with each right that the site policy can give, root, nobody, and users outside of the group.
Who may not see an agent learns nothing of it, neither by an answer nor by the time that it takes."""

import contextlib
import json
import os
import re
import socket
import statistics
import time

import pytest

from harness import paths, users
from harness.daemon import Cards, Client, Daemon, until
from harness.much import change_much
from harness.varlink import Connection, Disconnected, VarlinkError

METHODS = re.findall(r"^method (\w+)", (paths.ROOT / "common" / "io.caged.varlink").read_text(),
                     re.M)
RIGHTS = {
    "owner": {"see", "stop", "change"},
    "root": {"see", "stop", "change"},
    "seer": {"see"},
    "stopper": {"see", "stop"},
    "changer": {"see", "change"},
    "mate": set(),      # of the owner's own group
    "stranger": set(),  # of another group, and of another rule
    "nobody": set(),    # uid 65534, in the group that may use the daemon
}
OUTSIDERS = ["outsider", "nobody-outside"]  # not in that group
BLIND = [name for name, rights in RIGHTS.items() if not rights]


@pytest.fixture(scope="module")
def cast(base, people):
    """All these users, by what they are to the owner."""
    members = people["group"]
    groups = {name: users.make_group(name)
              for name in ("team", "others", "seers", "stoppers", "changers")}

    def make(name, *names):
        return users.make(name, base, ",".join([members, *(groups[one] for one in names)]))

    yield {"owner": make("owner", "team"), "mate": make("mate", "team"),
           "stranger": make("stranger", "others"), "seer": make("seer", "seers"),
           "stopper": make("stopper", "stoppers"), "changer": make("changer", "changers"),
           "root": people["root"], "outsider": people["c"], "groups": groups, "members": members,
           "nobody": users.Nobody(base, [members]), "nobody-outside": users.Nobody(base)}


def policy_of(cast):
    groups = cast["groups"]
    return {"rules": [
        {"name": "team", "groups": [groups["team"]], "access": [
            {"groups": [groups["seers"]], "may": ["see"]},
            {"groups": [groups["stoppers"]], "may": ["stop"]},
            {"groups": [groups["changers"]], "may": ["change"]}]},
        {"name": "members", "groups": [cast["members"]]}]}


@pytest.fixture(scope="module")
def daemon(base, people, cast):
    daemon = Daemon(base, people["group"], policy=policy_of(cast)).start()
    daemon.socket.chmod(0o666)  # the mode is one lock; here it is the daemon that is tried
    yield daemon
    assert daemon.process.poll() is None, f"cagedd died:\n{daemon.log()[-4000:]}"
    assert daemon.stop() == 0, daemon.log()[-4000:]


@pytest.fixture(scope="module")
def clients(daemon, cast):
    return {name: Client(daemon, cast[name]) for name in [*RIGHTS, *OUTSIDERS]}


@pytest.fixture
def target(clients):
    """An agent of the owner's that runs, with a gate."""
    owner = clients["owner"]
    card = owner.card("sleep 600", allowed_hosts=["one.example"])
    owner.daemon.spawn(owner.user, card)
    yield card
    with contextlib.suppress(VarlinkError):
        owner.call("Kill", agent_id=card["agent_id"])
    owner.wait(card["agent_id"])


# -- the methods: which right each needs, and its parameters --

def by_id(card, owner):
    return {"agent_id": card["agent_id"], "owner_uid": owner.uid}


def by_card(card, owner):
    return {"card": {**card, "allowed_hosts": ["two.example"]}, "owner_uid": owner.uid}


def with_hosts(card, owner):
    return {**by_id(card, owner), "allow": ["two.example"]}


def with_pipe(card, owner):
    return {**by_id(card, owner), "output_fd": 0}


ROWS = {
    "Reload": ("change", by_card),
    "ChangeHosts": ("change", with_hosts),
    "Stop": ("stop", by_id),
    "Kill": ("stop", by_id),
    "Hosts": ("see", by_id),
    "Inspect": ("see", by_id),
    "Logs": ("see", by_id),
    "Wait": ("see", by_id),
    "History": ("see", with_pipe),
    "Audit": ("see", with_pipe),
}
# Those that name no agent: each has a test of its own below.
OTHER_ROWS = {
    "Spawn": "test_spawn_gives_everybody_agents_of_their_own_and_nobody_elses",
    "List": "test_lists_show_what_each_may_see",
    "Events": "test_events_tell_what_each_may_see",
    "ReloadPolicy": "test_the_policy_is_roots_to_reload",
    "ExplainPolicy": "test_the_policy_is_explained_for_oneself",
}
NO_JOURNAL = "NotSupported"  # where the host has none, the daemon says so to who may read


def test_every_method_has_a_row():
    assert len(METHODS) >= 13 and not set(METHODS) - set(ROWS) - set(OTHER_ROWS)
    assert all(name in globals() for method, name in OTHER_ROWS.items() if method in METHODS)


def ask(client, method, parameters):
    """The first reply, as it came."""
    with client.connect() as connection:
        fds = []
        if "output_fd" in parameters:
            fds = os.pipe()
        try:
            connection.send(method, parameters, fds[1:], more=method == "Wait")
            return connection.receive()
        finally:
            for fd in fds:
                os.close(fd)


def error_of(reply):
    return reply.get("error", "").removeprefix("io.caged.")


def state(clients, card):
    """What a call of somebody else's might have changed."""
    owner = clients["owner"]
    agent = owner.inspect(card["agent_id"])["agent"]
    return agent["state"], owner.call("Hosts", agent_id=card["agent_id"])["allowed_hosts"]


UNTOUCHED = ("running", ["one.example"])


@pytest.mark.parametrize("relation", RIGHTS)
@pytest.mark.parametrize("method", ROWS)
def test_who_may_what(clients, cast, target, method, relation):
    right, parameters = ROWS[method]
    reply = ask(clients[relation], method, parameters(target, cast["owner"]))
    if right in RIGHTS[relation]:
        assert error_of(reply) in ("", NO_JOURNAL if "output_fd" in parameters(target, cast["owner"])
                                   else ""), reply
        return
    assert state(clients, target) == UNTOUCHED
    if RIGHTS[relation]:  # it sees the agent, so that it may learn why
        assert error_of(reply) == "NotPermitted", reply
        assert reply["parameters"]["what"] == right
        assert all(word in reply["parameters"]["reason"] for word in (target["agent_id"], '"team"'))
    else:
        assert reply == {"error": "io.caged.NoSuchAgent",
                         "parameters": {"agent_id": target["agent_id"]}}


@pytest.mark.parametrize("relation", OUTSIDERS)
@pytest.mark.parametrize("method", METHODS)
def test_outside_of_the_group_there_is_nothing(clients, cast, target, method, relation):
    parameters = ROWS[method][1] if method in ROWS else lambda card, owner: {}
    reply = ask(clients[relation], method, parameters(target, cast["owner"]))
    assert error_of(reply) == "NotPermitted" and "group" in reply["parameters"]["reason"], reply
    assert state(clients, target) == UNTOUCHED


def raw(client, method, parameters):
    """The bytes of the answer."""
    with client.connect() as connection:
        fds = os.pipe() if "output_fd" in parameters else ()
        connection.send(method, parameters, fds[1:])
        for fd in fds:
            os.close(fd)
        while b"\0" not in connection.buffer:
            data = connection.socket.recv(65536)
            if not data:
                raise Disconnected
            connection.buffer += data
        return connection.buffer


@pytest.mark.parametrize("named", ["no owner", "its owner", "another owner", "nobody's number"])
@pytest.mark.parametrize("relation", BLIND)
@pytest.mark.parametrize("method", ROWS)
def test_the_answer_is_that_of_an_agent_that_never_was(clients, cast, target, method, relation,
                                                       named):
    agent_id = target["agent_id"]
    never = "".join(chr(ord("a") + ord(c) % 26) for c in agent_id)
    assert never != agent_id and len(never) == len(agent_id)
    answers = []
    for one in (agent_id, never):
        parameters = ROWS[method][1]({**target, "agent_id": one}, cast["owner"])
        if named == "no owner":
            del parameters["owner_uid"]
        elif named != "its owner":
            parameters["owner_uid"] = cast["root"].uid if named == "another owner" else 4242424
        answers.append(raw(clients[relation], method, parameters).replace(one.encode(), b"ID"))
    assert answers[0] == answers[1]
    assert state(clients, target) == UNTOUCHED


@pytest.mark.parametrize("method, owned", [("Inspect", True), ("Inspect", False), ("Stop", True)])
def test_the_answer_takes_as_long_as_for_an_agent_that_never_was(clients, cast, target, method,
                                                                 owned):
    times = {target["agent_id"]: [], "never-was": []}
    owner = {"owner_uid": cast["owner"].uid} if owned else {}
    with clients["stranger"].connect() as connection:
        for _ in range(1500):
            for agent_id, taken in times.items():
                start = time.perf_counter()
                with pytest.raises(VarlinkError, match="NoSuchAgent"):
                    connection.call(method, {"agent_id": agent_id, **owner})
                taken.append(time.perf_counter() - start)
    there, never = (statistics.median(taken) for taken in times.values())
    assert abs(there - never) < max(0.3 * never, 50e-6), (there, never)


# -- those that name no agent --

@pytest.mark.parametrize("relation", RIGHTS)
def test_spawn_gives_everybody_agents_of_their_own_and_nobody_elses(clients, cast, target, base,
                                                                    relation):
    """That the owner has an agent of an id is nobody's matter: all may have it too."""
    client = clients[relation]
    agent_id = target["agent_id"]
    if relation == "root":
        folder = clients["stranger"].user.folder("for-root")
    elif relation == "nobody":
        folder = base / "of-nobody"
        folder.mkdir(exist_ok=True)
        os.chown(folder, client.user.uid, client.user.gid)
    else:
        folder = client.user.folder("own-" + os.urandom(4).hex())
    card = {"agent_id": agent_id, "workspace": str(folder), "command": ["sleep", "600"]}
    if relation == "owner":
        with pytest.raises(VarlinkError) as error:
            client.daemon.spawn(client.user, card)
        assert error.value.name == "AgentExists"
        return
    reply = client.daemon.spawn(client.user, card)
    assert reply["agent"]["owner_uid"] == client.user.uid
    if relation != "root":
        taken = {**card, "agent_id": "taken", "workspace": target["workspace"]}
        with pytest.raises(VarlinkError) as error:
            client.daemon.spawn(client.user, taken)
        assert error.value.name == "NotPermitted"
    # Its own comes before what it may see of others.
    assert client.inspect(agent_id)["agent"]["owner_uid"] == client.user.uid
    client.call("Kill", agent_id=agent_id)
    # Root's own that has ended stands behind another's that lives, so that it has to say whose.
    ended = client.call("Wait", agent_id=agent_id, owner_uid=client.user.uid)["agent"]
    assert (ended["owner_uid"], ended["state"]) == (client.user.uid, "ended")
    assert state(clients, target) == UNTOUCHED


@pytest.mark.parametrize("relation", RIGHTS)
def test_lists_show_what_each_may_see(clients, target, relation):
    gone = clients["owner"].spawn("true")
    clients["owner"].wait(gone)
    for parameters, names in (({}, {target["agent_id"]}),
                              ({"all": True}, {target["agent_id"], gone})):
        listed = {agent["agent_id"] for agent in clients[relation].call("List", **parameters)["agents"]}
        if RIGHTS[relation]:
            assert names <= listed
        else:
            assert not names & listed


def test_events_tell_what_each_may_see(clients, cast):
    """All follow; then something happens to an agent of the owner's and to one of each follower's."""
    with contextlib.ExitStack() as stack:
        following = {name: stack.enter_context(clients[name].connect()) for name in RIGHTS
                     if name != "nobody"}
        for connection in following.values():
            connection.send("Events", {}, more=True)
            connection.reply()
        seen = clients["owner"].spawn("true")
        clients["owner"].wait(seen)
        for name, connection in following.items():
            own = clients["stranger" if name == "root" else name].spawn("true")
            told = []
            while own not in [event["agent_id"] for event in told]:
                told += connection.reply()["events"]
            kinds = [event["kind"] for event in told if event["agent_id"] == seen]
            if RIGHTS[name]:
                assert kinds == ["spawned", "running", "ended"], (name, told)
                assert {event["owner_uid"] for event in told if event["agent_id"] == seen} == \
                    {cast["owner"].uid}
            else:
                assert kinds == [], (name, told)


@pytest.mark.parametrize("relation", RIGHTS)
def test_the_policy_is_roots_to_reload(clients, relation):
    reply = ask(clients[relation], "ReloadPolicy", {})
    assert error_of(reply) == ("" if relation == "root" else "NotPermitted"), reply


@pytest.mark.parametrize("relation", RIGHTS)
def test_the_policy_is_explained_for_oneself(clients, cast, target, relation):
    owner = cast["owner"]
    mine = clients[relation].call("ExplainPolicy", card=target)
    assert mine["rule"] == {"owner": "team", "mate": "team", "root": "root"}.get(relation, "members")
    reply = ask(clients[relation], "ExplainPolicy", {
        "card": target, "user_uid": owner.uid, "user_gid": owner.gid, "user_groups": owner.groups})
    if relation == "root":
        assert reply["parameters"]["rule"] == "team"
    else:
        assert error_of(reply) == "NotPermitted", reply


# -- operators --

def test_of_several_users_agents_an_operator_says_whose(base, people, cast):
    rules = {"rules": [{"groups": [cast["members"]],
                        "access": [{"users": [cast["seer"].name], "may": ["see", "stop"]}]}]}
    daemon = Daemon(base, people["group"], policy=rules).start()
    one, two, seer = (Client(daemon, cast[name]) for name in ("owner", "mate", "seer"))
    try:
        for client in (one, two):
            client.spawn("sleep 600", agent_id="same")
        with pytest.raises(VarlinkError) as error:
            seer.inspect("same")
        assert error.value.name == "Ambiguous"
        assert sorted(error.value.parameters["owners"]) == sorted([one.user.uid, two.user.uid])
        assert seer.call("Inspect", agent_id="same",
                         owner_uid=two.user.uid)["agent"]["owner_uid"] == two.user.uid
        with pytest.raises(VarlinkError) as error:
            one.call("Inspect", agent_id="same", owner_uid=two.user.uid)
        assert error.value.name == "NoSuchAgent"
        # An agent that has ended stands behind one that lives.
        two.call("Kill", agent_id="same")
        two.wait("same")
        assert seer.inspect("same")["agent"]["owner_uid"] == one.user.uid

        seer.spawn("sleep 600", agent_id="mine")
        listed = seer.cagectl("list")
        assert all(name in listed.text for name in (one.user.name, seer.user.name))
        # All are its own: only root means everybody's.
        assert seer.cagectl("stop", "--all").status == 0
        assert seer.wait("mine")["reason"] == "stopped"
        assert one.inspect("same")["agent"]["state"] == "running"
        result = seer.cagectl("stop", "--owner", one.user.name, "same")
        assert result.status == 0, result.errors
        assert one.wait("same")["reason"] == "stopped"

        for client in (one, two):
            client.spawn("sleep 600", agent_id="again")
        result = Client(daemon, cast["root"]).cagectl("stop", "--all", "--owner", one.user.name)
        assert result.status == 0, result.errors
        assert one.wait("again")["reason"] == "stopped"
        assert two.inspect("again")["agent"]["state"] == "running"
    finally:
        assert daemon.stop() == 0


def test_cagectl_says_what_an_operator_lacks(clients, target):
    agent_id = target["agent_id"]
    assert clients["seer"].cagectl("inspect", agent_id).status == 0
    result = clients["seer"].cagectl("stop", agent_id)
    assert result.status != 0 and "not permitted: stop" in result.errors, result.errors
    assert '"team"' in result.errors
    result = clients["stranger"].cagectl("stop", "--owner", clients["owner"].user.name, agent_id)
    assert result.status != 0 and f"you have no agent '{agent_id}'" in result.errors
    assert state(clients, target) == UNTOUCHED


def test_another_policy_takes_rights_away_at_once(base, people, cast):
    """Also from who has been following; and where no rule matches an owner any more, there are only the
    owner and root."""
    daemon = Daemon(base, people["group"], policy=policy_of(cast)).start()
    owner, seer, root = (Client(daemon, cast[name]) for name in ("owner", "seer", "root"))
    try:
        agent_id = owner.spawn("cat /workspace/words; sleep 600")
        assert seer.inspect(agent_id)
        with seer.connect() as logs, seer.connect() as wait, seer.connect() as events:
            logs.send("Logs", {"agent_id": agent_id, "follow": True}, more=True)
            logs.reply()
            wait.send("Wait", {"agent_id": agent_id})
            events.send("Events", {}, more=True)
            events.reply()
            daemon.reload_policy({"rules": [{"groups": [cast["groups"]["seers"]]}]})
            with pytest.raises(VarlinkError) as error:
                seer.inspect(agent_id)
            assert error.value.name == "NoSuchAgent"
            assert agent_id not in str(seer.call("List", all=True))
            assert owner.inspect(agent_id) and root.inspect(agent_id)
            owner.call("Kill", agent_id=agent_id)
            assert owner.wait(agent_id)["reason"] == "killed"
            for connection in (logs, wait):
                with pytest.raises(VarlinkError, match="NoSuchAgent"):
                    while True:
                        assert "killed" not in str(connection.reply())
            own = seer.spawn("true")
            told = ""
            while own not in told:
                told += str(events.reply())
            assert agent_id not in told
    finally:
        assert daemon.stop() == 0


def follow_events(client):
    events = client.connect()
    events.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    events.send("Events", {}, more=True)
    events.reply()
    return events


def test_events_do_not_count_what_others_do(a, b, root):
    """Neither by their numbers nor by how many were lost to who did not read them."""
    mine = a.spawn("sleep 600")
    with follow_events(b) as others, follow_events(root) as all_:
        for _ in range(2):
            b.wait(b.spawn("true"))
            a.wait(a.spawn("true"))
        seen = []
        while len(seen) < 6:
            seen += others.reply()["events"]
        assert [event["sequence"] for event in seen] == [1, 2, 3, 4, 5, 6]
        theirs = b.spawn("sleep 600")
        change_much(b, theirs)  # so much that nothing more is sent until somebody reads
        change_much(a, mine)
        lost = {}
        for events in (others, all_):
            lost[events] = []
            while not lost[events]:
                lost[events] += filter(None, [events.reply()["lost"]])
        assert lost[others] == [1] and lost[all_][0] > 1
    for client, agent_id in ((a, mine), (b, theirs)):
        client.call("Kill", agent_id=agent_id)
        client.wait(agent_id)
