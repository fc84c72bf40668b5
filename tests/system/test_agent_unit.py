"""systemctl start caged-agent@ID: the agent as a service. Its processes are the unit's, so the unit's
limits hold them; how it ends is the unit's result, so Restart= acts by it."""

import json
import signal
import time

import pytest
from harness.agent_unit import AgentUnit

WAIT = "while :; do sleep 0.2; done"
ONCE = "Restart=no"
SOON = ("Restart=on-failure", "RestartSec=100ms")

# Says SIGTERM in a file, and ends by it in good order.
GENTLE = "trap 'echo term >/workspace/term; exit 0' TERM; touch /workspace/ready; " + WAIT
STUBBORN = "trap '' TERM; touch /workspace/ready; " + WAIT


@pytest.fixture
def unit(machine, caged):
    return AgentUnit(machine, caged)


# -- where it is, and what systemd is told --


@pytest.mark.every_kernel
def test_the_agents_processes_are_in_the_units_cgroup(machine, unit):
    unit.start(f"touch /workspace/ready; sleep 1234 & {WAIT}")
    unit.wait_file("ready")
    agent = unit.agent()
    assert agent["unit"] == unit.name and agent["state"] == "running"
    path = machine.output(f"cat /proc/{agent['pid']}/cgroup")
    assert path == f"0::/caged.slice/{unit.name}/agent-alpha"
    for command in (f"systemctl --no-pager --full status {unit.name}",
                    f"systemd-cgls --no-pager --full -u {unit.name}"):
        text = machine.output(command)
        assert "agent-alpha" in text and "sleep 1234" in text and "cagectl service" in text, text
    main = unit.show("MainPID")
    assert machine.output(f"cat /proc/{main}/cgroup") == f"0::/caged.slice/{unit.name}/supervisor"
    assert int(unit.show("TasksCurrent")) >= 4
    inspected = unit.caged.cagectl("inspect", "-j", "alpha", user=None).json()
    assert inspected["cgroups"] == [f"{unit.folder}/agent-alpha"]
    assert all(limit["file"].startswith(unit.folder + "/agent-alpha/")
               for limit in inspected["limits"])
    unit.stop()
    machine.run(f"! test -e {unit.folder}")


def test_the_unit_is_active_when_the_agent_runs_and_says_how_it_is(unit):
    unit.start("sleep 0.2; " + WAIT, ttl_seconds=3000)
    shown = unit.show("ActiveState", "SubState", "StatusText", "Type")
    assert (shown["ActiveState"], shown["SubState"]) == ("active", "running")
    assert shown["StatusText"].startswith(f"running, pid {unit.agent()['pid']}, 49m ")
    assert shown["StatusText"].endswith("s left")


def test_a_command_that_cannot_start_fails_the_start(unit):
    unit.card(None, command=["/no/such/program"])
    unit.drop_in(ONCE)
    assert unit.start(check=False).status != 0
    assert unit.show("Result") == "exit-code" and unit.show("ExecMainStatus") == "71"
    assert "/no/such/program" in unit.said()
    status = unit.show("StatusText")
    assert status.startswith("not started: ") and "/no/such/program" in status


def test_the_journal_has_nothing_of_the_output_from_the_client(machine, unit):
    """The daemon writes it there, once."""
    unit.drop_in(ONCE)
    unit.start("echo some words; exit 0")
    unit.wait_state("inactive")
    lines = [entry for entry in machine.journal() if entry.get("MESSAGE") == "some words"]
    assert [entry["SYSLOG_IDENTIFIER"] for entry in lines] == ["caged-agent"]


def test_journalctl_of_the_unit_shows_the_agent_the_daemon_and_the_client(machine, unit):
    unit.drop_in(ONCE)
    unit.start("echo some words; exit 3", check=False)
    unit.wait_state("failed")
    text = machine.output(f"journalctl --sync; journalctl --no-pager -u {unit.name}")
    for told in ("some words", "agent alpha of uid 0 runs in", "agent alpha of uid 0 ended",
                 "Main process exited"):
        assert told in text, text


def test_more_output_than_the_daemon_keeps_holds_nothing_up(unit):
    """Nobody reads it by Logs: so it must not wait for a reader as `cagectl run` has it."""
    unit.drop_in(ONCE)
    unit.start("head -c 5000000 /dev/zero | tr '\\0' x | fold -w 1000; touch /workspace/written")
    unit.wait_file("written", timeout=60)
    unit.wait_state("inactive")
    assert unit.show("Result") == "success"


