"""The limits of a card on cgroup v2: each is met by a process in the cage that runs into it."""

import pytest

from harness.limits import ALLOCATE, MIB, refused, until_it_says, value

every_kernel = pytest.mark.every_kernel  # where kernels differ, or did


def has_events_at_the_limit(machine):
    """Whether a refused task is counted where the limit is, and not where the task was to be."""
    return tuple(map(int, machine.version.split("."))) >= (6, 11)


def folder_of(caged, agent_id):
    return caged.inspect(agent_id)["cgroups"][0]


def wait(caged, agent_id, timeout=60):
    """How the agent ended."""
    caged.cagectl("wait", agent_id, check=False, timeout=timeout)
    return caged.inspect(agent_id)["agent"]


# -- what is written --

@every_kernel
def test_inspect_tells_each_limit_and_its_file_holds_it(caged, machine):
    limits = {"memory_mb": 128, "memory_high_mb": 100, "swap_mb": 7, "cpu_shares": 2048,
              "cpu_quota_percent": 150, "io_read_bps": 50 * MIB, "io_write_bps": 40 * MIB,
              "io_read_iops": 3000, "io_write_iops": 2000, "max_processes": 44}
    agent_id = caged.spawn("sleep 600", resource_limits=limits)
    inspected = caged.inspect(agent_id)
    assert {name: inspected["card"]["resource_limits"][name] for name in limits} == limits
    by_name = {limit["limit"]: limit for limit in inspected["limits"]}
    assert {name: by_name[name]["value"] for name in limits} == limits
    disk = machine.output('cat /sys/dev/block/$(mountpoint -d /)/dev')
    wanted = {"memory.max": str(128 * MIB), "memory.high": str(100 * MIB), "memory.oom.group": "1",
              "memory.swap.max": str(7 * MIB), "cpu.weight": "200", "cpu.max": "150000 100000",
              "pids.max": "45",
              "io.max": f"{disk} rbps={50 * MIB} wbps={40 * MIB} riops=3000 wiops=2000"}
    folder = inspected["cgroups"][0]
    assert {file: machine.output(["cat", f"{folder}/{file}"]) for file in wanted} == wanted
    its, owners = ([limit for limit in inspected["limits"] if limit["file"].startswith(f"{folder}/") == own]
                   for own in (True, False))
    for limit in its:
        name = limit["file"].removeprefix(f"{folder}/")
        assert set(limit["written"].split()) <= set(wanted[name].split()), limit
    # Of the shipped policy, for all of its owner's agents together.
    assert {limit["file"] for limit in owners} >= {f"{folder.rsplit('/', 1)[0]}/memory.max"}
    for limit in owners:
        held = machine.output(["cat", limit["file"]])
        assert held == limit["written"] or 0 <= int(limit["written"]) - int(held) < 4096, limit


# -- memory --

@every_kernel
def test_a_full_memory_ends_the_whole_agent(caged, machine):
    """The one that allocates is a child: what runs beside it is killed with it."""
    agent_id = caged.spawn(ALLOCATE.format(200) + " & sleep 600", resource_limits={"memory_mb": 64})
    ended = wait(caged, agent_id)
    assert ended["reason"] == "out_of_memory", ended


@every_kernel
def test_memory_of_an_owner_that_is_full_is_the_reason_too(caged, machine):
    """The limit is above the agent's own folder."""
    agent_id = caged.spawn("until [ -e go ]; do sleep 0.1; done; " + ALLOCATE.format(200) +
                           " & sleep 600", resource_limits={"memory_mb": 1024})
    folder = folder_of(caged, agent_id)
    machine.write(f"{folder}/../memory.max", str(96 * MIB))
    machine.run(["touch", caged.inspect(agent_id)["card"]["workspace"] + "/go"])
    ended = wait(caged, agent_id)
    assert ended["reason"] == "out_of_memory", ended


@pytest.fixture
def swap(machine):
    machine.run("fallocate -l 192M /swap; chmod 600 /swap; "
                "mkswap -q /swap; swapon /swap", timeout=120)


