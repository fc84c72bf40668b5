"""The card's `user`: whose an agent's files are when root spawns it, and that nobody else may say so."""

import os

import pytest

from harness.varlink import VarlinkError


def owners(path):
    status = path.stat()
    return status.st_uid, status.st_gid


@pytest.fixture
def folder(base):
    """A folder of root's in which everybody may write."""
    path = base / f"open-{os.urandom(4).hex()}"
    path.mkdir()
    path.chmod(0o777)
    return path


@pytest.mark.parametrize("by", ["name", "number"])
def test_the_files_are_the_users_and_of_its_group(root, people, folder, by):
    user = people["b"]
    named = user.name if by == "name" else str(user.uid)
    result = root.run("touch /workspace/made && mkdir /workspace/below && id -un", user=named,
                      workspace=str(folder))
    assert (result.status, result.stdout) == (0, b"agent\n"), result.errors
    assert owners(folder / "made") == owners(folder / "below") == (user.uid, user.gid)
    assert owners(folder) == (0, 0)


def test_files_are_as_open_to_it_as_to_the_user_and_third_ones_files_at_most_to_read(
        root, people, folder):
    user, owner, third = people["b"], people["a"], people["c"]
    files = {"own": (user, 0o600), "open": (owner, 0o666), "shown": (owner, 0o644),
             "closed": (owner, 0o600), "thirds": (third, 0o666), "hidden": (third, 0o660)}
    for name, (of, mode) in files.items():
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
        os.chown(folder / name, of.uid, of.gid)
    os.chown(folder, owner.uid, owner.gid)
    result = root.run("cd /workspace; for f in *; do cat $f; (echo + >> $f); done; true",
                      user=user.name, workspace=str(folder))
    assert result.stdout == b"openownshownthirds", result.errors
    changed = {name for name in files if (folder / name).read_text() != name}
    assert changed == {"own", "open"}


def test_a_folder_with_the_users_group_is_enough(root, people, base):
    user = people["b"]
    folder = base / "of-the-group"
    folder.mkdir()
    os.chown(folder, 0, user.gid)
    folder.chmod(0o770)
    result = root.run("touch /workspace/made", user=user.name, workspace=str(folder))
    assert result.status == 0, result.errors
    assert owners(folder / "made") == (user.uid, user.gid)


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o776, 0o773])
def test_a_folder_in_which_the_user_cannot_work_is_refused(root, people, folder, mode):
    folder.chmod(mode)
    result = root.run("true", user=people["b"].name, workspace=str(folder))
    assert result.status == 77
    assert f"{folder} belongs to uid 0 and gid 0 with mode {mode:04o}" in result.errors
    assert f"uid {people['b'].uid}" in result.errors


def test_the_workspaces_owner_may_be_named_too(root, people):
    user = people["a"]
    folder = user.folder("named-owner", 0o700)
    assert root.run("touch /workspace/made", user=user.name, workspace=str(folder)).status == 0
    assert owners(folder / "made") == (user.uid, user.gid)


def test_an_unknown_user_is_refused(root, folder):
    for name in ("no-such-user-here", "4000000001"):
        result = root.run("true", user=name, workspace=str(folder))
        assert result.status == 65 and f"$.user: there is no user '{name}'" in result.errors


def test_root_is_refused_as_user(root, folder):
    for name in ("root", "0"):
        result = root.run("true", user=name, workspace=str(folder))
        assert result.status == 65 and "$.user: found root, expected" in result.errors


@pytest.mark.parametrize("whose", ["own", "other"])
def test_in_a_users_card_the_key_is_refused(a, people, whose):
    user = people["a" if whose == "own" else "b"]
    result = a.run("touch /workspace/made", user=user.name)
    assert result.status == 65 and "$.user: found a user, expected no user" in result.errors


def refused(root, folder, **parameters):
    card = root.card("true", workspace=str(folder), **parameters.pop("card", {}))
    with pytest.raises(VarlinkError) as error:
        root.call("Spawn", card=card, **parameters)
    assert error.value.name == "InvalidCard" and error.value.parameters["path"] == "$.user"
    return error.value.parameters["found"]


def test_the_daemon_wants_the_numbers_and_none_of_roots(root, folder):
    """It looks no name up, as that could take its time; numbers come from cagectl."""
    card = {"user": "x"}
    assert "without the numbers" in refused(root, folder, card=card)
    assert "without the numbers" in refused(root, folder, card=card, user_uid=7)
    assert "without the numbers" in refused(root, folder, card=card, user_gid=7)
    assert refused(root, folder, card=card, user_uid=0, user_gid=7) == "root"
    assert refused(root, folder, card=card, user_uid=7, user_gid=0) == "a user of group root"
    assert refused(root, folder, card=card, user_uid=2**32 - 1, user_gid=7) == "root"
    assert refused(root, folder, card=card, user_uid=2**32 + 7, user_gid=7) == "root"
    assert refused(root, folder, user_uid=7, user_gid=7) == "nothing"


def test_a_users_numbers_without_the_key_are_refused(a, people):
    card = a.card("true")
    fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY)
    with a.connect() as connection:
        with pytest.raises(VarlinkError) as error:
            connection.call("Spawn", {"card": card, "workspace_fd": 0,
                                      "user_uid": people["b"].uid, "user_gid": people["b"].gid}, [fd])
    os.close(fd)
    assert error.value.parameters["path"] == "$.user"


def test_inspect_shows_the_user(root, people, folder):
    card = root.card("sleep 60", user=people["b"].name, workspace=str(folder))
    root.daemon.cagectl(root.user, "spawn", root.cards.write(card))
    try:
        assert root.inspect(card["agent_id"])["card"]["user"] == people["b"].name
    finally:
        root.call("Kill", agent_id=card["agent_id"])
        root.wait(card["agent_id"])
