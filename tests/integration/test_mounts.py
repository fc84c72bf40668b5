"""`mounts` of a card: further folders of the host, as the caller could use them and never more."""

import os
import socket
import stat
import subprocess

import pytest

from harness import leftovers, paths
from harness.daemon import Client, Daemon, site_policy
from harness.folders import opened, unique
from harness.users import acting_as
from harness.varlink import VarlinkError


@pytest.fixture(scope="module")
def daemon(base, people):
    """One whose policy lets its members have mounts of every folder."""
    policy = site_policy(people["group"])
    policy["rules"][0] |= {"mount_roots": ["/"], "writable_mount_roots": ["/"]}
    daemon = Daemon(base, people["group"], policy=policy).start()
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


def spawn(client, script, mounts, fds=None, **keys):
    """Over raw Varlink, each source opened as the user; the agent's id."""
    card = client.card(script, mounts=mounts, **keys)
    own = fds is None
    fds = [opened(client.user, mount["source"]) for mount in mounts] if own else fds
    workspace = opened(client.user, card["workspace"])
    try:
        with client.connect() as connection:
            connection.call("Spawn", {"card": card, "workspace_fd": 0,
                                      "mount_fds": list(range(1, len(fds) + 1))},
                            [workspace, *fds])
    finally:
        for fd in [workspace, *(fds if own else [])]:
            os.close(fd)
    return card["agent_id"]


def refused(client, mounts, fds=None, **keys):
    with pytest.raises(VarlinkError) as error:
        spawn(client, "true", mounts, fds, **keys)
    return error.value