# -- drop-ins, on top of the card --


def python(text):
    """A script that runs this Python in a cage, and exits as it does."""
    return f"exec python3 - <<'END'\n{text}\nEND"


@pytest.mark.every_kernel
def test_memory_max_of_the_unit_ends_the_agent_for_want_of_memory(machine, unit):
    unit.drop_in(ONCE, "MemoryMax=60M", "MemorySwapMax=0")
    unit.start(python("x = bytearray(b'1') * (200 << 20)"),
               resource_limits={"memory_mb": 1000})
    unit.wait_state("failed")
    assert unit.agent()["reason"] == "out_of_memory"
    shown = unit.show("Result", "ExecMainStatus", "StatusText")
    assert (shown["Result"], shown["ExecMainStatus"]) == ("exit-code", "137")
    assert shown["StatusText"].startswith("ended: out of memory")
    assert "agent alpha ended: out of memory" in unit.said()


@pytest.mark.every_kernel
def test_tasks_max_of_the_unit_is_met_by_the_agent(unit):
    unit.drop_in(ONCE, "TasksMax=12")
    unit.start(python("import os, sys, time\n"
                      "for n in range(100):\n"
                      "    try:\n"
                      "        if os.fork() == 0: time.sleep(60)\n"
                      "    except OSError:\n"
                      "        open('/workspace/forks', 'w').write(str(n))\n"
                      "        sys.exit(5)\n"))
    unit.wait_state("failed")
    assert 5 <= int(unit.wait_file("forks")) <= 11
    agent = unit.agent()
    assert (agent["reason"], agent["exit_status"]) == ("tasks_limit", 5)
    assert unit.show("ExecMainStatus") == "5"


def test_limits_of_the_disk_hold_in_the_unit(machine, unit):
    disk = machine.output("mountpoint -d /")
    machine.run(f"echo {disk} enable=1 > /sys/fs/cgroup/io.cost.qos")
    unit.start(WAIT, resource_limits={"io_weight": 300, "io_write_bps": 1 << 20})
    assert machine.output(f"cat {unit.folder}/agent-alpha/io.weight") == "default 300"
    assert f"{disk} rbps=max wbps=1048576 " in machine.output(f"cat {unit.folder}/agent-alpha/io.max")


def test_cpu_quota_of_the_unit_slows_the_agent_down(unit):
    unit.drop_in(ONCE, "CPUQuota=20%", "CPUQuotaPeriodSec=10ms")
    unit.start(python("import time\n"
                      "start, used = time.monotonic(), time.process_time()\n"
                      "while time.monotonic() - start < 3: pass\n"
                      "share = (time.process_time() - used) / (time.monotonic() - start)\n"
                      "open('/workspace/share', 'w').write(str(share))\n"))
    unit.wait_state("inactive", timeout=60)
    assert float(unit.wait_file("share")) < 0.4


def test_runtime_max_sec_of_the_unit_ends_the_agent_in_good_order(unit):
    unit.drop_in(ONCE, "RuntimeMaxSec=3")
    unit.start(GENTLE)
    unit.wait_file("term", timeout=30)
    unit.wait_state("failed")
    assert unit.show("Result") == "timeout" and unit.agent()["reason"] == "stopped"


def test_io_limits_of_the_unit_slow_the_agents_writes(machine, unit):
    device = machine.output("readlink -f /dev/block/$(mountpoint -d /)")
    unit.drop_in(ONCE, f"IOWriteBandwidthMax={device} 1M", "IOWeight=50")
    unit.start("dd if=/dev/zero of=/workspace/data bs=128k count=24 oflag=direct 2>/workspace/told")
    assert machine.output(f"cat {unit.folder}/io.weight").endswith("50")
    unit.wait_state("inactive", timeout=60)
    told = unit.wait_file("told")
    assert "3.0 MiB" in told and float(told.split("copied, ")[1].split(" s")[0]) > 2, told


