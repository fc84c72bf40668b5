"""A hostile client in C (programs/hostile.c) that speaks raw bytes, run as a member of the daemon's
group. After each attack the daemon serves the next client at once, and nothing is left over."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest

from harness import leftovers, paths
from harness.daemon import site_policy, until
from harness.limits import LIMITS
from harness.varlink import Disconnected, VarlinkError

AT_ONCE = 20  # seconds, on a machine that is busy with other things


@pytest.fixture(autouse=True)
def unharmed(daemon, a, b):
    a.wait(a.spawn("true", ttl_seconds=9))  # what the daemon makes once, it makes now
    before = leftovers.idle(daemon)
    yield
    assert_served(b)
    until(lambda: is_served(a), what="who attacked is served as well")
    for agent in a.call("List")["agents"]:
        with contextlib.suppress(VarlinkError):  # it may have ended since
            a.call("Kill", agent_id=agent["agent_id"])
    until(lambda: not a.call("List")["agents"], what="every agent has ended")
    leftovers.until_as(daemon, before)


def is_served(client):
    try:
        return client.call("List") is not None
    except (VarlinkError, Disconnected):
        return False


def assert_served(client):
    """Also by what takes all of the daemon: a new agent."""
    start = time.monotonic()
    assert client.call("List") is not None
    assert time.monotonic() - start < AT_ONCE
    assert client.run("echo well").stdout == b"well\n"


@pytest.fixture
def hostile(daemon, a):
    """Starts an attack of a's, in a folder of its own; gives the process, which is at its end by the end of
    the test."""
    folder = a.user.folder("hostile-" + os.urandom(4).hex())
    started = []

    def start(attack, *arguments):
        process = subprocess.Popen(
            a.user.command(paths.HOSTILE, daemon.socket, folder, attack, *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        started.append(process)
        return process

    start.folder = folder
    yield start
    for process in started:
        process.kill()
        process.communicate()


def rows(process, timeout=200):
    """What an attack has told, once it is over."""
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, output[-2000:]
    return [tuple(line.split("\t")) for line in output.splitlines()]


def resident(daemon):
    with open(f"/proc/{daemon.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def card(folder, agent_id, **keys):
    return {"agent_id": agent_id, "workspace": str(folder), "command": ["sleep", "600"], **keys}


def request(method, **parameters):
    return json.dumps({"method": f"io.caged.{method}", "parameters": parameters})


# -- what is no request, or none yet --

def test_a_request_cut_off_anywhere_is_an_end_and_a_whole_one_is_answered(hostile):
    told = dict(rows(hostile("frames")))
    assert told["answered"] == "1" and int(told["ended"]) == int(told["of"]) - 1


def test_flags_are_heeded_or_end_the_connection(hostile):
    told = {flag: said for flag, *said in rows(hostile("flags"))}
    good = {'"more":true', '"more":false', '"upgrade":false', '"oneway":false', '"surprise":true'}
    duplicate = '"more":true,"more":true'
    assert told.pop("oneway") == ["org.varlink.service.MethodNotFound"]
    assert told.pop(duplicate) == ["io.caged.InvalidCard", "ok"]
    for flag, said in told.items():
        assert said == (["ok", "ok"] if flag in good else ["ended", "ended"]), flag


def test_two_calls_in_a_write_and_bytes_one_by_one_on_many_connections(hostile):
    assert rows(hostile("bytewise")) == [("answered", "200")]


def test_a_message_without_end_takes_no_memory(hostile, daemon):
    before = resident(daemon)
    told = dict(rows(hostile("endless")))
    assert told == {"spaces": "ended", "brackets": "ended", "string": "ended"}
    assert resident(daemon) - before < 4 << 20


def test_empty_messages_without_end_hold_nobody_up(hostile, daemon, b):
    before = resident(daemon)
    process = hostile("nuls", 50)
    assert process.stdout.readline() == "now\n"
    for _ in range(5):
        assert_served(b)
    assert resident(daemon) - before < 2 * LIMITS["WIRE_BUFFERED_PER_UID_MAX"]
    sent, = rows(process)
    assert int(sent[1]) > 50 * 65536  # more than the sockets hold: the daemon has read of it


# -- requests that are wrong --

def test_a_wrong_type_in_any_field_of_any_method_is_an_error(hostile, base):
    """As the interface file has them: 400 requests and more."""
    interface = shutil.copy(paths.ROOT / "common" / "io.caged.varlink", base)
    told = rows(hostile("fields", interface))
    methods = {place.partition(".")[0] for place, _, _ in told}
    assert {"Spawn", "Reload", "Stop", "Kill", "List", "Logs", "History", "Audit"} <= methods
    assert ("Spawn.card.resource_limits.memory_mb", '"1"', "io.caged.InvalidCard") in told
    assert len(told) > 400
    errors = {"org.varlink.service.InvalidParameter", "io.caged.InvalidCard",
              "io.caged.NotPermitted"}
    assert [row for row in told if row[2] not in errors] == []


MOUNT = "$.mounts[0].source"


def spawn_with(folder, what):
    keys, fds = {
        "workspace": ({}, {}),
        "api_key_file": ({"api_key_file": "/k"}, {"api_key_fd": 1}),
        "proxy_auth_file": ({"proxy": "http://127.0.0.1:9", "proxy_auth_file": "/p"},
                            {"proxy_auth_fd": 1}),
        MOUNT: ({"mounts": [{"source": "/m", "target": "/mnt/m"}]}, {"mount_fds": [1]})}[what]
    return request("Spawn", card=card(folder, "kinds", **keys), workspace_fd=0, **fds), len(fds)


@pytest.mark.parametrize("what", ["workspace", "api_key_file", "proxy_auth_file", MOUNT])
def test_a_descriptor_of_any_wrong_kind_is_refused(hostile, daemon, what):
    """A key file is empty here, or no file."""
    policy = site_policy(daemon.group)
    policy["rules"][0]["mount_roots"] = ["/"]
    daemon.reload_policy(policy)
    told = rows(hostile("descriptors", *spawn_with(hostile.folder, what)))
    had = {kind: said for kind, index, *said in told if index != "-"}
    assert len(had) >= 28, told
    wrong = {kind: said for kind, said in had.items() if said != ["io.caged.NotPermitted", what]}
    assert wrong == {}


def test_what_is_no_pipe_to_write_into_is_refused_for_past_output(hostile):
    """Where there is no journal everything is."""
    told = rows(hostile("descriptors", request("History", agent_id="kinds", output_fd=0), 0,
                        request("Audit", agent_id="kinds", output_fd=0), 0))
    errors = {said[0] for kind, index, *said in told if index != "-" and kind != "fifo"}
    assert errors <= {"org.varlink.service.InvalidParameter", "io.caged.NotSupported",
                      "io.caged.NoSuchAgent"}, told


def test_sockets_full_of_descriptors_in_sockets_are_let_go(hostile):
    """The kernel clears up rings of sockets; no close of the daemon's waits for one."""
    assert rows(hostile("queued")) == [("answered", "20")]


