"""Repositories of a user's in a workspace, and what an agent brings along against them."""

import os
import subprocess

from .patience import PATIENCE

PREPARE = """
printf '%s' '#!/bin/sh
touch /workspace/PWNED
' > /tmp/hook; chmod +x /tmp/hook; cp /tmp/hook evil; mkdir -p evil-hooks; cp /tmp/hook evil-hooks/pre-commit
"""


class Repository:
    """A user's repository, worked on from outside by the user's own git."""

    def __init__(self, user, path, bare=False, git_dir=None):
        self.user = user
        self.path = path
        words = ["init", "--quiet", "--initial-branch=main"]
        words += ["--bare"] if bare else []
        words += [f"--separate-git-dir={git_dir}"] if git_dir else []
        self.run("git", *words, str(path), cwd="/")
        self.git_dir = path if bare else path / ".git"
        self.git("config", "user.name", "A User")
        self.git("config", "user.email", "user@example.com")
        if not bare:
            (path / "file").write_text("one\n")
            os.chown(path / "file", user.uid, user.gid)
            self.git("add", "file")
            self.git("commit", "-qm", "first")

    def run(self, *words, cwd=None, check=True, **options):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.user.home), "LC_ALL": "C.UTF-8"}
        return subprocess.run(self.user.command(*words), cwd=cwd or self.path, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=check, **options)

    def git(self, *words, **options):
        return self.run("git", "-c", "protocol.file.allow=always", *words, **options)

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.write_text(text)
        os.chown(path, self.user.uid, self.user.gid)
        path.chmod(mode)
        return path


def state(git_dir):
    """Whatever git may take code from, in a git folder."""
    files = {}
    for folder, _, names in os.walk(git_dir):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, git_dir)
            parts = relative.split("/")
            if "objects" in parts or "refs" in parts or "logs" in parts:
                continue
            if "hooks" in parts or parts[-1] in ("config", "config.worktree", "commondir", "gitdir"):
                files[relative] = open(path, "rb").read() if os.path.isfile(path) else None
    return files


def in_cage(a, workspace, script, **keys):
    return a.run(script, workspace=str(workspace), **keys)


def assert_refused(a, repository, reason):
    """An agent is refused there by its protection, with a reason that begins so and says what else
    can be done; without protection it runs."""
    error = a.refused(workspace=str(repository.path))
    assert (error.name, error.parameters["step"]) == ("SpawnFailed", "protect"), error
    assert error.parameters["reason"].startswith(reason), error
    assert "\"protect\": []" in error.parameters["reason"]
    assert in_cage(a, repository.path, "exit 3", protect=[]).status == 3