def test_without_swap_mb_an_agent_does_not_swap(caged, machine, swap):
    agent_id = caged.spawn(ALLOCATE.format(100), resource_limits={"memory_mb": 64})
    ended = wait(caged, agent_id)
    assert ended["reason"] == "out_of_memory", ended
    assert "have it" not in caged.cagectl("logs", agent_id).text


@every_kernel
def test_swap_mb_lets_an_agent_swap_so_much(caged, machine, swap):
    agent_id = caged.spawn(ALLOCATE.format(100), resource_limits={"memory_mb": 64, "swap_mb": 80})
    until_it_says(caged, agent_id, "have it")
    swapped = value(machine, f"{folder_of(caged, agent_id)}/memory.swap.current")
    assert 30 * MIB < swapped <= 80 * MIB
    more = caged.spawn(ALLOCATE.format(200), resource_limits={"memory_mb": 64, "swap_mb": 80})
    assert wait(caged, more, timeout=120)["reason"] == "out_of_memory"


@every_kernel
def test_above_the_threshold_an_agent_is_slowed_down_and_not_killed(caged, machine):
    """Files that it wrote leave its memory; it goes on."""
    agent_id = caged.spawn("dd if=/dev/zero of=big bs=1M count=100 status=none && echo written; "
                           "sleep 600", resource_limits={"memory_mb": 512, "memory_high_mb": 48})
    until_it_says(caged, agent_id, "written")
    folder = folder_of(caged, agent_id)
    assert value(machine, f"{folder}/memory.events", "high") > 0
    assert value(machine, f"{folder}/memory.events", "max") == 0
    assert value(machine, f"{folder}/memory.events", "oom_kill") == 0
    assert value(machine, f"{folder}/memory.current") < 64 * MIB


# -- the processors --

SPIN = "exec taskset -c 0 sh -c 'while :; do :; done'"


def used(machine, folders, seconds):
    """The processor time that each of the cgroups got, as a part of that time."""
    script = ('look() { date +%s%N; for f; do sed -n "s/^usage_usec //p" "$f/cpu.stat"; done; }; '
              'seconds=$1; shift; look "$@"; sleep "$seconds"; look "$@"')
    lines = [int(line) for line in machine.run(script, words=(seconds, *folders)).lines]
    half = len(lines) // 2
    start, *before = lines[:half]
    end, *after = lines[half:]
    return [(b - a) * 1000 / (end - start) for a, b in zip(before, after)]


def test_agents_share_a_processor_by_their_shares(caged, machine):
    agents = [caged.spawn(SPIN, resource_limits={"cpu_shares": shares}) for shares in (4096, 1024)]
    much, little = used(machine, [folder_of(caged, agent) for agent in agents], 4)
    assert much + little > 0.5, (much, little)
    assert 2.5 < much / little < 6.5, (much, little)


@every_kernel
def test_a_quota_of_processor_time_is_kept(caged, machine):
    agent_id = caged.spawn(SPIN, resource_limits={"cpu_quota_percent": 20})
    folder = folder_of(caged, agent_id)
    part, = used(machine, [folder], 3)
    assert 0.1 < part < 0.3
    assert value(machine, f"{folder}/cpu.stat", "nr_throttled") > 10


def test_an_agent_with_a_small_quota_ends_at_once_when_killed(caged, machine):
    """Giving back its memory would take it many times as long."""
    agent_id = caged.spawn(ALLOCATE.format(400),
                           resource_limits={"cpu_quota_percent": 400, "memory_mb": 600})
    until_it_says(caged, agent_id, "have it")
    machine.write(f"{folder_of(caged, agent_id)}/cpu.max", "1000 100000")
    caged.cagectl("kill", agent_id)
    assert wait(caged, agent_id, timeout=6)["reason"] == "killed"


# -- tasks --

FORK = """exec python3 -c '
import errno, os, sys, time
for i in range(60):
    try:
        os.fork() or (time.sleep(600), os._exit(0))
    except OSError as e:
        print(i, errno.errorcode[e.errno], flush=True)
        sys.exit(5)
'"""


