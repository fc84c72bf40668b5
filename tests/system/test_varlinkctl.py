"""systemd's own Varlink client (varlinkctl of Debian trixie) against the daemon: it knows nothing of
caged, so what it can do any Varlink client can. Each method of the interface has an exercise here,
and one without fails."""

import json
import re

import pytest

from harness import paths

ADDRESS = "/run/caged/caged.sock"
INTERFACE = (paths.ROOT / "common" / "io.caged.varlink").read_text()
METHODS = re.findall(r"^method (\w+)", INTERFACE, re.MULTILINE)
EXERCISES = {}
FOREVER = "trap 'exit 3' TERM; while :; do sleep 0.1; done"


class Varlinkctl:
    """varlinkctl as root, out of trixie's own root file system."""

    def __init__(self, guest, caged):
        self.guest, self.caged = guest, caged
        guest.run("mount --bind /run /opt/trixie/run && mount --bind /proc /opt/trixie/proc")

    def words(self, *words):
        return ["chroot", "/opt/trixie", "/usr/bin/varlinkctl", "--no-pager", *words]

    def run(self, *words, **options):
        return self.guest.run(self.words(*words), **options)

    def call(self, method, *options, **parameters):
        """The reply to a call; with --more a list of replies."""
        text = self.run("--json=short", *options, "call", ADDRESS, f"io.caged.{method}",
                        json.dumps(parameters)).text
        replies = [json.loads(part) for part in text.replace("\x1e", "\n").splitlines() if part]
        if "--more" in options:
            return replies
        assert len(replies) == 1, text
        return replies[0]

    def error(self, method, **parameters):
        """What it says of a call that must fail: the error's name, and its parameters as text."""
        result = self.run("call", ADDRESS, f"io.caged.{method}", json.dumps(parameters), check=False)
        assert result.status != 0, result
        return result.errors

    def spawn(self, script, **keys):
        """Root may name the workspace by its path alone; the agent works as the folder's owner."""
        return self.call("Spawn", card=self.caged.card(script, **keys))["agent"]


def exercises(method):
    def note(function):
        EXERCISES[method] = function
        return function
    return note


@pytest.fixture
def varlinkctl(fast, fast_caged):
    return Varlinkctl(fast, fast_caged)


def test_it_tells_who_serves_and_what(varlinkctl):
    info = varlinkctl.run("info", "--json=short", ADDRESS).json()
    assert info["vendor"] == "caged" and "io.caged" in info["interfaces"], info
    assert varlinkctl.run("list-interfaces", ADDRESS).lines == ["io.caged", "org.varlink.service"]


def test_it_understands_the_interface_as_its_file_has_it(varlinkctl):
    assert [line.rpartition(".")[2] for line in
            varlinkctl.run("list-methods", ADDRESS, "io.caged").lines] == sorted(METHODS)
    told = varlinkctl.run("introspect", ADDRESS, "io.caged").text
    assert set(re.findall(r"^method (\w+)", told, re.MULTILINE)) == set(METHODS)
    done = varlinkctl.run("validate-idl", "/dev/stdin", data=INTERFACE.encode(), check=False)
    assert done.status == 0, done


@pytest.mark.parametrize("method", METHODS)
def test_it_calls_every_method(method, varlinkctl):
    assert method in EXERCISES, f"no exercise calls {method} here"
    EXERCISES[method](varlinkctl)


def test_an_error_comes_by_its_name_with_its_parameters(varlinkctl):
    assert "io.caged.NoSuchAgent" in varlinkctl.error("Inspect", agent_id="nobody")


@exercises("Spawn")
def spawn(varlinkctl):
    agent = varlinkctl.spawn("echo made > file", user="alice")
    assert agent["state"] == "running" and agent["owner_uid"] == 0, agent
    varlinkctl.call("Wait", agent_id=agent["agent_id"])
    owner = varlinkctl.guest.output(["stat", "-c", "%U", f"{agent['workspace']}/file"])
    assert owner == "alice"


@exercises("List")
def list_agents(varlinkctl):
    first, second = varlinkctl.spawn(FOREVER), varlinkctl.spawn("true")
    varlinkctl.call("Wait", agent_id=second["agent_id"])
    ids = [agent["agent_id"] for agent in varlinkctl.call("List")["agents"]]
    assert ids == [first["agent_id"]]
    ids = [agent["agent_id"] for agent in varlinkctl.call("List", all=True)["agents"]]
    assert sorted(ids) == sorted([first["agent_id"], second["agent_id"]])


@exercises("Inspect")
def inspect(varlinkctl):
    agent = varlinkctl.spawn(FOREVER, resource_limits={"memory_mb": 123})
    reply = varlinkctl.call("Inspect", agent_id=agent["agent_id"])
    assert reply["agent"]["pid"] == agent["pid"]
    assert reply["card"]["resource_limits"]["memory_mb"] == 123
    assert reply["network"]["gate_port"] > 0 and reply["limits"], reply


@exercises("Logs")
def logs(varlinkctl):
    agent = varlinkctl.spawn("for i in 1 2 3; do echo line $i; sleep 0.2; done")
    replies = varlinkctl.call("Logs", "--more", agent_id=agent["agent_id"], follow=True)
    assert [line["text"] for reply in replies for line in reply["lines"]] == [
        "line 1", "line 2", "line 3"]


