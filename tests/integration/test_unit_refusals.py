"""Spawn with `unit`, and `cagectl service`, where there is no systemd: who is told what. A cgroup that
is marked as systemd marks one stands for a unit. What works with systemd is in tests/system."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from harness import paths
from harness.varlink import VarlinkError


def unified():
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[words.index("-") + 1] == "cgroup2":
            return Path(words[4])
    raise AssertionError("no cgroup v2")


HYBRID = not {"memory", "cpu", "pids"} <= set(
    (unified() / "cgroup.controllers").read_text().split())


class Unit:
    """A folder in the v2 hierarchy that looks like a unit's, and a place in it to work from."""

    def __init__(self, delegated=True, owner=0, suffix=".service"):
        name = f"caged-test-{os.getpid()}-{os.urandom(3).hex()}{suffix}"
        self.name, self.folder = name, unified() / name
        self.folder.mkdir()
        if delegated:
            os.setxattr(self.folder, "trusted.delegate", b"1")
        os.chown(self.folder, owner, owner)

    @contextlib.contextmanager
    def inside(self, leaf="leaf"):
        """This process sits below the unit meanwhile."""
        back = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines()
                    if line.startswith("0::"))
        folder = self.folder / leaf
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text("0")
        try:
            yield
        finally:
            (unified() / back.lstrip("/") / "cgroup.procs").write_text("0")

    def remove(self):
        for path in sorted(self.folder.rglob("*/"), reverse=True):
            if path.is_dir():
                path.rmdir()
        self.folder.rmdir()


@pytest.fixture
def unit():
    made = []

    def make(**options):
        made.append(Unit(**options))
        return made[-1]

    yield make
    for each in made:
        each.remove()


def refused(client):
    error = client_error(client)
    assert error.name == "NotPermitted" and error.parameters["what"] == "unit", error
    return error.parameters["reason"]


def client_error(client):
    folder = client.daemon.folder / f"w-{os.urandom(3).hex()}"
    folder.mkdir()
    os.chown(folder, client.user.uid or 4321, client.user.gid or 4321)
    with pytest.raises(VarlinkError) as error:
        client.daemon.spawn(client.user, client.card("true", workspace=str(folder)), unit=True)
    return error.value


def test_a_user_has_no_unit_to_give(a):
    assert "only root" in refused(a)


def test_who_is_in_no_unit_is_told_so(root):
    assert "must be in a systemd service" in refused(root)


def test_a_scope_is_no_service(root, unit):
    with unit(suffix=".scope").inside():
        assert "scope" in refused(root)


def test_a_unit_that_is_not_delegated_is_refused(root, unit):
    made = unit(delegated=False)
    with made.inside():
        assert f"systemd has not delegated the cgroup of {made.name}" in refused(root)
    os.setxattr(made.folder, "trusted.delegate", b"0")
    with made.inside():
        assert "Delegate=yes" in refused(root)


def test_a_unit_of_a_users_is_refused(root, unit, people):
    """Who owns the folder could move the agent out of the limits."""
    with unit(owner=people["a"].uid).inside():
        assert f"belongs to uid {people['a'].uid}" in refused(root)


def test_a_peer_in_the_units_own_folder_is_told_to_move(root, unit):
    with unit().inside("."):
        assert "make a folder in it and move there first" in refused(root)


def test_a_peer_that_is_deeper_is_refused(root, unit):
    with unit().inside("a/b"):
        assert "deeper" in refused(root)


@pytest.mark.skipif(not HYBRID, reason="this host has its controllers on v2")
def test_a_host_with_controllers_on_v1_is_told_what_it_lacks(root, unit):
    with unit().inside():
        error = client_error(root)
    assert error.name == "NotSupported" and error.parameters["what"] == "unit"
    assert "memory controller on a cgroup v1 hierarchy" in error.parameters["reason"]


def test_nothing_is_left_in_a_unit_that_was_refused(root, unit):
    made = unit(delegated=False)
    with made.inside():
        refused(root)
    assert [path.name for path in made.folder.iterdir() if path.is_dir()] == ["leaf"]


# -- cagectl service --


@pytest.fixture
def card(root, people, base):
    """The path of a good card in a folder that is root's all the way."""
    folder = Path("/etc") / f"caged-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    written = root.cards.write(root.card("true", agent_id="alpha",
                                         workspace=str(people["a"].folder(os.urandom(4).hex()))))
    yield written.rename(folder / "alpha.json")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def service(daemon, *words, notify="/dev/null"):
    done = subprocess.run([paths.CAGECTL, "service", "--socket", daemon.socket, *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin", **({"NOTIFY_SOCKET": notify} if notify else {})})
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_service_says_that_it_is_for_units(daemon, card):
    status, told = service(daemon, card, notify=None)
    assert status == 64 and "NOTIFY_SOCKET" in told and "cagectl run" in told


def test_service_outside_of_a_unit_says_so(daemon, card):
    status, told = service(daemon, card)
    assert status == 64 and "not a unit of systemd's" in told


def test_service_refuses_a_card_of_another_name(daemon, card):
    status, told = service(daemon, "--id", "beta", card)
    assert status == 65 and "$.agent_id: found 'alpha', expected 'beta'" in told


def test_service_refuses_a_card_of_a_users(daemon, card, people):
    os.chown(card, people["a"].uid, people["a"].gid)
    status, told = service(daemon, card)
    assert status == 77 and f"{card} belongs to uid {people['a'].uid}" in told


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_service_refuses_a_card_that_others_may_write(daemon, card, mode):
    card.chmod(mode)
    status, told = service(daemon, card)
    assert status == 77 and f"write to {card} (mode {mode:04o})" in told


def test_service_refuses_a_card_in_a_folder_that_others_may_write(daemon, card, people):
    card.parent.chmod(0o777)
    status, told = service(daemon, card)
    assert status == 77 and f"write to {card.parent} (mode 0777)" in told
    card.parent.chmod(0o755)
    os.chown(card.parent, people["a"].uid, 0)
    status, told = service(daemon, card)
    assert status == 77 and f"{card.parent} belongs to uid" in told
    os.chown(card.parent, 0, 0)


def test_service_follows_a_link_to_see_whose_the_card_is(daemon, card, people, root):
    theirs = people["a"].home / f"card-{os.urandom(3).hex()}.json"
    theirs.write_bytes(card.read_bytes())
    os.chown(theirs, people["a"].uid, people["a"].gid)
    card.unlink()
    card.symlink_to(theirs)
    status, told = service(daemon, card)
    assert status == 77 and "cannot be trusted" in told


def test_service_says_what_is_wrong_with_a_card(daemon, card):
    card.write_text('{"agent_id": "alpha"}')
    status, told = service(daemon, card)
    assert status == 65 and "$.workspace" in told
    card.unlink()
    status, told = service(daemon, card)
    assert status == 66 and str(card) in told
    card.touch()


def test_wait_with_more_tells_each_change_of_state(a):
    agent_id = a.spawn("trap 'sleep 0.2; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    a.until_output(agent_id, "ready")
    with a.connect() as connection:
        connection.send("Wait", {"agent_id": agent_id}, more=True)
        states = [connection.reply()["agent"]["state"]]
        a.call("Stop", agent_id=agent_id)
        while states[-1] != "ended":
            states.append(connection.reply()["agent"]["state"])
    assert states == ["running", "stopping", "ended"]
