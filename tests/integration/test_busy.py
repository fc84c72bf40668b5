"""The limits of the daemon itself: one over each is told as Busy with the limit and its number, others
do not notice, and who lets go is served again."""

import contextlib
import fcntl
import os
import re
import select
import socket
import subprocess
from pathlib import Path

import pytest

from harness import leftovers, paths
from harness.daemon import Client, Daemon, until
from harness.limits import LIMITS
from harness.users import User, acting_as
from harness.varlink import Disconnected, VarlinkError


@pytest.fixture(autouse=True)
def unharmed(daemon, a):
    a.wait(a.spawn("true"))  # what the daemon makes once, it makes now
    before = leftovers.idle(daemon)
    yield
    for agent in a.call("List")["agents"]:
        with contextlib.suppress(VarlinkError):  # it may have ended since
            a.call("Kill", agent_id=agent["agent_id"])
    until(lambda: not a.call("List")["agents"], what="every agent has ended")
    leftovers.until_as(daemon, before)


@pytest.fixture
def many(a):
    """Makes connections of a's; all are closed in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda n: [stack.enter_context(a.connect()) for _ in range(n)]


def busy(error):
    assert error.name == "Busy", error
    return error.parameters["limit"], error.parameters["maximum"]


def is_served(client):
    try:
        return client.call("List") is not None
    except (VarlinkError, Disconnected):
        return False


def test_one_connection_too_many_is_told_and_ended(a, b, root, many):
    maximum = LIMITS["CONNECTIONS_PER_UID_MAX"]
    connections = many(maximum)
    for connection in connections:
        connection.call("List")
    extra, = many(1)
    with pytest.raises(VarlinkError) as error:
        extra.reply()
    assert busy(error.value) == ("connections of one user", maximum)
    assert extra.ended()
    assert is_served(b) and is_served(root)
    connections[0].close()
    until(lambda: is_served(a), what="there is room again")


class Subordinate(User):
    """A uid that another user has, with that user's groups, as a setuid file of it would run."""

    def __init__(self, uid, of):
        super().__init__(f"uid-{uid}", uid, of.gid, of.home)
        object.__setattr__(self, "of", of)

    @property
    def groups(self):
        return self.of.groups


def test_the_subordinate_uids_of_users_are_one_user_together(a, b, daemon):
    """Else who has some would leave no connection for anybody."""
    first, each = 1_900_000_200, LIMITS["CONNECTIONS_PER_UID_MAX"]
    n = LIMITS["CONNECTIONS_MAX"] // each + 1
    spans = f"{first}-{first + n - 1}"
    subprocess.run(["usermod", "--add-subuids", spans, a.user.name], check=True)
    try:
        with contextlib.ExitStack() as stack:
            for uid in range(first, first + n):
                for _ in range(each):
                    last = stack.enter_context(daemon.connect(Subordinate(uid, a.user), timeout=60))
            with pytest.raises(VarlinkError) as error:
                last.reply()
            assert busy(error.value) == ("connections of one user", each)
            assert is_served(b) and is_served(a)
    finally:
        subprocess.run(["usermod", "--del-subuids", spans, a.user.name], check=True)


def test_one_call_too_many_is_told_and_the_urgent_ones_are_taken(a, b, root, many):
    maximum = LIMITS["CALLS_PER_UID_MAX"]
    agent_id = a.spawn("sleep 600")
    waiting = many(maximum)
    for connection in waiting:
        connection.send("Wait", {"agent_id": agent_id}, more=True)
        connection.reply()
    free, = many(1)
    for method in ("Wait", "Logs"):
        with pytest.raises(VarlinkError) as error:
            free.call(method, {"agent_id": agent_id})
        assert busy(error.value) == ("calls under way of one user", maximum)
    assert busy(a.refused()) == ("calls under way of one user", maximum)
    assert free.call("List")["agents"] and free.call("Inspect", {"agent_id": agent_id})
    assert b.run("echo well").stdout == b"well\n"
    waiting[0].close()

    def waits_again():
        try:
            free.send("Wait", {"agent_id": agent_id}, more=True)
            return free.reply()
        except VarlinkError as error:
            return busy(error) and None

    until(waits_again, what="there is room again")
    with a.connect() as urgent:
        urgent.call("Kill", {"agent_id": agent_id})
    assert free.reply()["agent"]["state"] in ("stopping", "ended")