def test_limits_of_the_disk_in_the_card_hold_in_a_unit_too(machine, unit):
    unit.start(f"touch /workspace/ready; {WAIT}", resource_limits={
        "io_write_bps": 1 << 20, "cpu_quota_percent": 50, "memory_high_mb": 100, "swap_mb": 5})
    unit.wait_file("ready")
    read = f"cat {unit.folder}/agent-alpha/"
    assert "wbps=1048576" in machine.output(read + "io.max")
    assert machine.output(read + "cpu.max").startswith("50000 100000")
    assert machine.output(read + "memory.high") == str(100 << 20)
    assert machine.output(read + "memory.swap.max") == str(5 << 20)


def test_addresses_that_the_unit_denies_are_the_agents_too(unit):
    """The man page says it of every option that acts by the cgroup; this one stands for them."""
    unit.drop_in(ONCE, "IPAddressDeny=any")
    unit.start(python("import socket, sys\n"
                      "server = socket.create_server(('127.0.0.1', 0))\n"
                      "try:\n"
                      "    socket.create_connection(server.getsockname(), timeout=2)\n"
                      "except OSError as error:\n"
                      "    sys.exit(7)\n"))
    unit.wait_state("failed")
    assert unit.show("ExecMainStatus") == "7"


def test_a_limit_that_is_set_later_holds_the_agent_too(machine, unit):
    """`systemctl set-property`, while it runs."""
    unit.drop_in(ONCE)
    unit.start("until [ -e /workspace/go ]; do sleep 0.1; done; " +
               python("x = bytearray(b'1') * (200 << 20)"), resource_limits={"memory_mb": 1000})
    machine.systemctl("set-property", "--runtime", unit.name, "MemoryMax=60M")
    machine.run(["touch", f"{unit.workspace}/go"])
    unit.wait_state("failed")
    assert unit.agent()["reason"] == "out_of_memory"


# -- how it ends --


@pytest.mark.parametrize("script, status", [
    ("exit 3", "3"), ("exit 124", "124"), ("exit 65", "65"), ("kill -9 $$", "137"),
    ("kill -15 $$", "143")])
def test_an_end_that_is_a_failure_is_the_units(unit, script, status):
    unit.drop_in(ONCE)
    unit.start(f"until [ -e /workspace/go ]; do sleep 0.1; done; {script}")
    unit.guest.run(["touch", f"{unit.workspace}/go"])
    unit.wait_state("failed")
    assert unit.show("ExecMainStatus", "ExecMainCode", "Result") == {
        "ExecMainStatus": status, "ExecMainCode": "1", "Result": "exit-code"}


def test_an_agent_that_is_done_is_not_started_again(unit):
    unit.drop_in(*SOON)
    unit.start("echo run >>/workspace/runs; exit 0")
    unit.wait_state("inactive")
    assert unit.show("Result", "NRestarts") == {"Result": "success", "NRestarts": "0"}
    assert unit.wait_file("runs") == "run\n"


@pytest.mark.parametrize("end", ["exit 3", "exit 124", "kill -9 $$", python(
    "x = bytearray(b'1') * (200 << 20)")], ids=["status", "124", "signal", "memory"])
def test_a_failure_starts_it_again_until_the_start_limit(unit, end):
    unit.drop_in(*SOON, "[Unit]", "StartLimitIntervalSec=10min", "StartLimitBurst=3")
    unit.start(f"echo run >>/workspace/runs; {end}", check=False,
               resource_limits={"memory_mb": 64})
    unit.wait_state("failed", timeout=60)
    assert unit.wait_file("runs") == "run\n" * 3
    assert "Start request repeated too quickly" in unit.said()


def test_a_time_to_live_that_is_over_leaves_it_stopped(unit):
    unit.drop_in(*SOON)
    unit.start("echo run >>/workspace/runs; " + GENTLE, ttl_seconds=3)
    unit.wait_state("inactive", timeout=40)
    shown = unit.show("Result", "NRestarts", "StatusText")
    assert (shown["Result"], shown["NRestarts"]) == ("success", "0")
    assert unit.agent()["reason"] == "ttl" and unit.wait_file("term") == "term\n"
    assert "its time to live was over" in unit.said()


def test_cagectl_stop_leaves_it_stopped_and_cagectl_kill_does_not(unit):
    unit.drop_in(*SOON)
    unit.start("echo run >>/workspace/runs; " + STUBBORN)
    unit.wait_file("ready")
    unit.caged.cagectl("kill", "alpha", user=None)
    unit.wait_count("runs", 2)
    unit.wait_state("active")
    unit.caged.cagectl("stop", "--grace", "0", "alpha", user=None)
    unit.wait_state("inactive")
    assert unit.show("Result") == "success" and unit.wait_file("runs") == "run\n" * 2