# -- much of everything --

def test_a_thousand_connections_leave_room_and_nothing(hostile, daemon, b, root):
    before = resident(daemon)
    process = hostile("many", 1000)
    assert process.stdout.readline() == "now\n"
    assert_served(b)
    assert is_served(root)
    assert resident(daemon) - before < LIMITS["WIRE_BUFFERED_PER_UID_MAX"]
    process.stdin.write("\n")
    process.stdin.flush()
    told = dict(rows(process))
    assert int(told["ended"]) >= 1000 - LIMITS["CONNECTIONS_PER_UID_MAX"]


@pytest.mark.parametrize("method, parameters", [
    ("org.varlink.service.GetInterfaceDescription", {"interface": "io.caged"}),
    ("io.caged.List", {"all": True}),
    ("io.caged.Inspect", {"agent_id": "told"})])
def test_replies_that_nobody_reads_on_all_connections_take_little(hostile, daemon, a, b, method,
                                                                 parameters):
    a.wait(a.spawn("true", agent_id="told", environment={"N": "x" * 50000}))
    before = resident(daemon)
    process = hostile("deaf", LIMITS["CONNECTIONS_PER_UID_MAX"],
                      json.dumps({"method": method, "parameters": parameters}))
    assert process.stdout.readline().startswith("sent\t")
    assert process.stdout.readline() == "now\n"
    for _ in range(3):
        assert_served(b)
    assert resident(daemon) - before < 3 * LIMITS["WIRE_BUFFERED_PER_UID_MAX"]


# -- in the middle of a spawn --

def test_a_client_that_leaves_or_is_killed_at_any_step_of_a_spawn_leaves_nothing_half_done(
        hostile, a):
    """What became whole is there and can be ended (by the fixture); nothing else is. The rest of each id
    is free again."""
    process = hostile("spawn", *[
        request("Spawn", card=card("@", "left", command=["sleep", "600"]), workspace_fd=0, **flags)
        .replace('"left"', f'"left{i}-@"').replace('"workspace": "@"', '"workspace": "/w"')
        for i, flags in enumerate(({}, {"foreground": True}, {"foreground": True, "terminal": True}))])
    (left,) = rows(process)
    assert int(left[1]) == 3 * 2 * 34

    def states():
        return {agent["agent_id"]: agent["state"] for agent in a.call("List")["agents"]}

    until(lambda: "starting" not in states().values(), what="none is half done")
    # Of the first kind alone some live on; those of the others went with their clients.
    until(lambda: all(name.startswith("left0-") for name in states()), what="the others have ended")
    assert states()
    again = f"left1-{3 * 34}"
    a.wait(a.spawn("true", agent_id=again))


def test_a_folder_that_changes_places_with_a_link_is_the_one_that_was_opened_or_none(hostile, a):
    folder = hostile.folder / "swapped"
    folder.mkdir()
    os.chown(folder, a.user.uid, a.user.gid)
    told = [error for error, in rows(hostile(
        "swap", "/etc", request("Spawn", card=card("/w", "swap-@", command=["true"]),
                                workspace_fd=0)))]
    assert len(told) == 60 and set(told) <= {"ok", "io.caged.NotPermitted"}, set(told)
    assert "ok" in told and "io.caged.NotPermitted" in told