@pytest.fixture
def shared(base):
    """Root's folder that everybody can read."""
    folder = base / unique("shared")
    folder.mkdir(mode=0o755)
    (folder / "text").write_text("for all\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "more").write_text("more\n")
    yield folder
    subprocess.run(["rm", "-rf", "--", folder], check=True)


def test_a_folder_of_roots_is_seen_and_read_only(a, shared):
    result = a.run("cat /data/text /data/inner/more && stat -c %U:%G /data/text\n"
                   "for what in 'echo x >/data/text' 'touch /data/new' 'mkdir /data/new'"
                   " 'rm /data/text' 'chmod 777 /data' 'mv /data/text /data/other'; do"
                   " sh -c \"$what\" && exit 1; done 2>/dev/null; exit 0",
                   mounts=[{"source": str(shared), "target": "/data"}])
    assert (result.status, result.text) == (0, "for all\nmore\nnobody:nogroup\n"), result
    assert sorted(path.name for path in shared.iterdir()) == ["inner", "text"]
    assert (shared / "text").read_text() == "for all\n"


def test_a_folder_of_the_callers_can_be_written_in_if_it_is_asked_for(a):
    folder = a.user.folder(unique("mine"))
    result = a.run("cd; echo x >.cache/go/made; stat -c %U:%G .cache .cache/go .cache/go/made;"
                   "grep ' /home/agent/.cache/go ' /proc/self/mountinfo", mounts=[
                       {"source": str(folder), "target": "/home/agent/.cache/go",
                        "readonly": False}])
    assert result.status == 0, result
    *owners, line = result.text.splitlines()
    assert owners == ["agent:agent"] * 3
    assert line.split()[5].startswith("rw,nosuid,nodev"), line
    status = (folder / "made").stat()
    assert (status.st_uid, status.st_gid) == (a.user.uid, a.user.gid)


def test_read_only_is_what_a_mount_is_without_a_word(a):
    folder = a.user.folder(unique("mine"))
    result = a.run("touch /data/x; grep ' /data ' /proc/self/mountinfo",
                   mounts=[{"source": str(folder), "target": "/data"}])
    assert "Read-only file system" in result.errors
    assert result.text.split()[5].startswith("ro,nosuid,nodev")
    assert list(folder.iterdir()) == []


def test_the_agent_sees_what_its_owner_sees_and_no_more(a, b, shared):
    def file(name, owner, mode):
        path = shared / name
        path.write_text(name)
        os.chown(path, *owner)
        path.chmod(mode)

    mine, others = (a.user.uid, a.user.gid), (b.user.uid, b.user.gid)
    file("mine", mine, 0o600)
    file("my-groups", (b.user.uid, a.user.gid), 0o640)
    file("others", others, 0o600)
    file("others-group", others, 0o640)
    file("roots", (0, 0), 0o600)
    file("of-the-agents-number", (1000, 1000), 0o600)
    (shared / "closed").mkdir(mode=0o700)
    (shared / "closed" / "open-inside").write_text("x")
    os.chown(shared / "closed", *others)
    result = a.run("cd /data; cat *; cat closed/open-inside; ls closed; stat -c %n:%U:%G *",
                   mounts=[{"source": str(shared), "target": "/data"}])
    read, *rest = result.text.split("\n")
    assert result.text.startswith("mine" "my-groups"), result
    shown = dict(line.split(":", 1) for line in rest + [read] if line.count(":") == 2)
    assert shown["my-groups"] == "nobody:agent" and shown["others"] == "nobody:nogroup"
    for name in ("others", "others-group", "roots", "of-the-agents-number",
                 "closed/open-inside"):
        assert f"cat: {name}: Permission denied" in result.errors, (name, result)
    assert "cannot open directory 'closed'" in result.errors
    assert "open-inside" not in result.text


def test_of_a_group_of_the_callers_the_agent_is_in_that_folder(a, b, daemon, shared):
    """The daemon's group is one in which both users are, and the primary one of neither."""
    gid = daemon.socket.stat().st_gid
    folder = shared / "for-members"
    folder.mkdir()
    os.chown(folder, 0, gid)
    folder.chmod(0o750)
    (folder / "text").write_text("for members\n")
    mounts = [{"source": str(folder), "target": "/srv/members"}]
    assert a.run("cat /srv/members/text", mounts=mounts).text == "for members\n"
    os.chown(folder, 0, b.user.gid)
    card = a.cards.write(a.card("true", mounts=mounts))
    result = a.cagectl("run", card)
    assert result.status != 0 and f"$.mounts[0].source: cannot open {folder}" in result.errors
    # b opened it and passed it on: to a's agent it is of no use, and that is said
    fd = opened(b.user, folder)
    error = refused(a, mounts, [fd])
    os.close(fd)
    assert (error.name, error.parameters["step"]) == ("SpawnFailed", "mounts")
    assert "/srv/members: the agent could not read it" in error.parameters["reason"]


def test_a_folder_of_somebody_elses_cannot_be_written_in(a, b, shared):
    theirs = b.user.folder(unique("theirs"), 0o777)
    for folder, told in ((shared, "belongs to root"), (theirs, "you are uid")):
        error = refused(a, [{"source": str(folder), "target": "/data", "readonly": False}])
        assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.mounts[0].source")
        assert str(folder) in error.parameters["reason"] and told in error.parameters["reason"]


def test_a_descriptor_by_o_path_is_no_proof(a, b):
    """It can be had of a folder that its owner may not even list."""
    closed = b.user.folder(unique("closed"), 0o700)
    fd = opened(a.user, closed, os.O_PATH | os.O_DIRECTORY)
    error = refused(a, [{"source": str(closed), "target": "/data"}], [fd])
    os.close(fd)
    assert error.name == "NotPermitted" and "O_PATH" in error.parameters["reason"]


@pytest.mark.parametrize("path, told", [
    ("/etc", "is a system folder"), ("/usr/share", "lies in the system folder /usr"),
    ("/usr/lib", "system folder"), ("/dev", "is a system folder"), ("/", "is a system folder"),
    ("/run", "is a system folder"), ("/var", "is a system folder"),
    ("/var/log", "lies in the system folder /var"), ("/var/tmp", "is a system folder"),
    ("/var/lib", "is a system folder"), ("/proc", "the kernel or a program"),
    ("/proc/self/fd", "the kernel or a program"), ("/sys", "the kernel or a program")])
def test_folders_of_the_systems_are_refused_read_only_too(a, path, told):
    error = refused(a, [{"source": "/elsewhere", "target": "/data"}],
                    [fd := os.open(path, os.O_RDONLY | os.O_DIRECTORY)])
    os.close(fd)
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.mounts[0].source")
    assert told in error.parameters["reason"]


def test_what_is_no_folder_is_refused(a):
    folder = a.user.folder(unique("kinds"))
    with acting_as(a.user):
        (folder / "file").write_text("x")
        (folder / "gone").mkdir()
        os.mkfifo(folder / "fifo")
        fds = {"is not a folder": os.open(folder / "file", os.O_RDONLY),
               "fifo is not a folder": os.open(folder / "fifo", os.O_RDWR),
               "has been deleted": os.open(folder / "gone", os.O_RDONLY),
               "mount namespace": os.memfd_create("x"),
               "socket": socket.socket(socket.AF_UNIX).detach()}
        (folder / "gone").rmdir()
    for told, fd in fds.items():
        error = refused(a, [{"source": "/elsewhere", "target": "/data"}], [fd])
        assert error.name == "NotPermitted" and told in str(error), (told, error)
        os.close(fd)


def test_each_mount_needs_its_descriptor(a, shared):
    mounts = [{"source": str(shared), "target": f"/data/{i}"} for i in range(2)]
    card = a.card("true", mounts=mounts)
    workspace, fd = opened(a.user, card["workspace"]), opened(a.user, shared)
    for indexes, told in (([1], "1 descriptors for 2 mounts"), ([1, 1, 1], "3 descriptors for 2"),
                          ([1, 9], "no descriptor of that index"), (None, "must come with a"),
                          ([1, -1], "mount_fds"), (["1", 1], "mount_fds"), ({}, "mount_fds")):
        with a.connect() as connection, pytest.raises(VarlinkError) as error:
            connection.call("Spawn", {"card": card, "workspace_fd": 0, "mount_fds": indexes},
                            [workspace, fd])
        assert told in str(error.value), (indexes, error.value)
    with a.connect() as connection:  # the same one twice is fine
        connection.call("Spawn", {"card": card, "workspace_fd": 0, "mount_fds": [1, 1]},
                        [workspace, fd])
    assert a.wait(card["agent_id"])["exit_status"] == 0
    plain = a.card("true", workspace=card["workspace"])
    with a.connect() as connection, pytest.raises(VarlinkError) as error:
        connection.call("Spawn", {"card": plain, "workspace_fd": 0, "mount_fds": [1]},
                        [workspace, fd])
    assert "1 descriptors for 0 mounts" in str(error.value)
    os.close(workspace)
    os.close(fd)


def test_what_is_null_is_left_out(a, shared):
    """So Varlink clients write it."""
    agent_id = spawn(a, "true", [{"source": str(shared), "target": "/data", "readonly": None}])
    assert a.inspect(agent_id)["mounts"][0]["readonly"] is True


def test_root_may_have_paths_opened_but_no_links_followed(a, root, shared):
    link = shared / "link"
    link.symlink_to(shared / "inner")
    card = root.card("cat /data/more", workspace=str(a.user.folder(unique("w"))),
                     mounts=[{"source": str(shared / "inner"), "target": "/data"}])
    root.call("Spawn", card=card)
    assert root.wait(card["agent_id"])["exit_status"] == 0
    assert root.output(card["agent_id"])[0] == b"more\n"
    card["mounts"][0]["source"] = str(link)
    with pytest.raises(VarlinkError) as error:
        root.call("Spawn", card=card)
    assert error.value.parameters["what"] == "$.mounts[0].source"


def test_in_roots_cards_the_agent_reads_and_writes_as_the_cards_user(a, root, shared):
    mine = a.user.folder(unique("mine"), 0o700)
    (shared / "of-a").write_text("of a\n")
    (shared / "of-a").chmod(0o600)
    os.chown(shared / "of-a", a.user.uid, a.user.gid)
    result = root.run("cat /data/of-a; echo x >/mnt/made", user=a.user.name,
                      workspace=str(a.user.folder(unique("w"))),
                      mounts=[{"source": str(shared), "target": "/data"},
                              {"source": str(mine), "target": "/mnt", "readonly": False}])
    assert (result.status, result.text) == (0, "of a\n"), result
    assert (mine / "made").stat().st_uid == a.user.uid


def test_as_many_as_there_may_be_with_a_key_and_a_proxy(a, shared):
    """Each descriptor stands for what it was opened for."""
    keys = {}
    for name in ("api_key_file", "proxy_auth_file"):
        path = a.user.home / f"{name}-{os.urandom(4).hex()}"
        path.write_text("user:word" if name == "proxy_auth_file" else "the-key")
        os.chown(path, a.user.uid, a.user.gid)
        keys[name] = str(path)
    mounts = []
    for i in range(8):
        (shared / f"s{i}").mkdir()
        (shared / f"s{i}" / "number").write_text(str(i))
        mounts.append({"source": str(shared / f"s{i}"), "target": f"/mnt/{'x/' * i}t{i}"})
    result = a.run("cat /mnt/t0/number /mnt/x/t1/number /mnt/x/x/x/x/x/x/x/t7/number;"
                   "cat $(find /mnt -name number | sort) | wc -c; echo $OPENAI_API_KEY",
                   mounts=mounts, api_provider="openai", proxy="http://127.0.0.1:9", **keys)
    assert (result.status, result.text) == (0, "0178\nthe-key\n"), result


def test_inspect_shows_them(a, shared):
    agent_id = spawn(a, "sleep 60", [{"source": str(shared), "target": "/data"}])
    inspected = a.inspect(agent_id)
    assert inspected["mounts"] == [{"source": str(shared), "target": "/data", "readonly": True}]
    assert inspected["card"]["mounts"] == inspected["mounts"]
    assert f"mounts                  /data is {shared}, read-only\n" in \
        a.cagectl("inspect", agent_id).text
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)
    assert a.inspect(agent_id)["mounts"] == inspected["mounts"]
    assert a.inspect(a.spawn("true"))["mounts"] == []