@exercises("Wait")
def wait(varlinkctl):
    agent = varlinkctl.spawn("sleep 1; exit 7")
    replies = varlinkctl.call("Wait", "--more", agent_id=agent["agent_id"])
    assert len(replies) >= 2 and replies[0]["agent"]["state"] == "running", replies
    end = replies[-1]["agent"]
    assert (end["state"], end["reason"], end["exit_status"]) == ("ended", "exited", 7)


@exercises("Reload")
def reload(varlinkctl):
    card = varlinkctl.caged.card(FOREVER, allowed_hosts=["a.example", "b.example"])
    varlinkctl.call("Spawn", card=card)
    reply = varlinkctl.call("Reload", card={**card, "allowed_hosts": ["b.example", "c.example"]})
    assert (reply["added"], reply["removed"]) == (["c.example"], ["a.example"]), reply
    network = varlinkctl.call("Inspect", agent_id=card["agent_id"])["network"]
    assert network["allowed_hosts"] == ["b.example", "c.example"]


@exercises("ReloadPolicy")
def reload_policy(varlinkctl):
    reply = varlinkctl.call("ReloadPolicy")
    assert reply["path"] == "/etc/caged/policy.json" and reply["rules"] >= 1


@exercises("ExplainPolicy")
def explain_policy(varlinkctl):
    card = varlinkctl.caged.card("true", resource_limits={"memory_mb": 100})
    gid = int(varlinkctl.guest.output("getent group caged | cut -d: -f3"))
    reply = varlinkctl.call("ExplainPolicy", card=card, user_uid=4711, user_gid=gid, user_groups=[])
    assert reply["rule"] == "group caged" and reply["index"] == 0
    by_key = {row["key"]: row for row in reply["ceilings"]}
    assert by_key["resource_limits.memory_mb"]["asked"] == "100"
    assert varlinkctl.call("ExplainPolicy", card=card, user_uid=4711, user_gid=4711)["ceilings"] == []


@exercises("ChangeHosts")
def change_hosts(varlinkctl):
    agent = varlinkctl.spawn(FOREVER, allowed_hosts=["a.example", "b.example"])
    reply = varlinkctl.call("ChangeHosts", agent_id=agent["agent_id"], allow=["c.example"],
                            deny=["b.example"])
    assert (reply["allowed_hosts"], reply["denied_hosts"]) == \
        (["a.example", "c.example"], ["b.example"]), reply
    assert "org.varlink.service.InvalidParameter" in varlinkctl.error(
        "ChangeHosts", agent_id=agent["agent_id"], allow=["d.example", "no host"])


@exercises("Hosts")
def hosts(varlinkctl):
    agent = varlinkctl.spawn(FOREVER, allowed_hosts=["a.example"], private_hosts=["p.example"])
    reply = varlinkctl.call("Hosts", agent_id=agent["agent_id"])
    assert reply["allowed_hosts"] == ["a.example"] and reply["private_hosts"] == ["p.example"]
    assert reply["live"] == reply["denied_hosts"] == [], reply


@exercises("History")
def history(varlinkctl):
    """What it answers with goes into a pipe of the client's, and varlinkctl cannot send one along."""
    agent = varlinkctl.spawn("true")
    assert "org.varlink.service.InvalidParameter" in varlinkctl.error(
        "History", agent_id=agent["agent_id"], output_fd=0)


@exercises("Audit")
def audit(varlinkctl):
    """Likewise."""
    agent = varlinkctl.spawn("true")
    assert "org.varlink.service.InvalidParameter" in varlinkctl.error(
        "Audit", agent_id=agent["agent_id"], output_fd=0)


@exercises("Stop")
def stop(varlinkctl):
    agent = varlinkctl.spawn(f"touch ready; {FOREVER}")
    varlinkctl.guest.until(["test", "-e", f"{agent['workspace']}/ready"])
    assert varlinkctl.call("Stop", agent_id=agent["agent_id"], grace_seconds=30) == {}
    end = varlinkctl.call("Wait", agent_id=agent["agent_id"])["agent"]
    assert end["reason"] == "stopped", end


@exercises("Kill")
def kill(varlinkctl):
    agent = varlinkctl.spawn(FOREVER)
    assert varlinkctl.call("Kill", agent_id=agent["agent_id"]) == {}
    assert varlinkctl.call("Wait", agent_id=agent["agent_id"])["agent"]["reason"] == "killed"


@exercises("Events")
def events(varlinkctl):
    """It streams until the client goes; so the agents are started until it has heard of one's end."""
    follower = varlinkctl.guest.start_command(
        ["bash", "-c", "exec \"$@\" > /run/events", "bash", *varlinkctl.words(
            "--json=short", "--more", "--timeout=infinity", "call", ADDRESS, "io.caged.Events", "{}")])
    path = varlinkctl.caged.write_card(varlinkctl.caged.card("exit 5", user="alice"), user="alice")
    varlinkctl.guest.until(f"cagectl run {path}; grep -q ended /run/events", user=None)
    follower.signal()
    follower.wait()
    text = varlinkctl.guest.read("/run/events").decode().replace("\x1e", "\n")
    kinds = [event["kind"] for line in text.splitlines() if line.strip()
             for event in json.loads(line)["events"]]
    assert "ended" in kinds, kinds
