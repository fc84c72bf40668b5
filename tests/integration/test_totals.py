"""What all agents of one user have together: by the rule's total, whatever their cards say, their gates
included; other users' agents are not touched. (On version 2 of cgroups: tests/system/test_totals.py.)"""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from harness.daemon import site_policy, until
from harness.patience import PATIENCE
from harness.users import acting_as
from harness.varlink import VarlinkError

MIB = 1 << 20
ALLOCATE = "exec python3 -c 'x = b\"x\" * ({} << 20); print(\"have it\", flush=True)\nimport time; time.sleep(600)'"
FORK = """exec python3 -c '
import os, time
n = 0
try:
    while n < 200:
        os.fork() or (time.sleep(600), os._exit(0))
        n += 1
except OSError:
    pass
print("full", flush=True)
time.sleep(600)
'"""


@pytest.fixture(autouse=True)
def all_end(daemon, a, b):
    yield
    for user in (a, b):
        for agent in user.call("List")["agents"]:
            with contextlib.suppress(VarlinkError):  # it may have ended since
                user.call("Kill", agent_id=agent["agent_id"])
        until(lambda: not user.call("List")["agents"], what="every agent has ended")


@pytest.fixture
def total(daemon, a):
    """Puts a total for user a in force; the others have none."""
    def change(**keys):
        policy = site_policy(daemon.group)
        rule = {**policy["rules"][0], "name": "limited", "users": [a.user.name], "total": keys}
        policy["rules"].insert(0, {key: rule[key] for key in rule.keys() - {"groups"}})
        daemon.reload_policy(policy)

    change()
    return change


def totals(client, agent_id):
    return {limit["limit"]: limit for limit in client.inspect(agent_id)["limits"]
            if limit["limit"].startswith("total.")}


def file_of(client, agent_id, limit):
    return Path(totals(client, agent_id)[limit]["file"])


def number(path):
    return int(path.read_text())


def memory_peak(folder):
    """The most that was ever in use; before Linux 5.19 version 2 does not tell."""
    for name in ("memory.max_usage_in_bytes", "memory.peak"):
        if (folder / name).exists():
            return number(folder / name)
    return 0


def busy(error):
    assert error.name == "Busy", error
    return error.parameters["limit"], error.parameters["maximum"]


def test_inspect_tells_the_total_and_its_files_hold_it(a, b, total):
    total(memory_mb=256, max_processes=40)
    mine, others = a.spawn("sleep 600", resource_limits={"memory_mb": 1000}), b.spawn("sleep 600")
    told = totals(a, mine)
    assert {"total.memory_mb", "total.max_processes"} <= told.keys()
    assert told["total.memory_mb"]["value"] == 256 and told["total.max_processes"]["value"] == 40
    for limit in told.values():
        assert Path(limit["file"]).parent.name == f"owner-{a.user.uid}"
        assert Path(limit["file"]).read_text().strip() == limit["written"], limit
    assert number(Path(told["total.memory_mb"]["file"])) == 256 * MIB
    # More than the total is not refused: the total holds it.
    own = {limit["limit"]: limit for limit in a.inspect(mine)["limits"]}
    assert own["memory_mb"]["value"] == 1000
    assert totals(b, others) == {}


def test_inspect_keeps_the_longest_names_apart_from_their_values(a, total):
    total(memory_percent=50)
    agent_id = a.spawn("sleep 600")
    limits = a.inspect(agent_id)["limits"]
    lines = a.cagectl("inspect", agent_id).text.splitlines()
    found = [line for line in lines if " in /sys/fs/cgroup/" in line]
    assert len(found) == len(limits)
    for line, limit in zip(found, limits):
        assert line.startswith(f"  {limit['limit']}  ") and f"  {limit['value']} (" in line, line
    assert max(len(limit["limit"]) for limit in limits) >= 24, "or this shows nothing"


def test_a_percentage_of_the_hosts_memory(a, total):
    total(memory_percent=1)
    agent_id = a.spawn("sleep 600")
    host = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    limit = totals(a, agent_id)["total.memory_percent"]
    assert limit["value"] == 1
    assert host // 100 - 2 * MIB < number(Path(limit["file"])) <= host // 100


