"""The Debian package: what installing, upgrading, removing and purging it does, and leaves."""

import gzip
import json
import shutil
import subprocess

import pytest

from harness import paths, product
from harness.caged import Caged

DEBS = paths.BUILD / "deb"
NEWER = "0.1.0+1"
WORDS = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes")
# What dpkg, apt and the journal write whatever is installed.
ALWAYS = ("/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/tmp", "/run/systemd",
          "/run/log", "/run/udev", "/run/user", "/run/caged-test", "/home", "/root", "/tmp")


@pytest.fixture(scope="session")
def deb():
    shutil.rmtree(DEBS, ignore_errors=True)
    DEBS.mkdir(parents=True)
    done = subprocess.run([paths.ROOT / "units/build-deb", DEBS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = DEBS / done.stdout.strip().rsplit("/", 1)[-1]
    assert path.exists() and done.stdout.count("\n") == 1
    return path


@pytest.fixture(scope="session")
def newer_deb(deb):
    """The same package with a higher version."""
    tree = DEBS / "newer"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    text = control.read_text()
    assert "Version: 0.1.0\n" in text
    control.write_text(text.replace("Version: 0.1.0\n", f"Version: {NEWER}\n"))
    path = DEBS / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return path


class Host:
    """A machine without caged, and with the packages to install."""

    def __init__(self, machine, *debs):
        self.machine = machine
        tree = product.tree()
        files = [f"/{path.relative_to(tree)}" for path in tree.rglob("*") if not path.is_dir()]
        machine.systemctl("stop", "cagedd.service", "cagedd.socket")
        machine.run("xargs -d '\\n' rm -f; rm -rf /usr/share/caged /usr/libexec/caged /etc/caged /run/caged; "
                    "rmdir --ignore-fail-on-non-empty /usr/share/bash-completion/completions "
                    "/usr/share/bash-completion /lib/systemd/system-preset 2>/dev/null; "
                    "groupdel caged; systemctl daemon-reload; "
                    # The image leaves documents out; a package is looked at with all that it has.
                    "rm /etc/dpkg/dpkg.cfg.d/99mmdebstrap", data="\n".join(files).encode())
        assert machine.output("command -v cagectl cagedd; getent group caged; true") == ""
        for path in debs:
            machine.write(f"/root/{path.name}", path.read_bytes())

    def apt(self, *words, **options):
        return self.machine.run([*WORDS, *words], timeout=180, **options)

    def install(self, deb, *words):
        return self.apt("install", *words, f"/root/{deb.name}")

    def files(self):
        """Every path of the system but what changes by itself."""
        prune = " -o ".join(f"-path {path}" for path in ALWAYS)
        return set(self.machine.run(
            f"find / \\( -path /proc -o -path /sys -o -path /dev -o {prune} \\) -prune -o -print",
            timeout=120).lines)

    def processes(self):
        return self.machine.output("ps -eo comm= | grep '^cage' || true").split()

    def main_pid(self):
        return int(self.machine.show("cagedd.service", "MainPID"))

    def version(self):
        return self.machine.output("dpkg-query -W -f '${Version}' caged")


@pytest.fixture
def host(machine, deb, newer_deb):
    return Host(machine, deb, newer_deb)


@pytest.fixture
def installed(host, deb):
    host.said = host.install(deb).text
    return host


@pytest.fixture
def agents(installed):
    return Caged(installed.machine)


def long_running(caged, **keys):
    """Starts an agent that tells of the signal that ends it."""
    workspace = caged.workspace("alice")
    agent_id = caged.spawn("trap 'echo told > told; exit 0' TERM; touch ready; "
                           "while :; do sleep 0.1; done", workspace=workspace, **keys)
    caged.guest.until(["test", "-e", f"{workspace}/ready"])
    return agent_id, workspace


# -- the file --


def test_lintian_finds_no_fault_that_is_not_explained(deb):
    done = subprocess.run(["lintian", "--no-cfg", "--allow-root", "--pedantic", "--show-overrides",
                           "--fail-on", "error", deb], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    faults = [line for line in lines if line[:2] in ("E:", "W:", "P:")]
    assert (done.returncode, faults, done.stderr) == (0, [], ""), done
    # Each override comes with its reason, in a comment.
    overridden = [line.split()[2] for line in lines if line.startswith("O:")]
    overrides = (paths.ROOT / "units/debian/caged.lintian-overrides").read_text()
    assert overrides.startswith("#")
    assert sorted(overridden) == sorted(line.split()[1] for line in overrides.splitlines()
                                        if not line.startswith("#"))


def test_the_package_of_debugging_symbols_is_not_made(deb):
    assert [path.name for path in DEBS.glob("caged*")] == [deb.name]


# -- installing --


def test_after_installation_the_socket_listens_and_nothing_else_runs(installed):
    machine = installed.machine
    assert machine.show("cagedd.socket", "ActiveState", "UnitFileState", "SubState") == {
        "ActiveState": "active", "UnitFileState": "enabled", "SubState": "listening"}
    assert machine.show("cagedd.service", "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert installed.processes() == []
    assert machine.output("stat -c '%F %a %U:%G' /run/caged/caged.sock") == "socket 660 root:caged"
    assert machine.output("getent group caged | cut -d: -f4") == ""  # nobody is in it yet
    assert machine.output("stat -c '%a %U:%G' /etc/caged/agents") == "755 root:root"
    assert machine.output("ls /etc/caged/agents") == ""
    assert machine.output("systemctl --failed --no-legend") == ""


def test_documents_examples_and_completion_are_there(installed):
    machine = installed.machine
    for page in ("man1/cagectl.1", "man8/cagedd.8", "man5/caged.card.5"):
        text = gzip.decompress(machine.read(f"/usr/share/man/{page}.gz")).decode()
        assert text.startswith(".\\\"") or ".TH" in text
    cards = machine.run("ls /usr/share/doc/caged/examples/*.json").lines
    assert len(cards) >= 5
    for card in cards:
        machine.run(["cagectl", "check", card])
    machine.run(["test", "-s", "/usr/share/bash-completion/completions/cagectl"])
    assert installed.processes() == []  # all of this needs no daemon


def test_a_member_of_the_group_runs_an_agent_and_another_user_does_not(installed, agents):
    result = agents.run("id -u; echo made > file")
    assert result.text == "1000\n"
    assert "cagedd" in installed.processes()  # since the first connection
    refused = agents.run("true", user="carol", check=False)
    assert refused.status != 0 and "ermission denied" in refused.errors


# -- upgrading --


def test_an_upgrade_replaces_a_daemon_without_agents_at_once(installed, agents, newer_deb):
    machine = installed.machine
    agents.run("true")
    before = installed.main_pid(), machine.output("stat -c %i /run/caged/caged.sock")
    said = installed.install(newer_deb).text
    assert installed.version() == NEWER
    assert "agent(s) run" not in said
    machine.until(f"pid=$(systemctl show -P MainPID cagedd); [ $pid != 0 ] && [ $pid != {before[0]} ]",
                  timeout=5)
    machine.wait_state("cagedd.service", "active")
    assert machine.output("stat -c %i /run/caged/caged.sock") == before[1]  # it never closed
    assert agents.run("echo hello").text == "hello\n"


def test_an_upgrade_starts_no_daemon_that_did_not_run(installed, newer_deb):
    installed.install(newer_deb)
    assert installed.version() == NEWER
    assert installed.processes() == []
    assert installed.machine.show("cagedd.socket", "SubState") == "listening"


def test_an_upgrade_waits_for_agents_and_says_so(installed, agents, newer_deb):
    machine = installed.machine
    first, _ = long_running(agents)
    second, _ = long_running(agents)
    before = installed.main_pid()
    said = installed.install(newer_deb).text
    assert installed.version() == NEWER
    assert "caged: 2 agent(s) run, and go on." in said
    assert installed.main_pid() == before
    machine.until("systemctl show -P StatusText cagedd | grep -q 'waits for 2 agents'")
    third = agents.spawn("sleep 600")  # it serves on
    for agent_id in (first, second):
        agents.cagectl("stop", agent_id)
    machine.until("systemctl show -P StatusText cagedd | grep -q 'waits for 1 agent$'")
    assert [agent["agent_id"] for agent in agents.list()] == [third]
    assert installed.main_pid() == before
    agents.cagectl("kill", third)
    machine.until(f"pid=$(systemctl show -P MainPID cagedd); [ $pid != 0 ] && [ $pid != {before} ]",
                  timeout=5)
    machine.wait_state("cagedd.service", "active")
    assert machine.show("cagedd.service", "Result") == "success"
    assert agents.run("echo hello").text == "hello\n"


def test_an_upgrade_keeps_what_the_operator_switched_off(installed, newer_deb):
    installed.machine.systemctl("disable", "--now", "cagedd.socket")
    installed.install(newer_deb)
    assert installed.machine.show("cagedd.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive", "UnitFileState": "disabled"}


# -- removing and purging --


def test_removal_tells_running_agents_and_leaves_nothing_running(installed, agents):
    machine = installed.machine
    _, workspace = long_running(agents)
    installed.apt("remove", "caged")
    assert machine.read(f"{workspace}/told") == b"told\n"
    assert installed.processes() == []
    assert machine.output("ls -d /run/caged /sys/fs/cgroup/caged.slice/cagedd.service "
                          "2>/dev/null || true") == ""
    assert machine.output("systemctl list-unit-files --no-legend 'cagedd*'; true") == ""
    assert machine.output("ip netns; ip -br link | grep -c cg || true") == "0"
    ended = machine.journal("MESSAGE_ID=8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a02")
    assert [entry["CAGED_REASON"] for entry in ended] == ["shutdown"]
    assert machine.output("systemctl --failed --no-legend") == ""


def test_purging_leaves_no_file_behind(host, deb):
    before = host.files()
    host.install(deb)
    Caged(host.machine).run("true")
    during = host.files()
    host.apt("purge", "caged")
    after = host.files()
    assert {"/usr/sbin/cagedd", "/etc/caged/agents", "/run/caged/caged.sock"} <= during - before
    assert after == before, (after - before, before - after)
    # The group stays, as Debian has it: files somewhere may be its.
    assert host.machine.output("getent group caged").startswith("caged:")


def test_purging_leaves_the_operators_cards(installed):
    machine = installed.machine
    card = {"agent_id": "mine", "workspace": "/home/alice/work"}
    machine.write("/etc/caged/agents/mine.json", json.dumps(card))
    installed.apt("purge", "caged")
    assert json.loads(machine.read("/etc/caged/agents/mine.json")) == card


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_it_can_be_installed_again(installed, deb, how):
    installed.apt(how, "caged")
    installed.install(deb)
    assert installed.machine.show("cagedd.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "active", "UnitFileState": "enabled"}
    assert Caged(installed.machine).run("echo hello").text == "hello\n"