def test_systemctl_stop_lets_the_agent_end_in_good_order(unit):
    unit.start(GENTLE)
    unit.wait_file("ready")
    unit.stop()
    assert unit.wait_file("term") == "term\n"
    assert unit.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    agent = unit.agent()
    assert (agent["reason"], agent["exit_status"]) == ("stopped", 0)


def test_systemctl_stop_kills_what_ignores_sigterm_after_the_grace(machine, unit):
    command = machine.output(f"systemctl cat {unit.name} | sed -n 's/^ExecStart=//p'")
    unit.drop_in("ExecStart=", f"ExecStart={command.replace(' --id', ' --grace 4 --id')}")
    unit.start(STUBBORN)
    unit.wait_file("ready")
    start = time.monotonic()
    stopping = machine.start_command(["systemctl", "stop", unit.name], timeout=120)
    machine.until(f"systemctl show -P StatusText {unit.name} | grep -x stopping")
    assert unit.agent()["state"] == "stopping"
    stopping.wait(check=True)
    assert time.monotonic() - start >= 4
    assert unit.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert unit.agent()["reason"] == "stopped" and "exit_status" not in unit.agent()
    assert "planted_incomplete" not in unit.agent()  # caged-scan still got into the cgroup that was killed
    machine.run("! pgrep -x caged-init")


def test_a_grace_longer_than_the_units_own_time_is_waited_for(machine, unit):
    command = machine.output(f"systemctl cat {unit.name} | sed -n 's/^ExecStart=//p'")
    unit.drop_in("ExecStart=", f"ExecStart={command.replace(' --id', ' --grace 30 --id')}",
                 "TimeoutStopSec=1")
    unit.start("trap 'sleep 4; touch /workspace/late; exit 0' TERM; touch /workspace/ready; " + WAIT)
    unit.wait_file("ready")
    unit.stop()
    unit.wait_file("late")
    assert unit.show("Result") == "success"


def test_a_second_sigterm_kills_at_once(machine, unit):
    unit.drop_in(ONCE)
    unit.start(STUBBORN)
    unit.wait_file("ready")
    kill = ["systemctl", "kill", "--kill-whom=main", "-s", "TERM", unit.name]
    machine.run(kill)
    machine.until(f"systemctl show -P StatusText {unit.name} | grep -x stopping")
    start = time.monotonic()
    machine.run(kill)
    machine.until("! pgrep -x caged-init")
    assert time.monotonic() - start < 9
    unit.wait_state("inactive")


def test_other_signals_go_to_the_agent(machine, unit):
    unit.start(f"trap 'touch /workspace/usr1' USR1; touch /workspace/ready; {WAIT}")
    unit.wait_file("ready")
    machine.run(["systemctl", "kill", "--kill-whom=main", "-s", "USR1", unit.name])
    unit.wait_file("usr1")
    assert unit.show("ActiveState") == "active"


def test_a_killed_client_takes_the_agent_along_and_both_come_back(machine, unit):
    unit.drop_in(*SOON)
    unit.start("echo run >>/workspace/runs; touch /workspace/ready; " + WAIT)
    unit.wait_file("ready")
    first = unit.agent()
    machine.run(f"kill -9 {unit.show('MainPID')}")
    unit.wait_count("runs", 2)
    unit.wait_state("active")
    again = unit.agent()
    assert again["invocation_id"] != first["invocation_id"]
    machine.run(f"! kill -0 {first['pid']} 2>/dev/null")


def test_systemctl_reload_takes_over_the_hosts_of_the_card(machine, unit):
    unit.start(f"touch /workspace/ready; {WAIT}", allowed_hosts=["one.example"])
    unit.wait_file("ready")
    machine.run(f"sed -i s/one.example/two.example/ {unit.card_path}")
    machine.systemctl("reload", unit.name)
    inspected = unit.caged.cagectl("inspect", "-j", "alpha", user=None).json()
    assert inspected["network"]["allowed_hosts"] == ["two.example"]
    assert unit.show("ActiveState") == "active" and "alpha reloaded" in unit.said()


