"""Tricks by which an agent, in two runs or more, would leave something without its being told."""

import os
import subprocess

import pytest

from test_planted import end_of, planted, put, tick


@pytest.fixture
def workspace(a):
    return a.user.folder(f"tricks-{os.urandom(4).hex()}")


MAKE_GIT = """
git init -q {0}; git -C {0} config core.fsmonitor 'touch PWNED'; mv {0}/.git {1}; rm -rf {0}
"""


@pytest.mark.parametrize("place", [".git", "sub/.git"])
def test_a_repository_that_is_renamed_into_its_place_at_the_top_is_told(a, workspace, place):
    """What an earlier run left by a harmless name was not there to be protected."""
    (workspace / "sub").mkdir()
    os.chown(workspace / "sub", a.user.uid, a.user.gid)
    end_of(a, "mkdir -p a/b;" + MAKE_GIT.format("x", "a/b/kept") + "mv a/b/kept/HEAD a/b/kept/tail", workspace)
    tick()
    assert planted(end_of(a, f"mv a/b/kept {place}; mv {place}/tail {place}/HEAD", workspace)) == {
        place: ("git-repository", "changed")}


def test_a_bare_repository_that_is_completed_at_the_top_is_told(a, workspace):
    end_of(a, MAKE_GIT.format("x", "harmless") + "mv harmless/HEAD harmless/tail", workspace)
    tick()
    assert planted(end_of(a, "mv harmless/tail harmless/HEAD", workspace)) == {
        "harmless": ("git-repository", "changed")}


def test_a_workspace_that_becomes_a_repository_is_told(a, workspace):
    end_of(a, MAKE_GIT.format("x", "y") + "mv y/* .; mv HEAD tail", workspace)
    tick()
    assert planted(end_of(a, "mv tail HEAD", workspace)) == {".": ("git-repository", "changed")}


def test_a_repository_that_was_protected_is_not_told_for_its_commits(a, workspace):
    def git(*words):
        subprocess.run(a.user.command("git", *words), check=True, capture_output=True)
    git("init", "-q", str(workspace / "one"))
    git("init", "-q", "--bare", str(workspace / "two.git"))
    tick()
    assert planted(end_of(a, "cd one; git -c user.name=x -c user.email=x@x commit -q --allow-empty -m x; "
                          "git push -q ../two.git HEAD:main; git --git-dir ../two.git branch other main",
                          workspace)) == {}


def test_a_folder_whose_files_lie_deeper_is_told_when_it_is_renamed(a, workspace):
    put(a, workspace / "hk/_/pre-commit")
    put(a, workspace / "dc/one/devcontainer.json")
    put(a, workspace / "old/.cursor/rules/x")
    tick()
    assert planted(end_of(a, "mv hk .husky; mv dc .devcontainer; mv old new", workspace)) == {
        ".husky": ("hook-manager", "changed"), ".devcontainer": ("devcontainer", "changed")}


def test_a_git_folder_whose_objects_lie_elsewhere_is_told(a, workspace):
    """HEAD and commondir are enough for git."""
    ended = end_of(a, """
        mkdir -p store/objects store/refs sub; echo 'ref: refs/heads/main' > sub/HEAD; echo ../store > sub/commondir
        git config -f store/config alias.st '!touch PWNED'
    """, workspace)
    found = planted(ended)
    assert found["sub"] == ("git-repository", "created") and found["sub/commondir"] == ("git-redirect", "created")
    result = subprocess.run(a.user.command("git", "-C", str(workspace / "sub"), "st"), capture_output=True)
    assert (workspace / "sub/PWNED").exists(), result


def test_a_folder_whose_names_alone_can_be_read_is_told(a, workspace):
    """A later run could make it readable, and what is in it would not be new any more."""
    put(a, workspace / "deep/old/.envrc")
    (workspace / "deep/old").chmod(0o444)
    tick()
    script = "mkdir -p deep/one deep/two/.vscode; echo > deep/one/.envrc; echo > deep/two/.vscode/x; chmod 444 deep/one deep/two"
    ended = end_of(a, script, workspace)
    for name in ("one", "two", "old"):
        (workspace / "deep" / name).chmod(0o755)
    assert planted(ended) == {"deep/one": ("hidden", "created"), "deep/two": ("hidden", "created")}
