"""What a user sends may lie in a file system of the user's own program. Whether that answers is
nothing the daemon waits for."""

import os
import select
from pathlib import Path

import pytest

from harness.daemon import Client, Daemon, until
from harness.fuse import HangingFuse
from harness.limits import LIMITS
from harness.users import acting_as
from harness.varlink import VarlinkError

FUSE = "lies in a file system that the kernel or a program (FUSE) makes up"


@pytest.fixture
def fuse(a):
    fuse = HangingFuse(a.user.folder("hanging-" + os.urandom(4).hex()), a.user)
    yield fuse
    fuse.close()


@pytest.mark.parametrize("what", ["workspace", "api_key_file", "proxy_auth_file"])
def test_a_descriptor_of_a_program_that_hangs_is_refused_at_once(a, b, fuse, what):
    card = a.card("true", api_key_file="/k", proxy="http://127.0.0.1:9", proxy_auth_file="/p")
    paths = {"workspace": card["workspace"], "api_key_file": a.user.home / "key",
             "proxy_auth_file": a.user.home / "user"}
    for path in ("key", "user"):
        (a.user.home / path).write_text("u:p")
        os.chown(a.user.home / path, a.user.uid, a.user.gid)
    paths[what] = fuse.folder if what == "workspace" else fuse.file
    with acting_as(a.user):
        fds = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths.values()]
    try:
        with a.connect() as connection:
            connection.send("Spawn", {"card": card, "workspace_fd": 0, "api_key_fd": 1,
                                      "proxy_auth_fd": 2}, fds)
            b.call("List")
            with pytest.raises(VarlinkError) as error:
                connection.reply()
        assert (error.value.name, error.value.parameters["what"]) == ("NotPermitted", what)
        assert FUSE in error.value.parameters["reason"]
        assert fuse.unanswered == []
    finally:
        for fd in fds:
            os.close(fd)


def test_a_file_in_another_mount_namespace_is_refused(a):
    """Even to ask what it lies in might take for ever."""
    card = a.card("true", api_key_file="/k")
    with acting_as(a.user):
        workspace = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    key = os.memfd_create("key")
    os.write(key, b"some-key")
    try:
        with a.connect() as connection, pytest.raises(VarlinkError) as error:
            connection.call("Spawn", {"card": card, "workspace_fd": 0, "api_key_fd": 1},
                            [workspace, key])
        assert (error.value.name, error.value.parameters["what"]) == \
            ("NotPermitted", "api_key_file")
        assert "lies in a mount namespace that is not the daemon's" in \
            error.value.parameters["reason"]
    finally:
        os.close(workspace)
        os.close(key)


def test_while_too_many_closes_hang_a_user_waits_and_loses_nothing(a, b, fuse):
    """Each close of such a file is a thread of the daemon that waits for the user's program: nothing more
    of that user's is read until some are done, and then all of it is answered."""
    hanging = LIMITS["CLOSES_PER_UID_MAX"]
    with acting_as(a.user):
        fd = os.open(fuse.file, os.O_RDONLY | os.O_CLOEXEC)
    fuse.hold_closes()
    connections = [a.connect() for _ in range(hanging + 4)]
    try:
        for connection in connections[:hanging]:
            connection.send("List", fds=[fd])
            connection.reply()
        until(lambda: len(fuse.held) == hanging, what="every close hangs")
        for connection in connections:
            connection.send("List")
        gone = connections.pop()  # it leaves before it was read: its call is still a call
        gone.close()
        for _ in range(5):
            b.call("List")
        assert select.select(connections, [], [], 0)[0] == []
        fuse.let_go()
        for connection in connections:
            assert "agents" in connection.reply()
        assert "agents" in a.call("List")
    finally:
        if fuse.held is not None:
            fuse.let_go()
        os.close(fd)
        for connection in connections:
            connection.close()


def test_a_descriptor_that_hangs_holds_no_spawn_up(a, b, fuse):
    """A process that the daemon starts has a copy of all that it holds, and closes that first."""
    with acting_as(a.user):
        fd = os.open(fuse.file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with a.connect() as connection:
            connection.send_bytes(b'{"method":', [fd])
            until(lambda: fuse.is_held_by(b.daemon), what="the daemon has it")
            os.close(fd)  # or the processes of this test would have copies, too
            fuse.hold_closes()
            assert b.run("echo well", timeout=20).stdout == b"well\n"
            assert fuse.held == []
    finally:
        if fuse.held is not None:
            fuse.let_go()


@pytest.fixture
def crowded(base, people):
    """A cagedd on a host of which it has no thread more: a cgroup of tasks in the place of the host."""
    v1 = Path("/sys/fs/cgroup/pids")
    folder = (v1 if v1.exists() else Path("/sys/fs/cgroup")) / f"caged-crowded-{os.getpid()}"
    folder.mkdir()
    daemon = Daemon(base, people["group"])
    try:
        enter = f'echo $$ > {folder}/cgroup.procs; exec "$@"'
        daemon.start(under=["sh", "-c", enter, "sh"])
        (folder / "pids.max").write_text((folder / "pids.current").read_text())
        yield daemon, lambda: (folder / "pids.max").write_text("max")
    finally:
        (folder / "pids.max").write_text("max")
        daemon.stop()
        until(lambda: not (folder / "cgroup.procs").read_text(), what="it has ended")
        folder.rmdir()


def test_where_no_thread_is_to_be_had_a_close_that_hangs_waits_for_one(people, fuse, crowded):
    """Users' processes can take all that the host has."""
    daemon, make_room = crowded
    a, b = Client(daemon, people["a"]), Client(daemon, people["b"])
    with acting_as(a.user):
        fd = os.open(fuse.file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with a.connect() as connection:
            fuse.hold_closes()
            connection.send("List", fds=[fd])
            connection.reply()
            for _ in range(3):
                assert b.call("List") == {"agents": []}
            assert fuse.is_held_by(daemon) and fuse.held == []
            make_room()
            until(lambda: len(fuse.held) == 1, what="it is being closed")
            fuse.let_go()
            until(lambda: not fuse.is_held_by(daemon), what="it is closed")
    finally:
        if fuse.held is not None:
            fuse.let_go()
        os.close(fd)
