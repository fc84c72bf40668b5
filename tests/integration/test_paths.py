"""Which folders an agent may have: what they are, where they lie, and that nobody can change either
under the daemon's feet. test_ownership.py has whose they must be; test_policy_paths.py the roots and
file systems of a site policy."""

import contextlib
import ctypes
import os
import shutil
import threading
import time

import pytest

from harness.daemon import Client, Daemon
from harness.folders import opened, run, unique
from harness.fuse import FuseAbove
from harness.swapping import Swapping, exchange, spawns_while
from harness.users import acting_as
from harness.varlink import VarlinkError

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
BELOW_A_FUSE = "lies below a file system that the kernel or a program (FUSE) makes up"


def spawn(client, fd, script="true", **keys):
    card = client.card(script, workspace="/elsewhere", **keys)
    with client.connect() as connection:
        connection.call("Spawn", {"card": card, "workspace_fd": 0}, [fd])
    return card["agent_id"]


def refusal(client, fd, **keys):
    with pytest.raises(VarlinkError) as error:
        spawn(client, fd, **keys)
    assert (error.value.name, error.value.parameters["what"]) == ("NotPermitted", "workspace"), \
        error.value
    return error.value.parameters["reason"]


@pytest.fixture
def below(a):
    """Makes a folder of a's somewhere, and takes it away."""
    made = []

    def make(parent, name=None):
        folder = os.path.join(parent, name or unique("caged-test"))
        os.mkdir(folder)
        made.append(folder)
        os.chown(folder, a.user.uid, a.user.gid)
        return folder
    yield make
    for folder in reversed(made):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)


# -- system folders --


@pytest.mark.parametrize("parent, told", [
    ("/etc", "/etc"), ("/usr/share", "/usr"), ("/usr/lib", "/lib"), ("/run", "/run"),
    ("/var/log", "/var"), ("/var/cache", "/var"), ("/root", "/root"),
    ("/boot", "/boot")])
def test_ones_own_folder_in_a_system_folder_is_refused(a, below, parent, told):
    fd = os.open(folder := below(parent), os.O_RDONLY)
    assert f"{folder} lies in the system folder {told}" in refusal(a, fd)
    os.close(fd)


@pytest.mark.parametrize("parent", ["/var/lib", "/var/tmp", "/dev/shm", "/tmp", "/opt", "/srv", "/mnt", "/home",
                                    "/usr/local/src"])
def test_where_users_keep_their_own_they_may_work(a, below, parent):
    if not os.path.isdir(parent):
        pytest.skip(f"this host has no {parent}")
    fd = os.open(below(parent), os.O_RDONLY)
    assert a.wait(spawn(a, fd))["exit_status"] == 0
    os.close(fd)


def test_a_folder_for_sockets_of_the_users_systemd_is_refused(a, below, mounts):
    """/run/user/UID is the user's own, and a file system of its own."""
    parent = "/run/user" if os.path.isdir("/run/user") else below("/run", "user")
    runtime = below(parent)
    mounts("-t", "tmpfs", "-o", f"uid={a.user.uid},gid={a.user.gid},mode=700", "t", at=runtime)
    fd = opened(a.user, runtime)
    assert f"{runtime} lies in the system folder /run" in refusal(a, fd)
    os.close(fd)


def test_a_link_to_a_system_folder_leads_to_the_same_refusal(a, base, below):
    """What counts is what a folder is, not how one came there."""
    inner = below("/var/cache")
    (link := base / unique("link")).symlink_to("/var/cache")
    fd = opened(a.user, link / os.path.basename(inner))
    assert f"{inner} lies in the system folder /var" in refusal(a, fd)
    os.close(fd)


def test_a_further_mount_of_a_whole_system_folder_is_one_too(a, base, below, mounts):
    inner = below("/etc")
    further = base / unique("further")
    further.mkdir()
    mounts("--bind", "/etc", at=further)
    fd = opened(a.user, further / os.path.basename(inner))
    assert "lies in the system folder /etc" in refusal(a, fd)
    os.close(fd)


