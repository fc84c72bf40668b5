"""What a site policy says of folders: below which roots the workspace and the mounts of a card may
lie, and in which file systems they may not."""

import contextlib
import os
import subprocess

import pytest

from harness.daemon import Daemon, site_policy, until
from harness.folders import opened, run, unique
from harness.fuse import FuseAbove
from harness.swapping import Swapping, exchange, spawns_while
from harness.varlink import VarlinkError


@pytest.fixture(scope="module")
def daemon(base, people):
    daemon = Daemon(base, people["group"]).start()
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


@pytest.fixture
def rule(daemon, people):
    """Changes the rule of the daemon's users."""
    def change(**keys):
        policy = site_policy(people["group"])
        policy["rules"][0] |= {key: list(map(str, value)) for key, value in keys.items()}
        return daemon.reload_policy(policy)
    yield change
    change()


def refusal(client, path=None, fd=None, mounts=None):
    """Why this workspace is refused, by its path or by a descriptor that stays the caller's."""
    with pytest.raises(VarlinkError) as error:
        spawn(client, path, fd)
    assert (error.value.name, error.value.parameters["what"]) == ("NotPermitted", "workspace"), \
        error.value
    return error.value.parameters["reason"]


def spawn(client, path=None, fd=None, script="true"):
    card = client.card(script, workspace=str(path or "/elsewhere"))
    if fd is None:
        client.daemon.spawn(client.user, card)
    else:
        with client.connect() as connection:
            connection.call("Spawn", {"card": card, "workspace_fd": 0}, [fd])
    return card["agent_id"]


def works(client, path=None, fd=None):
    return client.wait(spawn(client, path, fd))["exit_status"] == 0


def folder_of(user, path):
    """A new folder of the user's, and what is missing above it, root's."""
    path.mkdir(parents=True)
    os.chown(path, user.uid, user.gid)
    return path


# -- workspace_roots --


def test_a_workspace_lies_below_a_root_or_is_one(a, rule):
    home = a.user.folder(unique("roots"))
    one, two = folder_of(a.user, home / "one"), folder_of(a.user, home / "two" / "deep" / "er")
    beside = folder_of(a.user, home / "one-more")
    rule(workspace_roots=[one, home / "two"])
    assert works(a, one) and works(a, two) and works(a, folder_of(a.user, one / "x" / "y"))
    for folder in (home, beside, folder_of(a.user, home / "three")):
        assert refusal(a, folder) == (
            f'{folder} is not below any of the workspace_roots of the rule "members" of the site policy: '
            f"{one}, {home}/two")
    result = a.run("true", workspace=str(beside))
    assert result.status != 0 and f"{beside} is not below any of the" in result.errors


def test_the_root_folder_as_a_root_is_every_place(a, rule):
    rule(workspace_roots=["/"])
    assert works(a, a.user.folder(unique("anywhere")))


def test_without_a_root_there_is_no_workspace(a, rule):
    rule(workspace_roots=[])
    assert 'the rule "members" of the site policy has no workspace_roots' in \
        refusal(a, a.user.folder(unique("none")))


def test_a_root_that_is_not_there_or_is_a_link_lets_nothing_in_and_is_named(a, rule, base):
    home = a.user.folder(unique("links"))
    inner = folder_of(a.user, home / "real" / "inner")
    (home / "link").symlink_to(home / "real")
    for root, why in ((home / "nothing", "No such file or directory"),
                      (home / "link", "a symbolic link is in its way"),
                      (home / "link" / "inner", "a symbolic link is in its way")):
        rule(workspace_roots=[root])
        assert refusal(a, inner).endswith(f": {root} ({why})")
    rule(workspace_roots=[home / "nothing", home / "link", home / "real"])
    assert works(a, inner)


@pytest.mark.parametrize("root", ["srv", "/srv/../etc", "/srv/.", "//srv", "", "/srv\n"])
def test_a_root_that_could_mean_two_things_is_no_policy(a, rule, root):
    with pytest.raises(VarlinkError) as error:
        rule(workspace_roots=[root])
    assert error.value.name == "InvalidPolicy"
    assert error.value.parameters["path"] == "$.rules[0].workspace_roots[0]"