def test_agents_together_get_no_more_memory_than_the_total(a, b, total):
    """Five of them want 100 MiB each of 256, and each may have 150 by its card."""
    total(memory_mb=256)
    limits = {"memory_mb": 150}
    other = b.spawn(ALLOCATE.format(100), resource_limits=limits)
    b.until_output(other, "have it")
    first = a.spawn("sleep 600")
    folder = file_of(a, first, "total.memory_mb").parent
    agents, refused = [], 0
    for _ in range(5):
        card = a.card(ALLOCATE.format(100), resource_limits=limits)
        try:
            a.daemon.spawn(a.user, card)
            agents.append(card["agent_id"])
        except VarlinkError as error:
            assert busy(error) == ('total.memory_mb of one user by the rule "limited"', 256)
            refused += 1

    def settled():
        states = [a.inspect(agent_id)["agent"] for agent_id in agents]
        has = [b"have it" in b"".join(line["text"].encode() for line in
                                      a.call("Logs", agent_id=agent_id)["lines"])
               for agent_id in agents]
        return all(told or state["state"] == "ended" for state, told in zip(states, has)) and states

    states = until(settled, what="each has it or has ended")
    ended = [state for state in states if state["state"] == "ended"]
    assert len(agents) - len(ended) <= 2
    assert refused + len(ended) >= 3
    assert {state["reason"] for state in ended} <= {"out_of_memory"}, ended
    assert memory_peak(folder) <= 256 * MIB
    assert b.inspect(other)["agent"]["state"] == "running"
    assert a.inspect(first)["agent"]["state"] == "running"


def test_where_the_total_is_in_use_no_agent_more_is_begun(a, b, total):
    total(memory_mb=128)
    agent_id = a.spawn(ALLOCATE.format(115), resource_limits={"memory_mb": 500})
    a.until_output(agent_id, "have it")
    assert busy(a.refused()) == ('total.memory_mb of one user by the rule "limited"', 128)
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    assert b.run("echo well").stdout == b"well\n"
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert a.run("echo well").stdout == b"well\n"


def test_agents_together_get_no_more_tasks_than_the_total(a, b, total):
    """caged-init of each is one, and so is a gate."""
    total(max_processes=30)
    first = a.spawn(FORK, resource_limits={"max_processes": 15})
    a.until_output(first, "full")
    pids = file_of(a, first, "total.max_processes").parent / "pids.current"
    assert number(pids) == 16
    second = a.spawn(FORK, resource_limits={"max_processes": 500})
    a.until_output(second, "full")
    assert number(pids) <= 30
    assert busy(a.refused()) == ('total.max_processes of one user by the rule "limited"', 30)
    assert number(pids) <= 30
    other = b.spawn(FORK, resource_limits={"max_processes": 60})
    b.until_output(other, "full")
    assert b.inspect(other)["agent"]["state"] == "running"


def test_agents_of_few_tasks_add_up_as_well(a, total):
    total(max_processes=12)
    folder = str(a.user.folder("few-tasks"))
    ids = []
    with pytest.raises(VarlinkError) as error:
        for _ in range(12):
            card = a.card("exec sleep 600", workspace=folder)
            a.daemon.spawn(a.user, card)
            ids.append(card["agent_id"])
    assert busy(error.value) == ('total.max_processes of one user by the rule "limited"', 12)
    assert len(ids) == 5
    pids = file_of(a, ids[0], "total.max_processes").parent / "pids.current"
    assert number(pids) == 10


def test_a_gate_over_the_total_of_tasks_is_not_started(a, total):
    """Its agent has no network then, and the log says why."""
    total(max_processes=10)
    agent_id = a.spawn("until [ -e go ]; do sleep 0.1; done; " + FORK.replace(
        'print("full", flush=True)',
        'print("full", flush=True)\nimport socket\n'
        'socket.create_connection((os.environ["http_proxy"].split("/")[2].split(":")[0], 3128))'))
    pids = file_of(a, agent_id, "total.max_processes").parent / "pids.current"
    (Path(a.inspect(agent_id)["agent"]["workspace"]) / "go").touch()
    a.until_output(agent_id, "full")
    a.daemon.log_lines(agent_id, "it was not started: total.max_processes of its agent's owner is reached")
    assert number(pids) <= 10
    assert "gate_pid" not in a.inspect(agent_id)["network"]


def test_another_policy_changes_the_total_of_agents_that_run(a, total):
    total(memory_mb=100, max_processes=20)
    agent_id = a.spawn("sleep 600")
    memory, tasks = (file_of(a, agent_id, limit)
                     for limit in ("total.memory_mb", "total.max_processes"))
    for more in (300, 70, 4000):
        total(memory_mb=more, max_processes=more)
        assert number(memory) == more * MIB and number(tasks) == more
        for limit in totals(a, agent_id).values():
            assert Path(limit["file"]).read_text().strip() == limit["written"], limit
    total()
    assert totals(a, agent_id) == {}
    assert tasks.read_text() == "max\n"
    assert memory.read_text() == "max\n" or number(memory) > 1 << 60
    total(memory_percent=50)
    assert "total.memory_percent" in totals(a, agent_id)