def test_descriptors_of_half_requests_are_counted_and_closed(a, b, daemon, many):
    maximum, each = LIMITS["WIRE_DESCRIPTORS_PER_UID_MAX"], LIMITS["WIRE_DESCRIPTORS_MAX"]
    before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(each)]
    halves = many(maximum // each)
    for half in halves:
        half.send_bytes(b'{"method":', fds)
    until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) >= before + maximum + len(halves),
          what="the daemon has taken all of them")
    extra, = many(1)
    extra.send_bytes(b'{"method":', fds[:1])
    for fd in fds:
        os.close(fd)
    with pytest.raises(VarlinkError) as error:
        extra.reply()
    assert busy(error.value) == ("descriptors of one user", maximum)
    assert extra.ended()
    assert is_served(a) and is_served(b)
    halves[0].send_bytes(b'"io.caged.List"}\0')
    assert "agents" in halves[0].reply()


def resident(daemon):
    with open(f"/proc/{daemon.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_replies_that_a_user_leaves_unread_on_all_connections_are_bounded_together(a, b, daemon,
                                                                                   many):
    """One connection alone may leave a megabyte; a hundred may not leave a hundred of them."""
    maximum = LIMITS["WIRE_BUFFERED_PER_UID_MAX"]
    agent_id = a.spawn("head -c 1100000 /dev/zero | tr '\\0' '\\1' | fold -w 1000; echo; echo all; sleep 600")
    a.until_output(agent_id, "all")
    before = resident(daemon)
    deaf = many(LIMITS["CALLS_PER_UID_MAX"] - 8)
    for connection in deaf:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(3):
            connection.send("Logs", {"agent_id": agent_id, "lines": 250})
    reader, = many(1)

    def is_pressed():
        try:
            reader.call("Logs", {"agent_id": agent_id, "lines": 1})
        except VarlinkError as error:
            return busy(error)
        return None

    assert until(is_pressed, what="so much is left unread") == ("unread bytes of one user", maximum)
    assert busy(a.refused()) == ("unread bytes of one user", maximum)
    assert b.run("echo well").stdout == b"well\n"
    assert resident(daemon) - before < 3 * maximum
    reader.call("Stop", {"agent_id": agent_id, "grace_seconds": 0})
    # What was asked is answered, in whole replies, to who reads in the end.
    answered = 0
    for connection in deaf:
        for _ in range(3):
            message = connection.receive()
            answered += "error" not in message
            assert message.get("error") in (None, "io.caged.Busy"), message
    assert answered >= 10
    assert is_served(a)


def test_one_agent_too_many_is_told(a, b):
    maximum = LIMITS["AGENTS_PER_UID_MAX"]
    folder = str(a.user.folder("one-too-many"))
    for _ in range(maximum):
        a.spawn("exec sleep 600", workspace=folder)
    assert busy(a.refused(workspace=folder)) == ("agents of one user", maximum)
    assert b.run("echo well").stdout == b"well\n"


def test_one_agent_too_many_of_all_is_told(a, b, root):
    maximum = LIMITS["AGENTS_MAX"]
    folder = str(a.user.folder("all-too-many"))
    try:
        for _ in range(maximum - 1):
            last = root.spawn("exec sleep 600", workspace=folder)
        a.spawn("exec sleep 600", workspace=folder)
        assert busy(a.refused(workspace=folder)) == ("agents", maximum)
        assert busy(root.refused(workspace=folder)) == ("agents", maximum)
        assert is_served(b)
        root.call("Kill", agent_id=last)
        until(lambda: len(root.call("List")["agents"]) < maximum, what="one has ended")
        assert b.run("echo well").stdout == b"well\n"
    finally:
        for agent in root.call("List")["agents"]:
            root.call("Kill", agent_id=agent["agent_id"], owner_uid=agent["owner_uid"])
        until(lambda: not root.call("List")["agents"], what="every agent has ended")


class Member(Subordinate):
    """Somebody of whom the host knows no more than the uid, in the group of another user."""