def test_a_root_that_comes_later_counts_from_then_on(a, rule, base, mounts):
    """No root is held open: so one can be mounted, unmounted and made after the policy was read."""
    root = base / unique("later")
    rule(workspace_roots=[root])
    root.mkdir()
    mounts("-t", "tmpfs", "-o", "mode=755", "t", at=root)
    assert works(a, folder_of(a.user, root / "first"))
    # Not busy, once the descriptor that came with the request is closed.
    until(lambda: subprocess.run(["umount", root], capture_output=True).returncode == 0)
    mounts("-t", "tmpfs", "-o", "mode=755", "t", at=root)
    assert works(a, folder_of(a.user, root / "second"))


def test_what_is_mounted_below_a_root_is_below_it_and_by_another_way_it_is_not(a, rule, base,
                                                                               mounts):
    root, elsewhere = base / unique("root"), base / unique("elsewhere")
    inner = folder_of(a.user, elsewhere / "inner")
    (root / "mounted").mkdir(parents=True)
    mounts("--bind", elsewhere, at=root / "mounted")
    rule(workspace_roots=[root])
    assert works(a, root / "mounted" / "inner")
    assert "is not below any" in refusal(a, inner)
    # and the other way round: a folder of the root's, but not by way of the root
    below = folder_of(a.user, root / "below")
    (further := base / unique("further")).mkdir()
    mounts("--bind", root, at=further)
    assert works(a, below)
    assert "is not below any" in refusal(a, further / "below")


def test_names_are_no_way_below_a_root(a, rule):
    home = a.user.folder(unique("names"))
    root = folder_of(a.user, home / "root")
    rule(workspace_roots=[root])
    for name in ("root (deleted)", "root\n", "root\\040", "root\N{ZERO WIDTH SPACE}", "Root",
                 "root ", "rootx", "roo"):
        folder = folder_of(a.user, home / name)
        fd = opened(a.user, folder)
        assert "is not below any" in refusal(a, fd=fd), name
        os.close(fd)
    (root / "link").symlink_to(home / "rootx")
    assert "is not below any" in refusal(a, root / "link")
    for name in ("a (deleted)", "line\nbreak", "back\\slash", "\N{SNOWMAN}", "x" * 255):
        fd = opened(a.user, folder_of(a.user, root / name))
        assert works(a, fd=fd), name
        os.close(fd)


def test_a_folder_that_was_moved_lies_where_it_is_now(a, rule):
    home = a.user.folder(unique("moved"))
    root = folder_of(a.user, home / "root")
    rule(workspace_roots=[root])
    inside, outside = folder_of(a.user, root / "one"), folder_of(a.user, home / "two")
    fds = opened(a.user, inside), opened(a.user, outside)
    inside.rename(home / "one")
    outside.rename(root / "two")
    assert "is not below any" in refusal(a, fd=fds[0])
    assert works(a, fd=fds[1])
    for fd in fds:
        os.close(fd)


def test_while_a_root_is_swapped_for_a_link_nothing_outside_gets_in(a, rule):
    """A root in a user's own folder: the user can make of its name what he likes."""
    home = a.user.folder(unique("swapped"))
    root, link = folder_of(a.user, home / "root"), home / "link"
    link.symlink_to("/")
    outside = folder_of(a.user, home / "outside")
    inside = folder_of(a.user, root / "inside")
    rule(workspace_roots=[root])
    for folder in (outside, inside):
        (folder / "whose").write_text(folder.name)
    fds = [opened(a.user, outside), opened(a.user, inside)]
    turn = iter(range(10**9))
    ran, outputs, reasons = spawns_while(Swapping(lambda: exchange(root, link)), a,
                                         lambda: os.dup(fds[next(turn) % 2]), "cat whose")
    assert ran > 0 and outputs == {"inside"}, (ran, outputs, reasons)
    assert any("outside is not below any" in reason for reason in reasons), reasons
    for fd in fds:
        os.close(fd)


