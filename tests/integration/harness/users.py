"""Real users for a test run. Their names hold the number of the process that made them, so that
two runs at once do not meet, and a later run removes what a killed one left behind."""

import contextlib
import grp
import os
import pwd
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"caged-t(\d+)-[a-z]+")


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int
    home: Path

    @property
    def groups(self):
        return os.getgrouplist(self.name, self.gid)

    def command(self, *words):
        """The words, to be run as this user with exactly the user's groups."""
        if self.uid == 0:
            return list(map(str, words))
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "--",
                *map(str, words)]

    def folder(self, name, mode=0o755):
        """A new folder of this user's, below its home."""
        path = self.home / name
        path.mkdir()
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path


ROOT_USER_HOME = Path("/root")


def root_user():
    return User("root", 0, 0, ROOT_USER_HOME)


@contextlib.contextmanager
def acting_as(user):
    """Inside, this process opens files and connects as that user (effective ids and groups)."""
    if user.uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def make(suffix, base, group=None):
    name = f"caged-t{os.getpid()}-{suffix}"
    home = base / suffix
    words = ["useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh",
             "--user-group"]
    if group:
        words += ["--groups", group]
    _run(*words, name)
    entry = pwd.getpwnam(name)
    home.mkdir(mode=0o755)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return User(name, entry.pw_uid, entry.pw_gid, home)


class Nobody(User):
    """The user that stands for all whom nobody knows (65534), in groups of the test's choice."""

    def __init__(self, base, groups=()):
        entry = pwd.getpwnam("nobody")
        super().__init__("nobody", entry.pw_uid, entry.pw_gid, base)
        object.__setattr__(self, "extra", [grp.getgrnam(name).gr_gid for name in groups])

    @property
    def groups(self):
        return [self.gid, *self.extra]


def make_group(suffix="members"):
    name = f"caged-t{os.getpid()}-{suffix}"
    _run("groupadd", name)
    return name


def remove_all(of_process):
    """Removes the users and groups that this process made."""
    for entry in pwd.getpwall():
        match = NAME.fullmatch(entry.pw_name)
        if match and int(match[1]) == of_process:
            _run("userdel", entry.pw_name)
    for entry in grp.getgrall():
        match = NAME.fullmatch(entry.gr_name)
        if match and int(match[1]) == of_process:
            _run("groupdel", entry.gr_name)


def remove_stale():
    """Removes what runs that were killed have left."""
    owners = {int(match[1]) for entry in pwd.getpwall() + grp.getgrall()
              if (match := NAME.fullmatch(entry[0]))}
    for pid in owners:
        if not Path(f"/proc/{pid}").exists():
            remove_all(pid)