def test_cagectl_tells_which_source_it_cannot_open(a, b, shared):
    closed = b.user.folder(unique("closed"), 0o700)
    for source, told in ((shared / "nothing", "No such file"), (shared / "text", "Not a directory"),
                         (closed, "Permission denied")):
        card = a.cards.write(a.card("true", mounts=[
            {"source": str(shared), "target": "/data"}, {"source": str(source), "target": "/mnt"}]))
        result = a.cagectl("spawn", card)
        assert result.status == 66
        assert f"$.mounts[1].source: cannot open {source}: {told}" in result.errors


@pytest.fixture
def tmpfs(base):
    """Mounts one with options of the mount's own; unmounts all in the end."""
    made = []

    def mount(options, owner=(0, 0), mode="755"):
        folder = base / unique("tmpfs")
        folder.mkdir()
        made.append(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o",
                        f"{options},mode={mode},uid={owner[0]},gid={owner[1]}", "t", folder],
                       check=True)
        return folder
    yield mount
    for folder in made:
        subprocess.run(["umount", "-R", "-l", folder], check=True)
        folder.rmdir()


def test_flags_of_a_mount_stay_in_the_cage(a, tmpfs):
    mine = (a.user.uid, a.user.gid)
    for readonly in (True, False):
        folder = tmpfs("noexec,noatime", mine)
        (folder / "program").write_text("#!/bin/sh\n")
        (folder / "program").chmod(0o755)
        result = a.run("grep ' /opt ' /proc/self/mountinfo; /opt/program", mounts=[
            {"source": str(folder), "target": "/opt", "readonly": readonly}])
        flags = set(result.text.split()[5].split(","))
        assert {"ro" if readonly else "rw", "nosuid", "nodev", "noexec", "noatime"} <= flags
        assert "Permission denied" in result.errors and result.status == 126