def test_ended_agents_of_all_are_bounded_and_nobody_loses_what_is_within_an_equal_part(own_daemon, people):
    a, b, root = (Client(own_daemon, people[name]) for name in ("a", "b", "root"))
    each, together = LIMITS["AGENTS_ENDED_KEPT"], LIMITS["AGENTS_ENDED_KEPT_ALL"]
    greedy = [Client(own_daemon, Member(1_900_001_000 + i, a.user)) for i in range(together // each + 2)]

    def end_one(client, folder):
        agent_id = client.spawn("true", workspace=folder)
        client.wait(agent_id)
        return agent_id

    def remembered(client):
        return [agent["agent_id"] for agent in client.call("List", all=True)["agents"]]

    folder = str(b.user.folder("few"))
    few = [end_one(b, folder) for _ in range(3)]
    for client in greedy:
        folder = a.user.home / f"greedy-{client.user.uid}"
        folder.mkdir()
        os.chown(folder, client.user.uid, client.user.gid)
        mine = [end_one(client, str(folder)) for _ in range(each + 1)]
        # Nobody but who has most gives way, and of that one the oldest.
        until(lambda: set(remembered(client)) <= set(mine[1:]), what="the oldest is forgotten")
        assert mine[-1] in remembered(client)
        assert set(few) <= set(remembered(b))
    sizes = [len(remembered(client)) for client in greedy]
    assert together // (len(greedy) + 3) <= min(sizes) and max(sizes) - min(sizes) <= 2, sizes
    assert len(remembered(root)) <= together


def test_who_has_many_processes_that_cannot_start_leaves_room_for_others(a, b, daemon, many):
    """A process that is being started has a place until it runs, and that it runs is up to what its
    user's others leave it. Here they cannot run at all."""
    maximum = LIMITS["START_CHANNELS_PER_UID_MAX"]
    folder = str(a.user.folder("cannot-start"))
    card = {"workspace": folder, "command": ["sleep", "600"]}
    first = a.inspect(a.spawn("exec sleep 600", workspace=folder))
    freezer = Path(first["cgroups"][0]).parent / "cgroup.freeze"
    waiting = many(maximum)
    with acting_as(a.user):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    freezer.write_text("1")
    try:
        for i, connection in enumerate(waiting):
            connection.send("Spawn", {"card": {"agent_id": f"frozen{i}", **card}, "workspace_fd": 0}, [fd])
        until(lambda: len(a.call("List")["agents"]) == maximum + 1, what="all are being started")
        assert busy(a.refused(**card)) == ("processes of one user that are being started", maximum)
        done = a.cagectl("spawn", a.cards.write(a.card("true")))
        assert done.status == 75 and "they start when other agents leave them some processor" in done.errors, done
        assert b.run("echo well").stdout == b"well\n"
    finally:
        freezer.write_text("0")
        os.close(fd)
    for connection in waiting:
        assert connection.reply()["agent"]["state"] == "running"
    a.spawn(**card)


def test_who_has_no_share_is_told_when_all_places_of_processes_are_taken(a, root):
    """Root's processes that are being started may take all places there are."""
    folder = str(a.user.folder("all-places"))
    card = {"workspace": folder, "command": ["sleep", "600"]}
    full = "processes that are being started", LIMITS["START_CHANNELS"]
    first = root.inspect(root.spawn("exec sleep 600", workspace=folder))
    freezer = Path(first["cgroups"][0]).parent / "cgroup.freeze"
    with contextlib.ExitStack() as stack:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        freezer.write_text("1")
        try:
            connections = []
            while not select.select(connections, [], [], 0.05)[0]:
                connection = stack.enter_context(root.connect())
                connections.append(connection.socket)
                connection.send("Spawn", {"card": root.card(**card), "workspace_fd": 0}, [fd])
            assert len(connections) > full[1] - 8, "the rest were other things when the daemon began"
            assert busy(root.refused(**card)) == full and busy(a.refused(**card)) == full
            said = root.cagectl("spawn", root.cards.write(root.card(**card)))
        finally:
            freezer.write_text("0")
        assert said.status == 75 and "they start when other agents leave them some processor" in said.errors, said
        for agent in root.call("List")["agents"]:
            root.call("Kill", agent_id=agent["agent_id"])
    until(lambda: not root.call("List")["agents"], what="every agent has ended")


def test_uid_ranges_that_are_all_taken_are_told(base, people):
    """By containers of systemd-nspawn, say. The daemon has a place for their locks of its own, so that
    no other does without meanwhile."""
    locks = "/run/systemd/nspawn-uid"
    enter = f'mkdir -p {locks} && mount -t tmpfs none {locks} && exec "$@"'
    daemon = Daemon(base, people["group"])
    daemon.start(under=["unshare", "--mount", "sh", "-c", enter, "sh"])
    daemon.entry = ["nsenter", f"--mount=/proc/{daemon.pid}/ns/mnt"]
    a, maximum = Client(daemon, people["a"]), LIMITS["AGENTS_MAX"]
    try:
        with contextlib.ExitStack() as stack:
            for slot in range(maximum):
                file = stack.enter_context(
                    open(f"/proc/{daemon.pid}/root{locks}/{0x60000000 + slot * 65536}", "w"))
                fcntl.lockf(file, fcntl.LOCK_EX)
            refused = a.run("true")
            assert refused.status == 75
            assert ("the limit of uid ranges of agents, containers and readers of past output is reached "
                    f"({maximum})\n") in refused.errors
            assert "end some agents" in refused.errors
        assert a.run("echo again").stdout == b"again\n"
    finally:
        assert daemon.stop() == 0


def kept(a, agent_id):
    """How many lines of an agent's the daemon has, and how many it had."""
    with a.connect() as connection:
        lines = lost = 0
        for reply in connection.replies("Logs", {"agent_id": agent_id}):
            lines, lost = lines + len(reply["lines"]), lost + reply["lost"]
        return lines, lines + lost


def test_many_agents_of_one_user_share_what_output_is_kept_of_them(a, b):
    """Each keeps an equal part, of those that ended too; other users' agents keep what they have."""
    line, number = 1000, 3000
    script = f"head -c {line * number} /dev/zero | tr '\\0' x | fold -w {line}; echo; echo all"
    mine, other = a.spawn(script), b.spawn(script)
    a.wait(mine), b.wait(other)
    full = LIMITS["AGENT_RING_SIZE"]
    before, total = kept(a, mine)
    assert total == number + 1 and 0.9 * full < before * line < full
    agents = 2 * LIMITS["AGENT_RINGS_PER_UID_MAX"] // full
    folder = str(a.user.folder("rings"))
    for _ in range(agents):
        a.spawn("exec sleep 600", workspace=folder)
    lines, still = kept(a, mine)
    assert still == total
    assert 0.3 * full < lines * line < 0.5 * full, (lines, before)  # up to 32 more have ended
    assert kept(b, other) == (before, total)
    # The last lines are kept.
    assert a.call("Logs", agent_id=mine, lines=1)["lines"][0]["text"] == "all"


def test_the_manual_tells_these_numbers():
    text = (paths.ROOT / "daemon" / "cagedd.8.scd").read_text()
    rows = {what: (each, together) for what, each, together in
            re.findall(r"^\|  (.*)\n:  (\S+).*\n:  (\S+).*\n:  ", text, re.M)}

    def told(*names, unit=1):
        return tuple(str(LIMITS[name] // unit) for name in names)

    assert rows["connections"] == told("CONNECTIONS_PER_UID_MAX", "CONNECTIONS_MAX")
    assert rows["calls that are not answered at once"] == told("CALLS_PER_UID_MAX", "CALLS_MAX")
    assert rows["agents"] == told("AGENTS_PER_UID_MAX", "AGENTS_MAX")
    assert rows["processes that are being started"] == told("START_CHANNELS_PER_UID_MAX",
                                                            "START_CHANNELS")
    assert rows["agents that ended and are remembered"] == told("AGENTS_ENDED_KEPT",
                                                                "AGENTS_ENDED_KEPT_ALL")
    assert rows["unfinished requests and unread replies"] == told(
        "WIRE_BUFFERED_PER_UID_MAX", "WIRE_BUFFERED_MAX", unit=1 << 20)
    assert rows["unread replies of a connection"][:1] == told("WIRE_OUTPUT_BUFFER_MAX", unit=1 << 20)
    assert rows["descriptors of unfinished requests"][:1] == told("WIRE_DESCRIPTORS_PER_UID_MAX")
    assert rows["descriptors whose close takes long"][:1] == told("CLOSES_PER_UID_MAX")
    assert rows["output kept in memory (1 MiB of an agent)"] == told(
        "AGENT_RINGS_PER_UID_MAX", "AGENT_RINGS_MAX", unit=1 << 20)
    assert LIMITS["AGENT_RING_SIZE"] == 1 << 20 and LIMITS["AGENT_RING_SIZE_MIN"] == 64 << 10
    assert rows["log entries not written yet"][:1] == told("LOG_UNSENT_PAUSE", unit=1 << 10)
    assert rows["refused hosts remembered"][:1] == told("REFUSED_HOSTS_MAX")
    assert rows["reading past output"] == told("HISTORIES_PER_UID_MAX", "HISTORIES_MAX")
