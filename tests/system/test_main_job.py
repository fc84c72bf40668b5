"""What caged is for, as it is installed, on each kernel that it is made for: a user asks for an
agent, which can touch one workspace and talk to a short list of hosts, and nothing else."""

import pytest

pytestmark = pytest.mark.every_kernel


def test_it_is_the_kernel_that_was_asked_for(machine):
    assert machine.output("uname -r").startswith(f"{machine.version}.")
    assert machine.output("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"


def test_a_user_of_the_group_runs_an_agent_and_its_output_and_status_come_back(caged):
    result = caged.run("id -u; pwd; echo wrong >&2; exit 7", check=False)
    assert (result.status, result.text, result.errors) == (7, "1000\n/workspace\n", "wrong\n"), result


def test_what_the_agent_makes_is_the_users_and_nothing_else_is_there(machine, caged):
    workspace = caged.workspace("alice")
    machine.write("/home/alice/secret", "secret", owner="alice:alice")
    result = caged.run("echo made > file; ls -A /home /root /workspace 2>/dev/null; "
                       "cat /home/alice/secret /etc/shadow", workspace=workspace, check=False)
    assert result.status != 0 and "secret" not in result.text and "root:" not in result.text, result
    assert machine.output(["stat", "-c", "%U:%G", f"{workspace}/file"]) == "alice:alice"


def test_a_user_outside_of_the_group_is_refused_and_told_why(caged):
    result = caged.run("true", user="carol", check=False)
    assert result.status != 0 and "caged" in result.errors and "group" in result.errors, result


def test_agents_in_the_background_are_their_owners_alone(machine, caged):
    agent_id = caged.spawn("echo first; touch ready; read line </dev/zero")
    assert [agent["agent_id"] for agent in caged.list()] == [agent_id]
    assert caged.list(user="bob") == []
    for verb in ("inspect", "logs", "stop", "kill", "wait"):
        refused = caged.cagectl(verb, agent_id, user="bob", check=False)
        assert refused.status != 0, f"bob: {verb}: {refused}"
    machine.until(["cagectl", "logs", agent_id], user="alice")
    assert caged.cagectl("stop", "--grace", "0", agent_id).status == 0
    assert caged.list() == []
    assert caged.list("--all")[0]["reason"] == "stopped"
    assert caged.cagectl("logs", agent_id).text == "first\n"


def test_too_much_memory_ends_the_agent_for_want_of_memory(caged):
    result = caged.run("exec tail /dev/zero", agent_id="eater", check=False,
                       resource_limits={"memory_mb": 64})
    assert result.status != 0, result
    assert caged.list("--all")[0]["reason"] == "out_of_memory"


def test_an_allowed_host_is_reached_and_another_is_refused(machine, caged):
    machine.run("systemd-run --quiet --unit=web -p DynamicUser=yes python3 -m http.server "
                "--bind 127.0.0.1 --directory /etc 8000")
    machine.until("curl -fsS http://127.0.0.1:8000/hostname")
    result = caged.run("curl -sS http://localhost:8000/hostname; "
                       "curl -sS -o /dev/null -w '%{http_code}\\n' http://not-allowed.example/",
                       allowed_hosts=["localhost:8000"])
    assert result.lines == ["caged-tests", "403"], result


def held(machine):
    """What the machine holds beside the daemon's own: cgroups, mounts, links, namespaces, files."""
    return machine.output(
        "find /sys/fs/cgroup/ -path '*owner-*' -type d; wc -l </proc/self/mountinfo; "
        "ip -br link | awk '{ print $1 }'; ls -A /run/caged; "
        "ps -eo comm= | grep -xE 'caged-(init|gate)' || true")


def test_a_killed_daemon_leaves_nothing_behind(machine, caged):
    caged.run("true")
    before = held(machine)
    agents = [caged.inspect(caged.spawn("sleep 600", user=user), user=user)["agent"]
              for user in ("alice", "alice", "bob")]
    assert held(machine) != before
    pid = machine.show("cagedd.service", "MainPID")
    machine.run(["kill", "-KILL", pid])
    machine.until(f"pid=$(systemctl show -P MainPID cagedd.service); [ $pid != 0 ] && [ $pid != {pid} ]")
    machine.until(" && ".join(f"[ ! -e /proc/{agent['pid']} ]" for agent in agents))
    machine.wait_state("cagedd.service", "active")
    assert caged.list() == []
    assert held(machine) == before
    assert caged.run("echo again").text == "again\n"


def test_it_comes_back_after_a_reboot(machine, caged):
    machine.systemctl("enable", "cagedd.socket")
    workspace = caged.workspace("alice", "kept")
    caged.run("echo before > file", workspace=workspace)
    machine.reboot()
    assert caged.run("cat file", workspace=workspace).text == "before\n"