def test_a_read_only_mount_can_be_read_and_not_be_asked_for_to_write(a, tmpfs):
    folder = tmpfs("ro", (a.user.uid, a.user.gid))
    mounts = [{"source": str(folder), "target": "/opt", "readonly": False}]
    error = refused(a, mounts)
    assert f"{folder} lies in a mount that is read-only" in error.parameters["reason"]
    mounts[0]["readonly"] = True
    assert a.run("ls /opt", mounts=mounts).status == 0


def test_devices_and_setuid_programs_in_a_mount_are_none(a, shared):
    os.mknod(shared / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (shared / "null").chmod(0o666)
    subprocess.run(["cp", "/usr/bin/id", shared / "id"], check=True)
    (shared / "id").chmod(0o4755)
    result = a.run("cat /data/null; /data/id -u",
                   mounts=[{"source": str(shared), "target": "/data"}])
    assert "/data/null: Permission denied" in result.errors and result.text == "1000\n"


def test_what_is_mounted_below_a_source_is_not_part_of_it(a, shared, tmpfs):
    other = tmpfs("size=1m")
    (other / "secret").write_text("x")
    subprocess.run(["mount", "--bind", other, shared / "inner"], check=True)
    try:
        result = a.run("ls /data/inner", mounts=[{"source": str(shared), "target": "/data"}])
        assert (result.status, result.text) == (0, "more\n"), result
    finally:
        subprocess.run(["umount", shared / "inner"], check=True)


def test_a_mount_may_hide_a_file_of_the_presets_and_gets_none_of_it(a):
    """Files of a preset are written before anything of a user's is mounted."""
    folder = a.user.folder(unique("config"))
    result = a.run("ls -A ~/.config", agent="opencode", mounts=[
        {"source": str(folder), "target": "/home/agent/.config", "readonly": False}])
    assert (result.status, result.text) == (0, ""), result
    assert list(folder.iterdir()) == []


# -- ways out --


@pytest.fixture(scope="module")
def caged(daemon, people, base):
    """Runs one attempt of the escape program, aimed at a mount: its outcome and what it should be."""
    a = people["a"]
    source, workspace = a.folder("escape-source"), a.folder("escape-workspace")
    outside = a.folder("outside")
    (outside / "secret").write_text("secret")
    with acting_as(a):
        (source / "folder").mkdir()
        (source / "file").write_text("x")
        (source / "absolute").symlink_to(outside / "secret")
        (source / "relative").symlink_to("../outside/secret")
        (source / "by-proc").symlink_to(f"/proc/1/root{outside}/secret")
    subprocess.run(["cp", paths.ESCAPE, workspace / "escape"], check=True)
    client = Client(daemon, a)

    def attempt(name, *arguments, readonly=True):
        result = client.run(None, command=["/workspace/escape", name, "/data", *arguments],
                            workspace=str(workspace),
                            mounts=[{"source": str(source), "target": "/data",
                                     "readonly": readonly}])
        return result.text.strip()
    attempt.outside = outside
    return attempt


@pytest.mark.parametrize("name, refusal", [
    (name, "EROFS") for name in ("write", "truncate", "create", "unlink", "chmod", "touch", "xattr",
                                 "reopen")] + [
    (name, "EPERM") for name in ("remount", "clear-read-only", "unmount", "clone", "handle")] + [
    (name, "EXDEV") for name in ("link-out", "rename-out")])
def test_a_read_only_mount_stays_read_only_and_in_its_place(caged, name, refusal):
    assert caged("mount-" + name) == f"mount-{name}: {refusal}"


def test_that_a_mount_is_read_only_is_the_mounts_doing(caged):
    """What was refused above works where the card asks for it."""
    for name in ("write", "chmod", "touch", "reopen", "create"):
        assert "SUCCEEDED" in caged("mount-" + name, readonly=False)


@pytest.mark.parametrize("readonly", [True, False])
def test_nothing_outside_of_the_source_is_reached(caged, readonly):
    assert caged("mount-upwards", f"{caged.outside}/secret", readonly=readonly) == \
        "mount-upwards: ENOENT"
    for link in ("absolute", "relative", "by-proc"):
        assert caged("mount-by-link", link, readonly=readonly) == "mount-by-link: ENOENT", link
    for name, refusal in (("handle", "EPERM"), ("link-out", "EXDEV"), ("rename-out", "EXDEV")):
        assert caged("mount-" + name, readonly=readonly) == f"mount-{name}: {refusal}"


# -- nothing is left --


def test_nothing_is_held_open_for_an_agent_that_ended_or_never_ran(a, daemon, shared):
    """Neither a mount nor a descriptor: else what is mounted there could not be unmounted."""
    mine = a.user.folder(unique("mine"))
    mounts = [{"source": str(shared), "target": "/data"},
              {"source": str(mine), "target": "/mnt", "readonly": False}]
    a.wait(spawn(a, "true", mounts))
    before = leftovers.idle(daemon)
    for _ in range(3):
        a.wait(spawn(a, "true", mounts))
        with pytest.raises(VarlinkError):
            spawn(a, None, mounts, command=["/nowhere/to/be/found"])
        refused(a, mounts[:1] + [{"source": "/etc", "target": "/mnt"}])
    leftovers.until_as(daemon, before)


def test_a_cage_that_fails_before_its_network_is_made_says_at_what(base, people, a, b):
    """The daemon gets the processor only when nobody wants it, its children have a usual share: so
    caged-init has failed, and is gone, when the daemon comes to look for its network."""
    policy = site_policy(people["group"])
    policy["rules"][0] |= {"mount_roots": ["/"]}
    daemon = Daemon(base, people["group"], policy=policy).start()
    closed = b.user.folder(unique("closed"), 0o700)
    card = a.card("true", mounts=[{"source": str(closed), "target": "/data"}])
    fds = opened(a.user, card["workspace"]), opened(b.user, closed)
    busy = [subprocess.Popen(["taskset", "--cpu-list", "0", "sh", "-c", "while :; do :; done"])
            for _ in range(2)]
    try:
        os.sched_setaffinity(daemon.pid, {0})
        os.sched_setscheduler(daemon.pid, os.SCHED_IDLE | os.SCHED_RESET_ON_FORK,
                              os.sched_param(0))
        for _ in range(2):
            with daemon.connect(a.user, timeout=200) as connection:
                with pytest.raises(VarlinkError) as error:
                    connection.call("Spawn", {"card": card, "workspace_fd": 0, "mount_fds": [1]},
                                    fds)
            assert "/data: the agent could not read it" in str(error.value)
    finally:
        os.sched_setscheduler(daemon.pid, os.SCHED_OTHER, os.sched_param(0))
        for process in busy:
            process.kill()
            process.wait()
        for fd in fds:
            os.close(fd)
    assert daemon.stop() == 0, daemon.log()[-4000:]


def test_a_repository_in_a_mount_that_can_be_written_is_protected_too(a):
    folder = a.user.folder(unique("repository"))
    done = subprocess.run(a.user.command("sh", "-ec", f"cd {folder}; git init -q .; git init -q sub;"
                                         "git config user.name A; git config user.email a@b.c"),
                          capture_output=True)
    assert done.returncode == 0, done
    before = (folder / ".git" / "config").read_text()
    mounts = [{"source": str(folder), "target": "/data", "readonly": False}]
    result = a.run("cd /data; touch file && git add file && git commit -qm one && echo committed;"
                   "git config core.fsmonitor ./evil; echo x >.git/config; touch .git/hooks/x;"
                   "echo x >sub/.git/config; mv .git gone; true", mounts=mounts)
    assert result.text == "committed\n", result
    assert (folder / ".git" / "config").read_text() == before
    assert not (folder / ".git" / "hooks" / "x").exists() and not (folder / "gone").exists()
    assert "x" != (folder / "sub" / ".git" / "config").read_text().strip()
    (folder / "sub" / ".git" / "config").rename(folder / "config")
    (folder / "sub" / ".git" / "config").symlink_to(folder / "config")
    result = a.run("true", mounts=mounts)
    assert result.status != 0 and "/data/sub/.git/config" in result.errors, result


def test_what_a_repository_names_in_a_mount_is_protected_too(a, made):
    repository = made("one")
    repository.git("config", "core.hooksPath", ".githooks")
    repository.git("config", "include.path", "../.gitconfig")
    mount = {"source": str(repository.path.parent), "target": "/data", "readonly": False}
    result = a.run("cd /data/one; echo x > .gitconfig; echo x > .githooks/pre-commit; echo x >> file", mounts=[mount])
    assert (result.status, result.errors.count("Read-only file system")) == (0, 2), result.errors
    assert (repository.path / "file").read_text() == "one\nx\n"
