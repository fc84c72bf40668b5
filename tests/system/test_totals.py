"""The total of a user's agents on cgroup v2: of memory, of swap as much, and of tasks."""

import json
import re

import pytest

from harness.limits import ALLOCATE, MIB, refused, until_it_says, value

every_kernel = pytest.mark.every_kernel
FORK = """exec python3 -c '
import os, time
try:
    for _ in range(100):
        os.fork() or (time.sleep(600), os._exit(0))
except OSError:
    print("full", flush=True)
time.sleep(600)
'"""


@pytest.fixture
def total(machine, caged):
    """Puts a total for alice in force."""
    def change(**keys):
        machine.write("/etc/caged/policy.json", json.dumps({"rules": [
            {"name": "limited", "users": ["alice"], "total": keys},
            {"name": "members", "groups": ["caged"]}]}))
        machine.systemctl("start", "cagedd.service")  # it reads the policy; then it is told to
        caged.cagectl("policy", "reload", user="root")
    return change


def owner_of(caged, agent_id):
    return caged.inspect(agent_id)["cgroups"][0].rpartition("/")[0]


@every_kernel
def test_inspect_tells_the_total_and_its_files_hold_it(caged, machine, total):
    total(memory_mb=300, max_processes=40)
    agent_id = caged.spawn("sleep 600")
    folder = owner_of(caged, agent_id)
    assert folder.endswith(f"/owner-{machine.output('id -u alice')}")
    told = {limit["limit"]: limit for limit in caged.inspect(agent_id)["limits"]
            if limit["limit"].startswith("total.")}
    wanted = {"total.memory_mb": ("memory.max", str(300 * MIB)),
              "total.memory_mb (swap)": ("memory.swap.max", str(300 * MIB)),
              "total.max_processes": ("pids.max", "40")}
    assert {name: (limit["file"].removeprefix(f"{folder}/"), limit["written"])
            for name, limit in told.items()} == wanted
    for limit in told.values():
        assert machine.output(["cat", limit["file"]]) == limit["written"]
    total(memory_percent=50)  # of what the daemon's sandbox lets it know
    host = int(re.search(r"^MemTotal: +(\d+)", machine.output("cat /proc/meminfo"), re.M)[1]) << 10
    assert host // 2 - 2 * MIB < value(machine, f"{folder}/memory.max") <= host // 2
    total()
    assert machine.output(f"cat {folder}/memory.max {folder}/memory.swap.max {folder}/pids.max") == \
        "max\nmax\nmax"


@every_kernel
def test_agents_together_get_no_more_than_the_total(caged, machine, total):
    machine.run("fallocate -l 192M /swap; chmod 600 /swap; mkswap -q /swap; swapon /swap", timeout=120)
    total(memory_mb=160)
    limits = {"memory_mb": 100}
    kept = caged.spawn("sleep 600")
    folder = owner_of(caged, kept)
    first = caged.spawn(ALLOCATE.format(80), resource_limits=limits)
    until_it_says(caged, first, "have it")
    second = caged.spawn("until [ -e go ]; do sleep 0.1; done; " + ALLOCATE.format(90) + " & sleep 600",
                         resource_limits=limits)
    machine.run(["touch", caged.inspect(second)["card"]["workspace"] + "/go"])
    machine.until(f"grep -qE '^oom_kill [1-9]' {folder}/memory.events", timeout=120,
                  what="the total ends one")
    machine.until("[ $(runuser -u alice -- cagectl list | grep -c running) = 2 ]", timeout=60,
                  what="all of that agent has ended")
    ended = [caged.inspect(agent)["agent"] for agent in (first, second)]
    assert [agent["reason"] for agent in ended if agent["state"] == "ended"] == ["out_of_memory"]
    assert value(machine, f"{folder}/memory.swap.current") == 0
    assert value(machine, f"{folder}/memory.current") <= 160 * MIB
    assert caged.inspect(kept)["agent"]["state"] == "running"
    assert caged.run("echo well", user="bob").text == "well\n"