def test_roots_cards_are_held_to_it_as_well(root, below):
    folder = below("/etc")
    with pytest.raises(VarlinkError) as error:
        root.call("Spawn", card=root.card("true", workspace=folder))
    assert "lies in the system folder /etc" in error.value.parameters["reason"]


# -- caged's own folders --


def test_a_folder_that_holds_one_of_the_daemons_own_is_refused(a, daemon, base):
    """Whoever writes where the daemon's socket or programs lie is the daemon's master."""
    for folder in (base, daemon.folder, daemon.libexec):
        status = folder.stat()
        os.chown(folder, a.user.uid, a.user.gid)
        fd = opened(a.user, folder)
        reason = refusal(a, fd)
        os.chown(folder, status.st_uid, status.st_gid)
        os.close(fd)
        assert f"{folder} is or holds the folder {daemon.folder}" in reason


def test_a_folder_in_the_daemons_own_is_refused(a, daemon, below):
    fd = opened(a.user, folder := below(daemon.libexec))
    assert f"{folder} lies in the folder {daemon.libexec} of caged's own" in refusal(a, fd)
    os.close(fd)


@pytest.mark.parametrize("name", ["caged-init", "caged-gate", "caged-scan"])
def test_a_folder_that_a_program_of_the_daemons_really_lies_in_is_refused(people, base, name):
    daemon = Daemon(base, people["group"])
    behind = people["a"].folder(unique("behind"))
    shutil.copy(daemon.libexec / name, behind)
    (daemon.libexec / name).unlink()
    (daemon.libexec / name).symlink_to(behind / name)
    daemon.start()
    fd = opened(people["a"], behind)
    try:
        reason = refusal(Client(daemon, people["a"]), fd)
    finally:
        os.close(fd)
        assert daemon.stop() == 0
    assert f"{behind} is or holds the folder {behind} of caged's own" in reason


# -- mounts --


def test_a_read_only_mount_is_refused(a, mounts):
    folder = a.user.folder(unique("read-only"))
    mounts("--bind", "-o", "ro", folder, at=folder)
    fd = opened(a.user, folder)
    assert f"{folder} lies in a mount that is read-only" in refusal(a, fd)
    os.close(fd)


def test_flags_of_the_workspaces_mount_stay_in_the_cage(a, mounts):
    folder = a.user.folder(unique("flags"))
    mounts("-t", "tmpfs", "-o", f"uid={a.user.uid},gid={a.user.gid},noexec,noatime", "t", at=folder)
    result = a.run("grep ' /workspace ' /proc/self/mountinfo; cp /usr/bin/true . && ./true",
                   workspace=str(folder))
    assert {"nosuid", "nodev", "noexec", "noatime"} <= set(result.text.split()[5].split(","))
    assert result.status == 126 and "Permission denied" in result.errors


def test_an_overlay_is_refused_with_the_reason_or_works(a, mounts):
    """The kernel decides whether one can be idmapped."""
    parts = [a.user.folder(unique(name)) for name in ("lower", "upper", "work", "merged")]
    mounts("-t", "overlay", "-o", "lowerdir={},upperdir={},workdir={}".format(*parts[:3]), "o",
           at=parts[3])
    result = a.run("touch made", workspace=str(parts[3]))
    if result.status == 0:
        assert (parts[1] / "made").stat().st_uid == a.user.uid
    else:
        assert "cannot be idmapped" in result.errors, result


