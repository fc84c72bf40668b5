"""cagedd.service and cagedd.socket under systemd: where the daemon lives, and what happens when it
hangs, crashes, is told to leave, or is stopped. What does the same again and again is in the fast lane."""

import json
import re

UNIT = "cagedd.service"
POLICY = "/etc/caged/policy.json"
CGROUP = "/sys/fs/cgroup/caged.slice/cagedd.service"


def another_daemon(machine, pid, timeout=10):
    """Waits until a daemon runs that is not this one."""
    machine.until(f"pid=$(systemctl show -P MainPID {UNIT}); [ $pid != 0 ] && [ $pid != {pid} ]",
                  timeout=timeout, what="another daemon runs")
    machine.wait_state(UNIT, "active")


def test_the_first_connection_starts_the_daemon(machine, caged):
    machine.systemctl("stop", UNIT)
    assert machine.show("cagedd.socket", "SubState") == "listening"
    caged.cagectl("list")
    assert machine.show(UNIT, "ActiveState", "SubState", "Slice") == {
        "ActiveState": "active", "SubState": "running", "Slice": "caged.slice"}


def test_the_daemon_is_in_a_leaf_and_agents_are_beside_it(machine, caged):
    agent = caged.inspect(caged.spawn("sleep 600"))["agent"]
    pid = machine.show(UNIT, "MainPID")
    assert machine.output(f"cat {CGROUP}/daemon/cgroup.procs").split() == [pid]
    assert machine.output(f"cat {CGROUP}/cgroup.procs") == ""
    where = machine.output(f"cut -d: -f3 /proc/{agent['pid']}/cgroup")
    assert where.startswith("/caged.slice/cagedd.service/owner-")


def test_a_daemon_that_hangs_is_replaced(machine, caged):
    machine.write(f"/run/systemd/system/{UNIT}.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", UNIT)
    pid = machine.show(UNIT, "MainPID")
    machine.run(["kill", "-STOP", pid])
    another_daemon(machine, pid)
    assert caged.run("echo hello").text == "hello\n"
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in machine.journal(f"UNIT={UNIT}"))


def test_the_watchdog_is_on_and_is_fed(machine, caged):
    caged.cagectl("list")
    assert machine.show(UNIT, "WatchdogUSec") == "30s"
    machine.write(f"/run/systemd/system/{UNIT}.d/watchdog.conf", "[Service]\nWatchdogSec=8\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", UNIT)
    first = machine.show(UNIT, "WatchdogTimestampMonotonic")
    machine.until(f"[ $(systemctl show -P WatchdogTimestampMonotonic {UNIT}) -gt {first} ]",
                  timeout=20)


def test_a_daemon_that_crashes_is_replaced_and_its_agents_are_gone(machine, caged):
    agent = caged.inspect(caged.spawn("sleep 600"))["agent"]
    pid = machine.show(UNIT, "MainPID")
    machine.run(["kill", "-KILL", pid])
    another_daemon(machine, pid)
    machine.until(["test", "!", "-e", f"/proc/{agent['pid']}"])
    assert caged.list() == []
    assert machine.output(f"ls -d {CGROUP}/owner-* 2>/dev/null || true") == ""
    assert caged.run("echo hello").text == "hello\n"


def test_a_daemon_that_keeps_dying_is_started_again_and_again(fast, fast_caged):
    assert fast.show(UNIT, "StartLimitIntervalUSec") == "0"
    for _ in range(6):  # systemd would give up after five within ten seconds
        fast_caged.cagectl("list")
        pid = fast.show(UNIT, "MainPID")
        fast.run(["kill", "-KILL", pid])
        another_daemon(fast, pid)
    assert fast_caged.run("echo hello").text == "hello\n"


def test_a_daemon_told_to_leave_ends_after_its_last_agent_and_is_started_anew(machine, caged):
    agent_id = caged.spawn("sleep 600")
    pid = machine.show(UNIT, "MainPID")
    machine.systemctl("kill", "--kill-whom=main", "--signal=SIGUSR1", UNIT)
    machine.until(f"systemctl show -P StatusText {UNIT} | grep -q 'waits for 1 agent$'")
    assert machine.show(UNIT, "MainPID") == pid
    caged.cagectl("kill", agent_id)
    another_daemon(machine, pid)
    assert machine.show(UNIT, "Result", "ExecMainStatus")["Result"] == "success"
    assert caged.run("echo hello").text == "hello\n"


def test_no_call_fails_while_the_daemon_is_replaced_again_and_again(fast, fast_caged):
    """As an upgrade does it: the socket goes on listening, and who connects waits at most."""
    caller = fast.start_command(
        "n=0; while [ ! -e /tmp/enough ]; do cagectl list >/dev/null || exit 1; n=$((n + 1)); done; "
        "echo $n", user="alice", timeout=120)
    fast.wait_state(UNIT, "active")
    for _ in range(6):
        pid = fast.show(UNIT, "MainPID")
        fast.systemctl("kill", "--kill-whom=main", "--signal=SIGUSR1", UNIT)
        another_daemon(fast, pid)
    fast.write("/tmp/enough", "")
    result = caller.wait()
    assert result.status == 0 and int(result.lines[-1]) > 6, result


