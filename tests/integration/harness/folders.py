"""Folders that tests offer as workspaces, and what is mounted on them."""

import os
import subprocess

from .users import acting_as


def unique(name):
    return f"{name}-{os.urandom(4).hex()}"


def opened(user, path, flags=os.O_RDONLY | os.O_DIRECTORY):
    """A descriptor of it, as the user gets one."""
    with acting_as(user):
        return os.open(path, flags | os.O_CLOEXEC)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Mounts:
    """Mounts; close() unmounts what is still there, the last one first."""

    def __init__(self):
        self.made = []

    def __call__(self, *words, at):
        run("mount", *words, at)
        self.made.append(os.path.realpath(at))
        return at

    def close(self):
        for at in reversed(self.made):
            if is_mounted(at):
                run("umount", "-l", at)


def is_mounted(path):
    with open("/proc/self/mountinfo") as table:
        return any(line.split()[4] == path for line in table)