def test_a_total_below_what_is_in_use_ends_nobody_and_lets_nothing_more_be_had(a, total):
    small = a.spawn("sleep 600")
    big = a.spawn("exec python3 -c 'x = b\"x\" * (150 << 20); print(\"have it\", flush=True)\n"
                  "import os, time\nwhile not os.path.exists(\"go\"): time.sleep(0.02)\n"
                  "y = b\"y\" * (100 << 20); print(\"more\", flush=True)'",
                  resource_limits={"memory_mb": 1000})
    a.until_output(big, "have it")
    total(memory_mb=64, max_processes=3)
    memory = file_of(a, big, "total.memory_mb")
    assert 150 * MIB < number(memory) < 200 * MIB
    assert number(file_of(a, big, "total.max_processes")) == 3
    assert a.refused().name == "Busy"
    for agent_id in (small, big):
        assert a.inspect(agent_id)["agent"]["state"] == "running"
    (Path(a.inspect(big)["agent"]["workspace"]) / "go").touch()
    ended = a.wait(big)
    assert ended["reason"] == "out_of_memory" and b"more" not in a.output(big)[0]
    until(lambda: number(memory) == 64 * MIB, what="the total is in force when it can be")
    assert a.inspect(small)["agent"]["state"] == "running"


def test_files_that_are_kept_for_speed_do_not_stand_in_the_way_of_a_total(a, total):
    """They count as memory in use; the kernel drops them, step by step."""
    agent_id = a.spawn("head -c 150M /dev/zero > big; sync big; cat big > /dev/null; echo read; sleep 600",
                       resource_limits={"memory_mb": 1000})
    a.until_output(agent_id, "read")
    total(memory_mb=1000)
    in_use = file_of(a, agent_id, "total.memory_mb").parent
    in_use /= "memory.current" if (in_use / "memory.current").exists() else "memory.usage_in_bytes"
    assert number(in_use) > 140 * MIB
    total(memory_mb=64)
    memory = file_of(a, agent_id, "total.memory_mb")
    until(lambda: number(memory) == 64 * MIB, what="the total is in force")
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    assert a.run("echo well").stdout == b"well\n"


def test_the_folder_of_an_owner_goes_with_its_last_agent_and_comes_with_its_total(a, total):
    total(memory_mb=100)
    for _ in range(3):
        agent_id = a.spawn("sleep 600")
        memory = file_of(a, agent_id, "total.memory_mb")
        assert number(memory) == 100 * MIB
        a.call("Kill", agent_id=agent_id)
        a.wait(agent_id)
        until(lambda: not memory.parent.exists(), what="nothing of the owner's is left")
    total(max_processes=1)  # too few for any agent
    assert busy(a.refused()) == ('total.max_processes of one user by the rule "limited"', 1)
    assert not memory.parent.exists()


GIVE_AWAY = """python3 -c '
import array, os, socket
memory = os.memfd_create("given")
for _ in range(80):
    os.write(memory, bytes(1 << 20))
friend = socket.socket(socket.AF_UNIX)
friend.connect("/workspace/socket")
friend.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
friend.recv(1)
'"""


def test_memory_that_an_agent_gave_away_counts_until_it_is_let_go(a, b, total):
    """Else any number of agents, one after the other, could leave their user as much as the total each."""
    total(memory_mb=90)
    card = a.card(GIVE_AWAY)
    with socket.socket(socket.AF_UNIX) as listener:
        with acting_as(a.user):
            listener.bind(card["workspace"] + "/socket")
        listener.listen()
        listener.settimeout(PATIENCE)
        a.daemon.spawn(a.user, card)
        folder = file_of(a, card["agent_id"], "total.memory_mb").parent
        friend, _ = listener.accept()
        with friend:
            _, (memory,), _, _ = socket.recv_fds(friend, 1, 1)
            friend.send(b"x")
    try:
        assert a.wait(card["agent_id"])["exit_status"] == 0
        assert busy(a.refused()) == ('total.memory_mb of one user by the rule "limited"', 90)
        done = a.cagectl("spawn", a.cards.write(a.card("true")))  # there is no agent that could be ended
        assert done.status == 75 and "or processes that hold memory which agents gave them" in done.errors, done
        assert b.run("echo well").stdout == b"well\n"
    finally:
        os.close(memory)
    until(lambda: not folder.exists(), what="nothing of the owner's is left")
    assert a.run("echo well").stdout == b"well\n"