@every_kernel
def test_a_fork_too_many_fails_and_is_the_reason(caged, machine):
    agent_id = caged.spawn(FORK, resource_limits={"max_processes": 20})
    ended = wait(caged, agent_id)
    assert (ended["reason"], ended["exit_status"]) == ("tasks_limit", 5), ended
    assert caged.cagectl("logs", agent_id).text == "19 EAGAIN\n"


def test_an_agent_that_failed_for_another_reason_just_exited(caged, machine):
    agent_id = caged.spawn("exit 5", resource_limits={"max_processes": 20})
    ended = wait(caged, agent_id)
    assert (ended["reason"], ended["exit_status"]) == ("exited", 5), ended


@every_kernel
def test_an_owners_limit_of_tasks_is_the_reason_where_the_kernel_tells_it(caged, machine):
    """Before Linux 6.11 a refused task is counted where it was to be, then where the limit is, and
    that limit is shared: it may have been another agent's task."""
    agent_id = caged.spawn("until [ -e go ]; do sleep 0.1; done; " + FORK,
                           resource_limits={"max_processes": 50})
    machine.write(f"{folder_of(caged, agent_id)}/../pids.max", "12")
    machine.run(["touch", caged.inspect(agent_id)["card"]["workspace"] + "/go"])
    ended = wait(caged, agent_id)
    reason = "exited" if has_events_at_the_limit(machine) else "tasks_limit"
    assert (ended["reason"], ended["exit_status"]) == (reason, 5), ended


# -- the disk --

WRITE = "dd if=/dev/zero of=file bs={0} count={1} oflag=direct status=none"
READ = "dd if=file of=/dev/null bs={0} count={1} iflag=direct status=none"


def seconds_of(caged, command, **limits):
    """How long a command takes in a cage; the file that it reads is there before."""
    script = ("import subprocess, sys, time\nstart = time.monotonic()\n"
              "subprocess.run(sys.argv[1], shell=True, check=True)\nprint(time.monotonic() - start)")
    workspace = caged.workspace("alice")
    caged.guest.run(f"cd {workspace} && {WRITE.format('1M', 8)} && chown alice: file")
    card = caged.card(workspace=workspace, resource_limits=limits,
                      command=["/usr/bin/python3", "-c", script, command])
    return float(caged.cagectl("run", caged.write_card(card), timeout=90).text)


@pytest.mark.parametrize("limit, number, command, size, count", [
    ("io_write_bps", MIB, WRITE, "256k", 16), ("io_read_bps", MIB, READ, "256k", 16),
    ("io_write_iops", 100, WRITE, "4k", 400), ("io_read_iops", 100, READ, "4k", 400)])
def test_the_disk_takes_as_long_as_the_limit_says(caged, machine, limit, number, command, size,
                                                  count):
    """Four seconds' worth, less what the first moment lets through; in no time without the limit."""
    command = command.format(size, count)
    free, limited = seconds_of(caged, command), seconds_of(caged, command, **{limit: number})
    assert 3 < limited < 20, (free, limited)
    assert free < limited / 2, (free, limited)


def test_other_operations_of_the_disk_are_not_held_up(caged, machine):
    assert seconds_of(caged, READ.format("256k", 16), io_write_bps=MIB) < 2


@every_kernel
def test_an_agent_that_waits_for_its_slow_disk_ends_at_once_when_killed(caged, machine):
    """A minute's worth of writes is on its way: they are let go."""
    agent_id = caged.spawn("echo go; " + WRITE.format("64M", 1), resource_limits={"io_write_bps": MIB})
    until_it_says(caged, agent_id, "go")
    machine.until(f"grep -q wbytes= {folder_of(caged, agent_id)}/io.stat", what="it writes")
    caged.cagectl("kill", agent_id)
    assert wait(caged, agent_id, timeout=15)["reason"] == "killed"


