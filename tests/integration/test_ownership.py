"""Who may do what: an agent is its owner's and root's; a descriptor is the proof of access."""

import os
import socket
import subprocess

import pytest

from harness.users import acting_as
from harness.varlink import Connection, Disconnected, VarlinkError

METHODS = ["Inspect", "Stop", "Kill", "Logs", "Wait"]


@pytest.fixture
def agent(a):
    agent_id = a.spawn("echo private words; sleep 60")
    yield agent_id
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


@pytest.mark.parametrize("method", METHODS)
def test_to_another_user_an_agent_does_not_exist(a, b, agent, method):
    errors = []
    for agent_id in (agent, "never-existed"):
        with pytest.raises(VarlinkError) as error:
            b.call(method, agent_id=agent_id)
        errors.append((error.value.name, error.value.parameters))
    assert errors[0] == ("NoSuchAgent", {"agent_id": agent})
    assert errors[1] == ("NoSuchAgent", {"agent_id": "never-existed"})
    assert a.inspect(agent)["agent"]["state"] == "running"


@pytest.mark.parametrize("method", METHODS)
def test_naming_the_owner_does_not_help_another_user(a, b, agent, method):
    with pytest.raises(VarlinkError) as error:
        b.call(method, agent_id=agent, owner_uid=a.user.uid)
    assert error.value.name in ("NoSuchAgent", "NotPermitted")
    assert a.inspect(agent)["agent"]["state"] == "running"


def test_another_users_lists_and_events_do_not_show_it(a, b, agent):
    assert agent not in str(b.call("List", all=True))
    with b.connect() as events, a.connect() as own:
        for connection in (events, own):
            connection.send("Events", {}, more=True)
        for client in (a, b):
            client.call("List")
        seen = a.spawn("true")
        a.wait(seen)
        while seen not in str(own.reply()["events"]):
            pass
        mine = b.spawn("true")
        b.wait(mine)
        told = ""
        while mine not in told:
            told += str(events.reply()["events"])
        assert seen not in told.replace(mine, "")


def test_cagectl_of_another_user_says_that_there_is_none(b, agent):
    for verb in ("inspect", "stop", "kill", "logs", "wait"):
        result = b.cagectl(verb, agent)
        assert result.status != 0 and agent in result.errors and "private" not in result.text


def test_root_sees_and_stops_all(a, root):
    agent_id = a.spawn("echo private words; sleep 60")
    assert agent_id in [agent["agent_id"] for agent in root.call("List")["agents"]]
    assert root.call("Logs", agent_id=agent_id) is not None
    root.call("Stop", agent_id=agent_id, grace_seconds=1)
    assert a.wait(agent_id)["reason"] == "stopped"


def test_a_user_outside_the_group_is_refused(daemon, people):
    outsider = people["c"]
    try:
        with Connection(daemon.socket, outsider) as connection:
            with pytest.raises((VarlinkError, Disconnected)):
                connection.call("List")
    except PermissionError:
        pass
    result = daemon.cagectl(outsider, "list")
    assert result.status != 0 and "group" in result.errors, result.errors


def test_a_user_outside_the_group_is_refused_even_on_an_open_socket(daemon, people):
    """The socket's mode is one lock; the daemon asks the kernel who calls, too."""
    daemon.socket.chmod(0o666)
    try:
        with Connection(daemon.socket, people["c"]) as connection:
            with pytest.raises((VarlinkError, Disconnected)) as error:
                connection.call("List")
        if error.type is VarlinkError:
            assert error.value.name == "NotPermitted"
    finally:
        daemon.socket.chmod(0o660)


def spawn_with(a, fd, workspace="/somewhere", **keys):
    card = a.card("touch /workspace/broken-in", workspace=str(workspace), **keys)
    with a.connect() as connection:
        return connection.call("Spawn", {"card": card, "workspace_fd": 0}, [fd])


def refuse(a, fd, workspace="/somewhere"):
    with pytest.raises(VarlinkError) as error:
        spawn_with(a, fd, workspace)
    assert error.value.name in ("NotPermitted", "NotSupported", "InvalidCard",
                                "org.varlink.service.InvalidParameter"), error.value
    assert any(isinstance(value, str) and len(value) > 3
               for value in error.value.parameters.values()), error.value
    return str(error.value)


def test_a_workspace_of_another_user_is_refused(a, b):
    folder = b.user.folder("of-b", 0o777)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    assert f"belongs to uid {b.user.uid}, you are uid {a.user.uid}" in refuse(a, fd, folder)
    os.close(fd)
    assert list(folder.iterdir()) == []
    result = a.run("touch x", workspace=str(folder))
    assert result.status != 0 and str(folder) in result.errors
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path, told", [
    ("/etc", "belongs to root"), ("/usr", "belongs to root"), ("/root", "belongs to root"),
    ("/dev", "belongs to root"), ("/tmp", "belongs to root"), ("/", "an absolute path"),
    ("/proc", "a file system that the kernel"), ("/sys", "a file system that the kernel")])