def test_systemctl_reload_takes_no_card_that_a_start_would_refuse(machine, caged, unit):
    other = AgentUnit(machine, caged, "beta")
    for each in (unit, other):
        each.start(f"touch /workspace/ready; {WAIT}", allowed_hosts=[f"{each.agent_id}.example"])
    machine.run(f"sed -i s/beta.example/evil.example/ {other.card_path}")
    machine.run(f"cp {other.card_path} {unit.card_path}")
    assert machine.systemctl("reload", unit.name, check=False).status != 0
    assert "$.agent_id: found 'beta', expected 'alpha'" in unit.said()
    machine.run(f"chown alice {other.card_path}")
    assert machine.systemctl("reload", other.name, check=False).status != 0
    assert "cannot be trusted" in other.said()
    inspected = caged.cagectl("inspect", "-j", "beta", user=None).json()
    assert inspected["network"]["allowed_hosts"] == ["beta.example"]


# -- the daemon --


def test_stopping_the_daemon_stops_the_unit_first(machine, unit):
    unit.start(GENTLE)
    unit.wait_file("ready")
    machine.systemctl("stop", "cagedd.service", timeout=90)
    assert unit.wait_file("term") == "term\n"
    assert unit.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_restarting_the_daemon_restarts_the_unit(machine, unit):
    unit.start("echo run >>/workspace/runs; " + GENTLE)
    unit.wait_file("ready")
    machine.systemctl("restart", "cagedd.service", timeout=90)
    unit.wait_count("runs", 2)
    unit.wait_state("active")
    assert unit.agent()["state"] == "running"


def test_a_daemon_that_dies_fails_the_unit_and_both_come_back(machine, unit):
    unit.drop_in(*SOON)
    unit.start("echo run >>/workspace/runs; touch /workspace/ready; " + WAIT)
    unit.wait_file("ready")
    daemon = machine.show("cagedd.service", "MainPID")
    machine.systemctl("kill", "-s", "KILL", "--kill-whom=main", "cagedd.service")
    unit.wait_count("runs", 2)
    unit.wait_state("active")
    assert machine.show("cagedd.service", "MainPID") != daemon
    assert unit.agent()["state"] == "running"
    assert "cagedd closed the connection" in unit.said() and "status=69" in unit.said()


# -- who may, and what is refused --


def service_as(machine, unit, *properties, leaf=True):
    """`cagectl service` in a transient unit; what it said, and its status."""
    words = " ".join(f"-p {each}" for each in properties)
    machine.run(f"systemd-run --quiet --wait --collect -p Type=notify {words} --unit probe "
                f"cagectl service {unit.card_path}", check=False, timeout=60)
    return "\n".join(str(entry["MESSAGE"]) for entry in machine.journal("_SYSTEMD_UNIT=probe.service"))


def test_a_users_unit_is_refused(machine, unit):
    unit.card("true")
    assert "not permitted: unit: only root" in service_as(machine, unit, "Delegate=yes", "User=alice")


def test_a_unit_that_is_not_delegated_is_refused(machine, unit):
    unit.drop_in(ONCE, "Delegate=no")
    assert unit.start("true", check=False).status != 0
    assert unit.show("ExecMainStatus") == "77"
    assert f"systemd has not delegated the cgroup of {unit.name}: it needs Delegate=yes" in unit.said()


def test_a_unit_that_is_delegated_some_controllers_names_the_one_that_lacks(machine, unit):
    """The others are there only if a neighbour needs them."""
    unit.card("true")
    said = service_as(machine, unit, "Delegate=cpu", "CPUAccounting=no", "Slice=lonely.slice",
                      "MemoryAccounting=no", "TasksAccounting=no")
    assert "memory_mb cannot be enforced" in said and "memory controller" in said, said


def test_a_peer_in_the_units_own_folder_is_told_to_move(machine, unit):
    """Raw Varlink, from a process of root's that does not know about leaves."""
    card = unit.card("true")
    machine.write("/root/spawn.py",
                  "import json, socket\n"
                  "s = socket.socket(socket.AF_UNIX)\n"
                  "s.connect('/run/caged/caged.sock')\n"
                  f"card = json.loads({json.dumps(card)!r})\n"
                  "s.sendall(json.dumps({'method': 'io.caged.Spawn', 'parameters': "
                  "{'card': card, 'unit': True}}).encode() + b'\\0')\n"
                  "print(s.recv(65536).decode().rstrip('\\0'))\n")
    reply = machine.output("systemd-run --quiet --wait --collect --pipe -p Delegate=yes "
                           "python3 /root/spawn.py")
    assert json.loads(reply)["error"] == "io.caged.NotPermitted"
    assert "make a folder in it and move there first" in reply