@every_kernel
def test_swap_is_for_cards_that_ask_for_it_and_as_much_as_the_total_for_all(caged, machine, total):
    machine.run("fallocate -l 256M /swap; chmod 600 /swap; mkswap -q /swap; swapon /swap", timeout=120)
    total(memory_mb=64)
    limits = {"memory_mb": 64, "swap_mb": 200}
    within = caged.spawn(ALLOCATE.format(90), resource_limits=limits)
    until_it_says(caged, within, "have it")
    assert 20 * MIB < value(machine, f"{owner_of(caged, within)}/memory.swap.current") <= 64 * MIB
    caged.cagectl("kill", within)
    beyond = caged.spawn(ALLOCATE.format(160), resource_limits=limits)
    caged.cagectl("wait", beyond, check=False, timeout=120)
    assert caged.inspect(beyond)["agent"]["reason"] == "out_of_memory"


@every_kernel
def test_agents_together_get_no_more_tasks_than_the_total(caged, machine, total):
    total(max_processes=24)
    first = caged.spawn(FORK, resource_limits={"max_processes": 10})
    until_it_says(caged, first, "full")
    second = caged.spawn(FORK, resource_limits={"max_processes": 400})
    until_it_says(caged, second, "full")
    folder = owner_of(caged, first)
    assert value(machine, f"{folder}/pids.current") == 24
    assert "total.max_processes" in refused(caged) and value(machine, f"{folder}/pids.current") == 24
    assert caged.run("echo well", user="bob").text == "well\n"


@every_kernel
def test_a_total_below_what_is_in_use_ends_nobody(caged, machine, total):
    """What an agent has it keeps, and gets no more; files that are kept for speed alone are dropped."""
    total(memory_mb=1000)
    agent_id = caged.spawn("head -c 100M /dev/zero > big; sync big; cat big > /dev/null; " +
                           "exec " + ALLOCATE.format(60), resource_limits={"memory_mb": 800})
    until_it_says(caged, agent_id, "have it", timeout=120)
    folder = owner_of(caged, agent_id)
    before = value(machine, f"{folder}/memory.current")
    assert before > 150 * MIB
    total(memory_mb=40)
    machine.until(f"[ $(cat {folder}/memory.max) -lt {110 * MIB} ]", timeout=60,
                  what="the files are dropped")
    assert value(machine, f"{folder}/memory.max") > 60 * MIB
    assert value(machine, f"{folder}/memory.events", "oom_kill") == 0
    assert "total.memory_mb" in refused(caged)
    assert caged.inspect(agent_id)["agent"]["state"] == "running"
    caged.cagectl("kill", agent_id)
    machine.until(f"[ ! -e {folder} ]", what="it has ended")
    again = caged.spawn("sleep 600")
    assert value(machine, f"{owner_of(caged, again)}/memory.max") == 40 * MIB


FRIEND = """exec python3 -c '
import os, socket, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("WORKSPACE/socket")
listener.listen()
friend, _ = listener.accept()
_, fds, _, _ = socket.recv_fds(friend, 1, 1)
friend.send(b"x")
open("WORKSPACE/has-it", "w").close()
time.sleep(600)
'"""
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


@every_kernel
def test_memory_that_an_agent_gave_away_counts_until_it_is_let_go(caged, machine, total):
    total(memory_mb=90)
    card = caged.card(GIVE_AWAY)
    friend = machine.start_command(FRIEND.replace("WORKSPACE", card["workspace"]), user="alice")
    machine.until(["test", "-S", card["workspace"] + "/socket"])
    caged.cagectl("run", caged.write_card(card))
    machine.until(["test", "-e", card["workspace"] + "/has-it"])
    assert 'total.memory_mb of one user by the rule "limited"' in refused(caged)
    friend.signal(15)
    friend.wait(check=False)
    machine.until("! find /sys/fs/cgroup -name owner-$(id -u alice) | grep -q .", timeout=60,
                  what="nothing of the owner's is left")
    assert caged.run("echo well").text == "well\n"
