"""The Debian package: what installing, upgrading, removing and purging it does, and leaves. And the
other way of the README: by hand."""

import gzip
import json
import re
import shutil
import subprocess

import pytest

from conftest import keep_evidence
from harness import paths
from harness.caged import Caged
from harness.machine import Machine

DEBS = paths.BUILD / "deb"
NEWER = "0.1.0+1"
WORDS = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes")
# What dpkg, apt and the journal write whatever is installed.
ALWAYS = ("/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/tmp", "/run/systemd",
          "/run/log", "/run/udev", "/run/user", "/home", "/root", "/tmp")


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


class Host(Machine):
    """A machine without caged, and the packages in /root to install. The snapshot `installed` has
    the first of them."""

    def __init__(self, *debs):
        super().__init__()
        self.debs = debs
        self.said = ""  # by apt, at that installation

    def install(self):
        # The image leaves documents out; a package is looked at with all that it has.
        self.run("rm /etc/dpkg/dpkg.cfg.d/99mmdebstrap")
        self.run("for name in alice bob carol; do id $name || useradd --create-home $name; done")
        assert self.output("command -v cagectl cagedd; getent group caged; true") == ""
        for path in self.debs:
            self.write(f"/root/{path.name}", path.read_bytes())
        self.save()
        self.said = self.apt_install(self.debs[0]).text
        self.save("installed")
        self.reset()

    def apt(self, *words):
        return self.run([*WORDS, *words], timeout=180)

    def apt_install(self, deb):
        return self.apt("install", f"/root/{deb.name}")

    def files(self):
        """Every path of the system but what changes by itself."""
        prune = " -o ".join(f"-path {path}" for path in ALWAYS)
        return set(self.run(
            f"find / \\( -path /proc -o -path /sys -o -path /dev -o {prune} \\) -prune -o -print",
            timeout=120).lines)

    def programs(self):
        """Which of caged's programs run."""
        return self.output("ps -eo comm= | grep -xE 'cagectl|cagedd|caged-(init|gate)' || true").split()

    def main_pid(self):
        return int(self.show("cagedd.service", "MainPID"))

    def version_of_package(self):
        return self.output("dpkg-query -W -f '${Version}' caged")


@pytest.fixture(scope="module")
def package_machine(deb, newer_deb):
    machine = Host(deb, newer_deb).start()
    yield machine
    machine.stop()


@pytest.fixture
def host(package_machine, request):
    """A machine without caged."""
    package_machine.reset()
    yield package_machine
    keep_evidence(request, package_machine)


@pytest.fixture
def installed(package_machine, request):
    """A machine on which the package has just been installed."""
    package_machine.reset("installed")
    yield package_machine
    keep_evidence(request, package_machine)


def agents_of(host):
    """The host's agents, for users who were taken into the group."""
    host.run("usermod -aG caged alice && usermod -aG caged bob")
    return Caged(host)