def test_a_folder_of_roots_is_refused(a, path, told):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    assert told in refuse(a, fd, path)
    os.close(fd)


def test_roots_own_workspace_of_a_user_runs_as_that_user(a, root):
    """Root may spawn for a user: the files are the workspace owner's, never root's."""
    folder = a.user.folder("by-root")
    assert root.run("touch made", workspace=str(folder)).status == 0
    assert (folder / "made").stat().st_uid == a.user.uid


def test_root_itself_cannot_have_a_workspace_of_roots(root, base):
    folder = base / "owned-by-root"
    folder.mkdir()
    result = root.run("touch x", workspace=str(folder))
    assert result.status != 0 and "root" in result.errors
    assert list(folder.iterdir()) == []


def descriptors(a):
    """Descriptors that are no folder of the user's, by name."""
    folder = a.user.folder("fds-" + os.urandom(4).hex())
    with acting_as(a.user):
        (folder / "file").write_text("x")
        os.mkfifo(folder / "fifo")
        (folder / "link").symlink_to("/etc")
        (folder / "deleted").mkdir()
        found = {
            "regular file": os.open(folder / "file", os.O_RDONLY),
            "fifo": os.open(folder / "fifo", os.O_RDWR),
            "O_PATH of a file": os.open(folder / "file", os.O_PATH),
            "O_PATH of a link": os.open(folder / "link", os.O_PATH | os.O_NOFOLLOW),
            "socket": socket.socket(socket.AF_UNIX).detach(),
            "memfd": os.memfd_create("x"),
            "null device": os.open("/dev/null", os.O_RDWR),
            "own proc": os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY),
            "deleted folder": os.open(folder / "deleted", os.O_RDONLY | os.O_DIRECTORY),
        }
        found["pipe"], found["pipe's other end"] = os.pipe()
        (folder / "deleted").rmdir()
    for kind in ("net", "mnt", "user", "pid"):
        found[f"{kind} namespace"] = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    found["proc fd"] = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    return found


def test_descriptors_of_anything_but_a_folder_of_the_users_are_refused(a):
    found = descriptors(a)
    for name, fd in found.items():
        assert refuse(a, fd, "/somewhere"), name
    for fd in found.values():
        os.close(fd)
    assert a.run("echo well").stdout == b"well\n"


def test_an_o_path_descriptor_of_a_folder_that_the_user_cannot_enter_is_no_proof(a, b):
    """O_PATH needs no permission on the folder itself, so it must not be taken for access."""
    closed = b.user.folder("closed", 0o700)
    with acting_as(a.user):
        fd = os.open(closed, os.O_PATH | os.O_DIRECTORY)
    assert f"belongs to uid {b.user.uid}" in refuse(a, fd, closed)
    os.close(fd)


def test_without_a_descriptor_a_user_is_refused_and_root_has_the_path_opened(a, root):
    folder = a.user.folder("by-path")
    card = a.card("touch there", workspace=str(folder))
    with pytest.raises(VarlinkError) as error:
        a.call("Spawn", card=card)
    assert "workspace" in str(error.value)
    root.call("Spawn", card=card)
    root.wait(card["agent_id"])
    assert (folder / "there").exists()


@pytest.mark.parametrize("index", [1, 7, 8, -1, 2**31, 2**62])
def test_an_index_without_its_descriptor_is_refused(a, index):
    card = a.card("true")
    with a.connect() as connection:
        fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
        with pytest.raises(VarlinkError):
            connection.call("Spawn", {"card": card, "workspace_fd": index}, [fd])
        os.close(fd)
        connection.call("List")


def test_one_descriptor_cannot_be_workspace_and_key_at_once(a):
    card = a.card("true", api_key_file="/x", api_provider="openai")
    fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
    with a.connect() as connection:
        with pytest.raises(VarlinkError):
            connection.call("Spawn", {"card": card, "workspace_fd": 0, "api_key_fd": 0}, [fd])
    os.close(fd)


def test_a_workspace_swapped_for_a_link_is_not_followed(a):
    """The folder that was opened is the one that is mounted, whatever its path leads to later."""
    folder = a.user.folder("swapped")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    moved = a.user.home / "swapped-away"
    folder.rename(moved)
    folder.symlink_to("/etc")
    reply = spawn_with(a, fd, folder)
    os.close(fd)
    a.wait(reply["agent"]["agent_id"])
    assert (moved / "broken-in").exists() and not os.path.exists("/etc/broken-in")


def test_a_folder_that_the_user_may_only_read_is_refused(a):
    """Possession of a read-only descriptor of a folder is not ownership."""
    folder = a.user.home.parent / "roots-open-folder"
    folder.mkdir(mode=0o755)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    assert f"{folder} belongs to root" in refuse(a, fd, folder)
    os.close(fd)


def test_the_sockets_owner_and_mode(daemon, people):
    status = daemon.socket.stat()
    done = subprocess.run(["getent", "group", people["group"]], capture_output=True, check=True)
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o660)
    assert status.st_gid == int(done.stdout.split(b":")[2])