def test_while_a_folder_goes_in_and_out_of_a_root_it_is_what_was_opened(a, b, rule):
    home = a.user.folder(unique("wandering"))
    root = folder_of(a.user, home / "root")
    inside, outside = root / "w", home / "w"
    folder_of(a.user, inside)
    (inside / "whose").write_text("mine")
    rule(workspace_roots=[root])
    fd = opened(a.user, inside)
    ran, outputs, reasons = spawns_while(
        Swapping(lambda: os.rename(inside, outside), lambda: os.rename(outside, inside)), a,
        lambda: os.dup(fd), "cat whose")
    os.close(fd)
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all("is not below any" in reason for reason in reasons), reasons


def test_a_fuse_in_the_way_of_a_root_is_not_waited_for(a, b, rule):
    home = a.user.folder(unique("fuse"))
    covered = folder_of(a.user, home / "covered")
    rule(workspace_roots=[covered / "inner" / "root", home / "root"])
    other, below = folder_of(a.user, home / "other"), folder_of(a.user, home / "root" / "below")
    fuse = FuseAbove(covered, a.user)
    fuse.hangs = True
    try:
        with a.connect() as connection:
            fd = opened(a.user, other)
            connection.send("Spawn", {"card": a.card("true", workspace=str(other)),
                                      "workspace_fd": 0}, [fd])
            assert b.call("List") is not None
            message = connection.receive()
            os.close(fd)
        assert f"{covered}/inner/root (" in str(message) and "is not below any" in str(message)
        assert works(a, below)
        assert fuse.unanswered == []
    finally:
        fuse.close()


@pytest.fixture
def disk(base):
    """A file system whose folders the kernel has not read yet."""
    image, folder = base / unique("image"), base / unique("disk")
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    run("mkfs.ext4", "-q", image)

    def mount():
        done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no loop devices here: {done.stderr}")
        return folder
    yield mount
    with contextlib.suppress(subprocess.CalledProcessError):
        run("umount", "-l", folder)
    image.unlink()


def test_what_the_kernel_has_not_in_memory_is_looked_up(a, rule, disk):
    """Access lists that were never read: then openat2(2) cannot answer from its cache alone."""
    folder = disk()
    inner = folder_of(a.user, folder / "home" / "of-a" / "root" / "work")
    for path in (folder / "home" / "of-a", folder / "home" / "of-a" / "root"):
        os.chown(path, a.user.uid, a.user.gid)
        path.chmod(0o750)
    run("umount", folder)
    disk()
    rule(workspace_roots=[folder / "home" / "of-a" / "root"])
    assert works(a, inner)
    run("umount", folder)
    disk()
    rule(workspace_roots=[folder / "home" / "of-a" / "root" / "work" / "nothing"])
    assert "(No such file or directory)" in refusal(a, inner)


def test_a_rule_that_names_root_holds_root(root, a, daemon, people, base):
    folder = a.user.folder(unique("of-root"))
    card = root.card("true", workspace=str(folder))
    policy = site_policy(people["group"])
    policy["rules"].append({"name": "even root", "users": ["root"],
                            "workspace_roots": [str(base / "b")]})
    daemon.reload_policy(policy)
    with pytest.raises(VarlinkError) as error:
        root.call("Spawn", card=card)
    assert 'of the rule "even root" of the site policy' in error.value.parameters["reason"]
    daemon.reload_policy(site_policy(people["group"]))
    root.call("Spawn", card=card)
    assert root.wait(card["agent_id"])["exit_status"] == 0


# -- excluded_file_systems --


