"""Folders of this test process below the system tests' own; those of processes that were killed go
away with the next one's first."""

import itertools
import re
import shutil
from pathlib import Path
import os

from . import paths

NAME = re.compile(r"(machine|fast)-(\d+)-\d+")
_numbers = itertools.count(1)


def remove_stale():
    """Removes what processes that are no more have left; returns the names of it."""
    stale = [path for path in paths.SYSTEM.glob("*-*-*")
             if (match := NAME.fullmatch(path.name)) and not Path(f"/proc/{match[2]}").exists()]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in stale]


def make(kind):
    """A new folder for a machine or a fast lane."""
    remove_stale()
    path = paths.SYSTEM / f"{kind}-{os.getpid()}-{next(_numbers)}"
    path.mkdir(mode=0o700)
    return path