def test_devices_are_closed_to_all_that_is_in_the_unit(machine, caged):
    """Even to a process that has every right to the node: the kernel asks the cgroup."""
    caged.cagectl("list")
    script = f"echo $$ > {CGROUP}/daemon/cgroup.procs; head -c 1 /dev/vda"
    refused = machine.run(script, check=False)
    assert refused.status != 0 and "Operation not permitted" in refused.errors
    machine.run("head -c 1 /dev/vda")
    machine.run(f"echo $$ > {CGROUP}/daemon/cgroup.procs; head -c 1 /dev/zero; : > /dev/null")
    # Agents have what they need, a terminal too.
    assert caged.run("head -c 2 /dev/urandom | wc -c; : > /dev/null").text.strip() == "2"
    typed = machine.run("script -qec \"cagectl run -t \\\"$1\\\"\" /dev/null", user="alice",
                        words=(caged.write_card(caged.card("tty; test -t 0 && echo yes")),))
    assert "yes" in typed.text


def test_stopping_the_daemon_tells_agents_and_the_socket_stays(machine, caged):
    workspace = caged.workspace("alice")
    caged.spawn("trap 'echo told > told; exit 0' TERM; touch ready; while :; do sleep 0.1; done",
                workspace=workspace)
    machine.until(["test", "-e", f"{workspace}/ready"])
    machine.systemctl("stop", UNIT)
    assert machine.read(f"{workspace}/told") == b"told\n"
    assert machine.show("cagedd.socket", "SubState") == "listening"


def test_the_socket_is_the_groups(machine):
    assert machine.output("stat -c '%F %a %U:%G' /run/caged/caged.sock") == "socket 660 root:caged"
    assert machine.output("stat -c '%a %U:%G' /run/caged") == "755 root:root"


def with_ttl(seconds):
    return json.dumps({"rules": [{"name": f"ttl {seconds}", "groups": ["caged"], "max_ttl_seconds": seconds}]})


def ttl_of_an_agent(caged):
    card = caged.card("true")
    caged.cagectl("spawn", "--wait", caged.write_card(card))
    return caged.cagectl("inspect", "-j", card["agent_id"]).json()["card"]["ttl_seconds"]


def test_a_reload_takes_over_a_good_policy_and_fails_with_the_place_for_a_bad_one(machine, caged):
    caged.run("true")
    pid = machine.show(UNIT, "MainPID")
    machine.write(POLICY, with_ttl(500))
    machine.systemctl("reload", UNIT)
    assert ttl_of_an_agent(caged) == 500
    assert machine.show(UNIT, "StatusText") == "Site policy: 1 rule"

    machine.write(POLICY, with_ttl(600).replace("max_ttl_seconds", "max_ttl"))
    done = machine.run(["systemctl", "reload", UNIT], check=False)
    assert done.status != 0
    assert machine.show(UNIT, "ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}
    place = re.compile(re.escape(POLICY) + r":1:\d+: \$\.rules\[0\]\.max_ttl: found ")
    said = [entry["MESSAGE"] for entry in machine.journal(f"_SYSTEMD_UNIT={UNIT}")]
    assert any(place.search(message) for message in said if message.startswith("cagectl: ")), said
    refused = machine.journal("MESSAGE_ID=8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a21")
    assert len(refused) == 1 and place.search(refused[0]["CAGED_DETAIL"]), refused
    assert ttl_of_an_agent(caged) == 500
    assert "was refused" in machine.show(UNIT, "StatusText")

    machine.write(POLICY, with_ttl(700))
    machine.run(["systemctl", "kill", "--kill-whom=main", "--signal=SIGHUP", UNIT])
    machine.until(f"systemctl show -P StatusText {UNIT} | grep -qx 'Site policy: 1 rule'")
    assert ttl_of_an_agent(caged) == 700
    machine.wait_state(UNIT, "active")
    assert machine.show(UNIT, "MainPID") == pid


def test_with_a_bad_policy_the_daemon_starts_and_serves_root_alone(machine, caged):
    machine.systemctl("stop", UNIT)
    machine.write(POLICY, "{")
    refused = caged.run("true", check=False)
    assert refused.status == 77 and "no site policy is in force" in refused.errors, refused
    assert machine.show(UNIT, "ActiveState") == "active"
    assert "only root may start agents" in machine.show(UNIT, "StatusText")
    machine.write(POLICY, with_ttl(300))
    machine.systemctl("reload", UNIT)
    assert caged.run("echo hello").text == "hello\n"