def test_other_processes_in_the_units_folder_are_named_as_the_obstacle(machine, unit):
    unit.card("true")
    # A main process that moves away after it has left another behind.
    machine.write("/root/start.sh", "sleep 60 & exec cagectl service \"$1\"\n")
    machine.run(f"systemd-run --quiet --wait --collect -p Type=notify -p Delegate=yes --unit probe "
                f"sh /root/start.sh {unit.card_path}", check=False, timeout=60)
    said = "\n".join(str(e["MESSAGE"]) for e in machine.journal("_SYSTEMD_UNIT=probe.service"))
    assert "processes are in /sys/fs/cgroup/system.slice/probe.service itself" in said


def test_a_card_of_another_id_is_refused(unit):
    unit.drop_in(ONCE)
    unit.card("true")
    unit.guest.run(f"sed -i s/alpha/beta/ {unit.card_path}")
    assert unit.start(check=False).status != 0
    assert unit.show("ExecMainStatus") == "65"
    assert "$.agent_id: found 'beta', expected 'alpha'" in unit.said()


def test_a_card_that_a_user_could_change_is_refused(machine, unit):
    unit.drop_in(ONCE)
    unit.card("touch /workspace/made")
    machine.run(["chown", "alice", unit.card_path])
    assert unit.start(check=False).status != 0
    assert "cannot be trusted" in unit.said() and unit.show("ExecMainStatus") == "77"
    machine.run(f"! test -e {unit.workspace}/made")


def test_a_workspace_that_its_owner_has_made_a_link_is_not_followed(machine, unit):
    unit.drop_in(ONCE)
    unit.card("touch /workspace/made")
    bobs = unit.caged.workspace("bob")
    machine.run(f"rmdir {unit.workspace}; ln -s {bobs} {unit.workspace}", user="alice")
    assert unit.start(check=False).status != 0
    assert "without symbolic links" in unit.said()
    machine.run(f"! test -e {bobs}/made")


def test_the_files_are_those_of_the_cards_user(machine, unit):
    machine.run("install -d -m 0777 /srv/shared")
    unit.drop_in(ONCE)
    unit.start("touch /workspace/made", workspace="/srv/shared", user="bob")
    unit.wait_state("inactive")
    assert machine.output("stat -c %U:%G /srv/shared/made") == "bob:bob"
    for user, told in (("root", "$.user: found root"), ("nobody-here", "no user 'nobody-here'")):
        assert unit.start("true", workspace="/srv/shared", user=user, check=False).status != 0
        assert told in unit.said() and unit.show("ExecMainStatus") == "65"


def test_what_an_earlier_run_left_in_the_unit_is_ended_first(machine, unit):
    machine.write("/root/leave.sh", f"mkdir {unit.folder}/agent-alpha\n"
                                    "sleep 4321 >/dev/null 2>&1 &\n"
                                    f"echo $! >{unit.folder}/agent-alpha/cgroup.procs\n")
    unit.drop_in("ExecStartPre=+/bin/sh /root/leave.sh", "SystemCallFilter=")
    unit.start(f"touch /workspace/ready; {WAIT}")
    unit.wait_file("ready")
    machine.run("! pgrep -x -f 'sleep 4321'")
    assert unit.show("ActiveState") == "active"


def test_an_id_that_runs_elsewhere_is_told(machine, unit):
    card = unit.card(WAIT)
    machine.run(["cagectl", "spawn", unit.card_path])
    unit.drop_in(ONCE)
    assert unit.start(check=False).status != 0
    assert "an agent 'alpha' exists already" in unit.said() and unit.show("ExecMainStatus") == "73"
    assert unit.agent().get("unit") is None and card["agent_id"] == "alpha"


def test_two_units_live_side_by_side(machine, caged, unit):
    other = AgentUnit(machine, caged, "fix-tests")
    for each in (unit, other):
        each.start(f"touch /workspace/ready; {WAIT}")
    for each in (unit, other):
        each.wait_file("ready")
        assert each.agent()["unit"] == each.name
    other.stop()
    assert unit.show("ActiveState") == "active"