def test_a_file_system_that_is_excluded_is_refused_by_its_type(a, rule, base, mounts):
    folder = base / unique("tmpfs")
    folder.mkdir()
    mounts("-t", "tmpfs", "-o", f"uid={a.user.uid},gid={a.user.gid}", "t", at=folder)
    rule(excluded_file_systems=["nfs", "nfs4"])
    assert works(a, folder)
    rule(excluded_file_systems=["nfs4", "tmpfs"])
    assert refusal(a, folder) == (f"{folder} lies in a file system of the type tmpfs, which the rule "
                                  '"members" of the site policy excludes')
    rule(excluded_file_systems=["tmp", "tmpfsx", "TMPFS"])
    assert works(a, folder)


# -- mounts --


def mount_refusal(client, source, readonly=True):
    with pytest.raises(VarlinkError) as error:
        with_mount(client, source, readonly)
    assert (error.value.name, error.value.parameters["what"]) == \
        ("NotPermitted", "$.mounts[0].source"), error.value
    return error.value.parameters["reason"]


def with_mount(client, source, readonly=True):
    card = client.card("true", mounts=[{"source": str(source), "target": "/data",
                                        "readonly": readonly}])
    fds = [opened(client.user, path) for path in (card["workspace"], source)]
    try:
        with client.connect() as connection:
            connection.call("Spawn", {"card": card, "workspace_fd": 0, "mount_fds": [1]}, fds)
    finally:
        for fd in fds:
            os.close(fd)
    return client.wait(card["agent_id"])["exit_status"] == 0


def test_unless_the_policy_says_so_there_are_no_mounts(a, rule):
    folder = a.user.folder(unique("source"))
    for readonly, name in ((True, "mount_roots"), (False, "writable_mount_roots")):
        with pytest.raises(VarlinkError) as error:
            with_mount(a, folder, readonly)
        assert error.value.parameters["what"] == "$.mounts[0]"
        assert name in error.value.parameters["reason"], error.value
        assert '"members"' in error.value.parameters["reason"], error.value


def test_mounts_lie_below_their_roots(a, rule, base):
    home = a.user.folder(unique("mounts"))
    shared, mine, other = (folder_of(a.user, home / name / "x") for name in ("s", "m", "o"))
    rule(mount_roots=[home / "s"], writable_mount_roots=[home / "m"])
    assert with_mount(a, shared) and with_mount(a, mine, readonly=False)
    assert f'of the rule "members" of the site policy: {home}/m' in mount_refusal(a, shared, False)
    assert "not below any of the writable_mount_roots" in mount_refusal(a, other, False)
    assert "not below any of the mount_roots" in mount_refusal(a, other)
    assert "not below any of the mount_roots" in mount_refusal(a, mine)


def test_mounts_are_held_against_excluded_file_systems(a, rule, base, mounts):
    folder = base / unique("tmpfs")
    folder.mkdir()
    mounts("-t", "tmpfs", "-o", f"uid={a.user.uid},gid={a.user.gid}", "t", at=folder)
    rule(excluded_file_systems=["tmpfs"], mount_roots=["/"], writable_mount_roots=["/"])
    for readonly in (True, False):
        assert "of the type tmpfs" in mount_refusal(a, folder, readonly)


def test_a_running_agent_keeps_its_mounts_when_the_policy_changes(a, rule, base):
    folder = a.user.folder(unique("kept"))
    rule(mount_roots=[folder])
    card = a.card("until [ -e go ]; do sleep 0.1; done; ls /data",
                  mounts=[{"source": str(folder), "target": "/data"}])
    fds = [opened(a.user, path) for path in (card["workspace"], folder)]
    with a.connect() as connection:
        connection.call("Spawn", {"card": card, "workspace_fd": 0, "mount_fds": [1]}, fds)
    for fd in fds:
        os.close(fd)
    rule(mount_roots=[base])
    rule(mount_roots=["/nowhere"])
    assert "not below any of the mount_roots" in mount_refusal(a, folder)
    (folder / "seen").write_text("x")
    with open(os.path.join(card["workspace"], "go"), "w"):
        pass
    assert a.wait(card["agent_id"])["exit_status"] == 0
    assert a.output(card["agent_id"])[0] == b"seen\n"