def test_what_a_slow_agent_wrote_last_holds_nobody_up_after_its_end(caged, machine):
    agent_id = caged.spawn("dd if=/dev/zero of=file bs=1M count=48 status=none",
                           resource_limits={"io_write_bps": MIB, "memory_mb": 512})
    assert wait(caged, agent_id, timeout=120)["reason"] == "exited"
    start, end = machine.run("date +%s; timeout 60 sync; date +%s", timeout=70).lines
    assert int(end) - int(start) < 15


@every_kernel
def test_a_partition_is_limited_by_its_whole_disk(caged, machine):
    """io.max takes whole disks alone; one partition of type 83 begins at sector 2048."""
    machine.run("""set -e
truncate -s 64M /disk
python3 -c 'import struct; f = open("/disk", "r+b"); f.seek(446)
f.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, 129024)); f.seek(510); f.write(b"\\x55\\xaa")'
loop=$(losetup --find --show --partscan /disk)
udevadm settle
mkfs.ext4 -q ${loop}p1
mkdir /disk-1 && mount ${loop}p1 /disk-1
chown alice:alice /disk-1""", timeout=60)
    number = machine.output("cat $(echo /sys/class/block/$(basename $(losetup -j /disk -n -O NAME)))/dev")
    assert machine.output("mountpoint -d /disk-1") != number
    agent_id = caged.spawn("sleep 600", workspace="/disk-1", resource_limits={"io_write_bps": MIB})
    folder = folder_of(caged, agent_id)
    assert machine.output(["cat", f"{folder}/io.max"]).startswith(f"{number} rbps=max wbps={MIB} ")
    written = [limit["written"] for limit in caged.inspect(agent_id)["limits"]
               if limit["limit"] == "io_write_bps"]
    assert written == [f"{number} wbps={MIB}"]


def test_a_workspace_on_no_disk_cannot_be_limited_by_it(caged, machine):
    machine.run("mkdir /on-tmpfs && mount -t tmpfs none /on-tmpfs && chown alice:alice /on-tmpfs")
    told = refused(caged, workspace="/on-tmpfs", resource_limits={"io_read_iops": 100})
    assert "io_read_iops cannot be enforced" in told and "anonymous" in told


def test_a_weight_that_nothing_heeds_is_refused(caged, machine):
    machine.run("echo none > /sys/dev/block/$(mountpoint -d /)/queue/scheduler")
    told = refused(caged, resource_limits={"io_weight": 50})
    assert "io_weight cannot be enforced" in told and "bfq" in told


def test_a_weight_is_written_where_io_cost_heeds_it(caged, machine):
    disk = machine.output("mountpoint -d /")
    machine.write("/sys/fs/cgroup/io.cost.qos", f"{disk} enable=1")
    agent_id = caged.spawn("sleep 600", resource_limits={"io_weight": 5000})
    assert machine.output(["cat", f"{folder_of(caged, agent_id)}/io.weight"]) == "default 5000"
    assert "io_weight" in [limit["limit"] for limit in caged.inspect(agent_id)["limits"]]


def test_agents_share_a_disk_by_their_weights(caged, machine):
    machine.run("modprobe bfq; echo bfq > /sys/dev/block/$(mountpoint -d /)/queue/scheduler")
    folders = []
    for weight in (800, 100):
        workspace = caged.workspace("alice")
        machine.run(f"cd {workspace} && {WRITE.format('1M', 32)} && chown alice: file")
        agent_id = caged.spawn("while :; do " + READ.format("64k", 512) + "; done",
                               workspace=workspace, resource_limits={"io_weight": weight})
        folders.append(folder_of(caged, agent_id))
        assert machine.output(["cat", f"{folders[-1]}/io.bfq.weight"]).endswith(str(weight))
    script = ('look() { for f; do sed -n "s/.*rbytes=\\([0-9]*\\).*/\\1/p" "$f/io.stat" | head -1; done; }; '
              'look "$@"; sleep 4; look "$@"')
    a, b, c, d = map(int, machine.run(script, words=folders).lines)
    assert c - a > 2 * (d - b) > 0, (c - a, d - b)