@pytest.fixture
def agents(installed):
    return agents_of(installed)


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
    assert installed.show("cagedd.socket", "ActiveState", "UnitFileState", "SubState") == {
        "ActiveState": "active", "UnitFileState": "enabled", "SubState": "listening"}
    assert installed.show("cagedd.service", "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert installed.programs() == []
    assert installed.output("stat -c '%F %a %U:%G' /run/caged/caged.sock") == "socket 660 root:caged"
    assert installed.output("getent group caged | cut -d: -f4") == ""  # nobody is in it yet
    assert installed.output("stat -c '%a %U:%G' /etc/caged/agents") == "755 root:root"
    assert installed.output("ls /etc/caged/agents") == ""
    assert installed.output("stat -c '%a %U:%G' /etc/caged/policy.json") == "644 root:root"
    assert installed.output("dpkg-query -W -f '${Conffiles}' caged").split()[0] == "/etc/caged/policy.json"
    assert installed.output("getent group caged-operators | cut -d: -f4") == ""
    assert installed.output("systemctl --failed --no-legend") == ""


def test_documents_examples_and_completion_are_there(installed):
    for page in ("man1/cagectl.1", "man8/cagedd.8", "man5/caged.card.5"):
        text = gzip.decompress(installed.read(f"/usr/share/man/{page}.gz")).decode()
        assert text.startswith(".\\\"") or ".TH" in text
    cards = installed.run("ls /usr/share/doc/caged/examples/*.json").lines
    assert len(cards) >= 5
    for card in cards:
        installed.run(["cagectl", "check", card])
    installed.run(["test", "-s", "/usr/share/bash-completion/completions/cagectl"])
    assert installed.programs() == []  # all of this needs no daemon


def test_a_member_of_the_group_runs_an_agent_and_another_user_does_not(installed, agents):
    result = agents.run("id -u; echo made > file")
    assert result.text == "1000\n"
    assert "cagedd" in installed.programs()  # since the first connection
    refused = agents.run("true", user="carol", check=False)
    assert refused.status != 0 and "ermission denied" in refused.errors


# -- upgrading --


def test_an_upgrade_replaces_a_daemon_without_agents_at_once(installed, agents, newer_deb):
    agents.run("true")
    before = installed.main_pid(), installed.output("stat -c %i /run/caged/caged.sock")
    said = installed.apt_install(newer_deb).text
    assert installed.version_of_package() == NEWER
    assert "agent(s) run" not in said
    installed.until(f"pid=$(systemctl show -P MainPID cagedd); [ $pid != 0 ] && [ $pid != {before[0]} ]",
                  timeout=5)
    installed.wait_state("cagedd.service", "active")
    assert installed.output("stat -c %i /run/caged/caged.sock") == before[1]  # it never closed
    assert agents.run("echo hello").text == "hello\n"


def test_an_upgrade_starts_no_daemon_that_did_not_run(installed, newer_deb):
    installed.apt_install(newer_deb)
    assert installed.version_of_package() == NEWER
    assert installed.programs() == []
    assert installed.show("cagedd.socket", "SubState") == "listening"


def test_an_upgrade_waits_for_agents_and_says_so(installed, agents, newer_deb):
    first, _ = long_running(agents)
    second, _ = long_running(agents)
    before = installed.main_pid()
    said = installed.apt_install(newer_deb).text
    assert installed.version_of_package() == NEWER
    assert "caged: 2 agent(s) run, and go on." in said
    assert installed.main_pid() == before
    installed.until("systemctl show -P StatusText cagedd | grep -q 'waits for 2 agents'")
    third = agents.spawn("sleep 600")  # it serves on
    for agent_id in (first, second):
        agents.cagectl("stop", agent_id)
    installed.until("systemctl show -P StatusText cagedd | grep -q 'waits for 1 agent$'")
    assert [agent["agent_id"] for agent in agents.list()] == [third]
    assert installed.main_pid() == before
    agents.cagectl("kill", third)
    installed.until(f"pid=$(systemctl show -P MainPID cagedd); [ $pid != 0 ] && [ $pid != {before} ]",
                  timeout=5)
    installed.wait_state("cagedd.service", "active")
    assert installed.show("cagedd.service", "Result") == "success"
    assert agents.run("echo hello").text == "hello\n"


def test_an_upgrade_keeps_the_operators_site_policy(installed, agents, newer_deb):
    mine = {"rules": [{"name": "mine", "groups": ["caged"], "max_agents": 7}]}
    installed.write("/etc/caged/policy.json", json.dumps(mine))
    installed.apt_install(newer_deb)
    assert json.loads(installed.read("/etc/caged/policy.json")) == mine
    assert agents.run("echo hello").text == "hello\n"


def test_an_upgrade_keeps_what_the_operator_switched_off(installed, newer_deb):
    installed.systemctl("disable", "--now", "cagedd.socket")
    installed.apt_install(newer_deb)
    assert installed.show("cagedd.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive", "UnitFileState": "disabled"}


# -- removing and purging --


def test_removal_tells_running_agents_and_leaves_nothing_running(installed, agents):
    _, workspace = long_running(agents)
    installed.apt("remove", "caged")
    assert installed.read(f"{workspace}/told") == b"told\n"
    assert installed.programs() == []
    assert installed.output("ls -d /run/caged /sys/fs/cgroup/caged.slice/cagedd.service "
                          "2>/dev/null || true") == ""
    assert installed.output("systemctl list-unit-files --no-legend 'cagedd*'; true") == ""
    assert installed.output("ip netns; ip -br link | grep -c cg || true") == "0"
    ended = installed.journal("MESSAGE_ID=8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a02")
    assert [entry["CAGED_REASON"] for entry in ended] == ["shutdown"]
    assert installed.output("systemctl --failed --no-legend") == ""


def test_purging_leaves_no_file_behind(host, deb):
    before = host.files()
    host.apt_install(deb)
    agents_of(host).run("true")
    during = host.files()
    host.apt("purge", "caged")
    after = host.files()
    assert {"/usr/sbin/cagedd", "/etc/caged/agents", "/etc/caged/policy.json", "/run/caged/caged.sock"} <= during - before
    assert after == before, (after - before, before - after)
    # The group stays, as Debian has it: files somewhere may be its.
    assert host.output("getent group caged").startswith("caged:")


def test_purging_leaves_the_operators_cards(installed):
    card = {"agent_id": "mine", "workspace": "/home/alice/work"}
    installed.write("/etc/caged/agents/mine.json", json.dumps(card))
    installed.systemctl("enable", "caged-agent@mine.service")
    links = "find /etc/systemd/system -name 'caged-agent@*'"
    assert "caged-agent@mine.service" in installed.output(links)
    installed.apt("purge", "caged")
    assert json.loads(installed.read("/etc/caged/agents/mine.json")) == card
    assert installed.output(links) == ""  # these would lead nowhere


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_it_can_be_installed_again(installed, deb, how):
    installed.apt(how, "caged")
    installed.apt_install(deb)
    assert installed.show("cagedd.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "active", "UnitFileState": "enabled"}
    assert agents_of(installed).run("echo hello").text == "hello\n"


def test_what_was_installed_by_hand_and_goes_before_it_is_told(host, deb):
    unit = "/usr/local/lib/systemd/system/cagedd.service"
    host.write(unit, "[Service]\nExecStart=/usr/local/sbin/cagedd\n")
    said = host.apt_install(deb).text
    assert f"caged: {unit} goes before this package's" in said and "ninja -C build uninstall" in said, said
    assert "goes before" not in host.said


# -- without the package --


@pytest.fixture(scope="module")
def built_tree():
    """What `meson install` of the build directory makes, with the prefix that it has by itself."""
    tree = paths.BUILD / "by-hand-tree"
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", paths.BUILD, "--destdir", tree],
                   check=True, stdout=subprocess.DEVNULL)
    assert (tree / "usr/local/sbin/cagedd").exists(), "the build directory has another prefix"
    yield tree
    shutil.rmtree(tree)


def commands_by_hand():
    """Those of the README after the installation, but for the one without systemd."""
    readme = (paths.ROOT / "README.md").read_text()
    block = re.search(r"^By hand.*?\n\n((?:    .*\n)+)", readme, re.M)[1]
    commands = [line.partition("#")[0].strip() for line in block.splitlines()
                if not line.strip().startswith(("sudo apt ", "meson ")) and "without systemd" not in line]
    assert [command.split()[1] for command in commands] == ["groupadd", "groupadd", "systemctl"], block
    return commands


def test_by_hand_what_the_readme_says_is_enough(host, built_tree):
    host.push(built_tree)
    host.write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    for command in commands_by_hand():
        host.run(command, user="alice", env={"USER": "alice"}, timeout=120)
    assert host.show("cagedd.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "active", "UnitFileState": "enabled"}
    assert host.show("cagedd.service", "ActiveState") == "inactive"
    caged = Caged(host)
    card = caged.card("echo hello", user="alice")
    result = caged.cagectl("run", caged.write_card(card, user="alice"), user="alice")
    assert (result.text, result.errors) == ("hello\n", "")
    assert "in force: 1 rule" in str(host.journal("_SYSTEMD_UNIT=cagedd.service"))
    refused = caged.cagectl("list", user="carol", check=False)
    assert refused.status == 77 and "usermod -aG caged" in refused.errors