def test_a_folder_of_another_mount_namespace_is_refused(a):
    """The same folder, but by way of a mount that the daemon does not have."""
    folder = a.user.folder(unique("elsewhere"))
    found = []

    def look():
        assert LIBC.unshare(CLONE_NEWNS) == 0
        found.append(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert "mount namespace that is not the daemon's" in refusal(a, found[0])
    os.close(found[0])


def test_a_detached_mount_is_refused(a, mounts):
    """What was taken out of the tree of files is below no root, whatever its path says."""
    folder = a.user.folder(unique("detached"))
    run("mount", "-t", "tmpfs", "-o", f"uid={a.user.uid},gid={a.user.gid}", "t", folder)
    fd = opened(a.user, folder)
    run("umount", "-l", folder)
    assert "mount namespace" in refusal(a, fd)
    os.close(fd)


@pytest.mark.parametrize("name, times, told", [
    ("d", 200, "lies more than 127 folders deep"), ("n" * 250, 17, "its path is longer than")])
def test_a_folder_that_lies_too_deep_is_refused(a, name, times, told):
    folder = a.user.folder(unique("deep"))
    with acting_as(a.user):
        fd = os.open(folder, os.O_RDONLY)
        for _ in range(times):
            os.mkdir(name, dir_fd=fd)
            inner = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
    assert told in refusal(a, fd)
    os.close(fd)


# -- under the daemon's feet --


def test_while_a_folder_is_swapped_for_another_users_only_ones_own_is_seen(a, b):
    """Both have the same path in turn; the agent's is always the one that the checks saw."""
    parent = a.user.folder(unique("swap"), 0o777)
    mine, theirs = parent / "mine", parent / "theirs"
    for folder, user, text in ((mine, a.user, "mine"), (theirs, b.user, "theirs")):
        folder.mkdir()
        (folder / "whose").write_text(text)
        os.chown(folder, user.uid, user.gid)
    ran, outputs, reasons = spawns_while(
        Swapping(lambda: exchange(mine, theirs)), a, lambda: opened(a.user, mine), "cat whose")
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all("you are uid" in reason for reason in reasons), reasons


def test_while_a_link_takes_a_folders_place_the_opened_folder_is_seen(a, base):
    parent = a.user.folder(unique("links"))
    mine, link = parent / "mine", parent / "link"
    mine.mkdir()
    (mine / "whose").write_text("mine")
    os.chown(mine, a.user.uid, a.user.gid)
    link.symlink_to(base)
    ran, outputs, reasons = spawns_while(
        Swapping(lambda: exchange(mine, link)), a, lambda: opened(a.user, mine), "cat whose")
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all("belongs to root" in reason for reason in reasons), reasons


def test_while_a_folder_wanders_through_a_system_folder_the_daemon_serves(a, b, below):
    """Its owner may move it about, so where it lies is only ever true for a moment: each answer is
    one that fits some moment."""
    parents = [below("/var/tmp"), below("/var/cache")]
    folder = os.path.join(parents[0], "wandering")
    os.mkdir(folder)
    os.chown(folder, a.user.uid, a.user.gid)
    with open(os.path.join(folder, "whose"), "w") as file:
        file.write("mine")
    fd = opened(a.user, folder)
    other = os.path.join(parents[1], "wandering")
    if os.stat(parents[0]).st_dev != os.stat(parents[1]).st_dev:
        pytest.skip("/var/tmp and /var/cache are two file systems here")
    ran, outputs, reasons = spawns_while(
        Swapping(lambda: os.rename(folder, other), lambda: os.rename(other, folder)), a,
        lambda: os.dup(fd), "cat whose")
    os.close(fd)
    run("rm", "-rf", folder, other)
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all("lies in the system folder /var" in reason for reason in reasons), reasons
    assert b.call("List") is not None


def test_while_mounts_come_and_go_on_a_workspace_only_ones_own_is_seen(a, base):
    """What is mounted over it later is not what was opened."""
    secret = base / unique("secret")
    secret.mkdir(mode=0o755)
    (secret / "whose").write_text("secret")
    folder = a.user.folder(unique("covered"))
    (folder / "whose").write_text("mine")
    cover = Swapping(lambda: LIBC.mount(str(secret).encode(), str(folder).encode(), None, 4096, None),
                     lambda: LIBC.umount2(str(folder).encode(), 2))
    ran, outputs, reasons = spawns_while(cover, a, lambda: opened(a.user, folder), "cat whose")
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all("belongs to root" in reason or "mount namespace" in reason
               for reason in reasons), reasons


def test_a_hard_link_to_anothers_file_gives_no_more_than_its_mode(a, b):
    """Hard links need no access to the file where the host does not forbid it; so in a workspace
    there may be files of anybody's."""
    theirs = b.user.folder(unique("theirs"))
    mine = a.user.folder(unique("mine"))
    for name, mode in (("private", 0o600), ("public", 0o644)):
        (theirs / name).write_text(name)
        os.chown(theirs / name, b.user.uid, b.user.gid)
        (theirs / name).chmod(mode)
        os.link(theirs / name, mine / name)
    result = a.run("cat public; cat private; echo x >public; echo x >private; chmod 666 private",
                   workspace=str(mine))
    assert result.text == "public" and result.errors.count("denied") >= 3, result
    assert (theirs / "public").read_text() == "public"
    assert (theirs / "private").stat().st_mode & 0o777 == 0o600


def test_a_fuse_above_a_workspace_is_not_waited_for(a, b, mounts):
    """A user may mount a program of his over a folder at any moment; what lies below it in a real file
    system is root's doing, and the kernel would ask the program on the way up."""
    above, real = a.user.folder(unique("above")), a.user.folder(unique("real"))
    fuse = FuseAbove(above, a.user)
    try:
        run("mount", "--bind", real, above / "inner")
        fd = opened(a.user, above / "inner")
        fuse.hangs = True
        with a.connect() as connection:
            connection.send("Spawn", {"card": a.card("true", workspace=str(above / "inner")),
                                      "workspace_fd": 0}, [fd])
            assert b.call("List") is not None
            message = connection.receive()
        assert BELOW_A_FUSE in str(message), message
        assert fuse.unanswered == []
        os.close(fd)
    finally:
        fuse.close()
    fd = opened(a.user, real)
    assert a.wait(spawn(a, fd))["exit_status"] == 0
    os.close(fd)


def test_a_fuse_in_the_place_of_a_folder_above_is_not_waited_for(a, b):
    outer = a.user.folder(unique("outer"))
    inner = outer / "inner"
    inner.mkdir()
    os.chown(inner, a.user.uid, a.user.gid)
    fd = opened(a.user, inner)
    fuse = FuseAbove(outer, a.user)
    fuse.hangs = True
    try:
        with a.connect() as connection:
            connection.send("Spawn", {"card": a.card("true", workspace=str(inner)),
                                      "workspace_fd": 0}, [fd])
            assert b.call("List") is not None
            message = connection.receive()
        assert BELOW_A_FUSE in str(message), message
        assert fuse.unanswered == []
    finally:
        fuse.close()
    assert a.wait(spawn(a, fd))["exit_status"] == 0
    os.close(fd)


def test_while_a_fuse_comes_and_goes_above_a_workspace_the_daemon_serves(a, b):
    """One that never answers anything, wherever the daemon's look at the path just is."""
    outer = a.user.folder(unique("outer"))
    inner = outer / "inner"
    inner.mkdir()
    (inner / "whose").write_text("mine")
    os.chown(inner, a.user.uid, a.user.gid)
    fd = opened(a.user, inner)
    made = []

    def come():
        made.append(FuseAbove(outer, a.user))
        made[-1].hangs = True

    def go():
        made.pop().close()

    swapping = Swapping(come, go, lambda: time.sleep(0.05))
    ran, outputs, reasons = spawns_while(swapping, a, lambda: os.dup(fd), "cat whose", rounds=20)
    os.close(fd)
    assert ran > 0 and outputs == {"mine"}, (ran, outputs, reasons)
    assert all(BELOW_A_FUSE in reason for reason in reasons), reasons
    assert b.call("List") is not None
