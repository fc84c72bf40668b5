"""protect: ["git"]: real git in real cages. Work in a repository goes on; hooks and configuration stay
as they were, by every way that an agent may try, so that the user's own git runs nothing of its."""

import os
import shutil
import subprocess

import pytest

from harness.daemon import Client, until
from harness.repository import PREPARE, assert_refused, in_cage, state

LIMIT = 1024  # PROTECT_REPOSITORIES_MAX
HOOK = "#!/bin/sh\ntouch {marker}\n"


# -- work goes on --

WORK = """
set -e
git status --short
echo two >> file; git add file; git commit -qm second
git branch topic; git checkout -q topic; echo three >> file; git commit -qam third
git checkout -q main; echo x > other; git add other; git commit -qm fourth
git merge -q -m merged topic
git checkout -q -b rebased HEAD~1; echo y > third; git add third; git commit -qm fifth
git rebase -q topic
git checkout -q main; echo dirty >> file; git stash -q; git stash pop -q; git checkout -q file
git tag v1; git reset -q --hard HEAD~1; git reflog > /dev/null; git cherry-pick v1 > /dev/null 2>&1 ||
    git cherry-pick --abort 2> /dev/null || true
git gc -q; git fsck > /dev/null; git worktree add -q /workspace/tree topic
git fetch -q . topic:fetched; git branch -D -q fetched rebased
git log --oneline | wc -l
"""


def test_git_works_in_a_cage(a, made):
    repository = made()
    result = in_cage(a, repository.path, WORK)
    assert result.status == 0, result.errors
    assert repository.git("status", "--short").stdout == "?? tree/\n"
    assert repository.git("log", "--format=%s", "-1", "v1").stdout == "merged\n"
    assert repository.git("fsck").returncode == 0


def test_a_branch_of_a_remote_can_be_checked_out(a, made):
    origin = made("origin.git", bare=True)
    source = made("source")
    source.git("branch", "topic")
    source.git("push", "-q", str(origin.path), "main", "topic")
    source.git("remote", "add", "origin", "../origin.git")
    source.git("fetch", "-q", "origin")
    source.git("branch", "-qD", "topic")
    result = in_cage(a, source.path.parent, "cd source && git fetch -q origin && git checkout topic && "
                     "git push -q origin HEAD:refs/heads/pushed && git symbolic-ref HEAD")
    assert result.status == 0 and result.text.endswith("refs/heads/topic\n"), result.errors
    assert origin.git("branch", "--list", "pushed").stdout.strip() == "pushed"


def test_the_configuration_cannot_be_set_and_git_says_so(a, made):
    repository = made()
    before = (repository.path / ".git/config").read_bytes()
    result = in_cage(a, repository.path, "git config core.fsmonitor 'touch /tmp/x'")
    assert result.status == 4
    assert "could not write config file .git/config" in result.errors
    assert (repository.path / ".git/config").read_bytes() == before
    assert not (repository.path / ".git/config.lock").exists()


# -- what is tried --

TRIES = {
    "a hook": "cp /tmp/hook .git/hooks/post-commit",
    "a hook in place of a sample": "cat /tmp/hook > .git/hooks/pre-commit.sample",
    "moving hooks aside": "mv .git/hooks .git/old; mkdir .git/hooks; cp /tmp/hook .git/hooks/pre-commit",
    "removing hooks": "rm -rf .git/hooks; mkdir .git/hooks; cp /tmp/hook .git/hooks/pre-commit",
    "writing the configuration": "printf '[core]\\nfsmonitor = /workspace/evil\\n' >> .git/config",
    "git config": "git config core.hooksPath evil-hooks",
    "git config --worktree": "git config extensions.worktreeConfig true; "
                             "git config --worktree core.fsmonitor /workspace/evil",
    "a configuration of the worktree's": "printf '[core]\\nfsmonitor=/workspace/evil\\n' > "
                                         ".git/config.worktree",
    "another configuration over it": "printf '[core]\\nfsmonitor=/workspace/evil\\n' > .git/new; "
                                     "mv -f .git/new .git/config",
    "an exchange": "printf x > .git/new; python3 -c 'import ctypes; "
                   "ctypes.CDLL(None).renameat2(-100, b\".git/new\", -100, b\".git/config\", 2)'",
    "removing the configuration": "rm -f .git/config; printf '[core]\\nfsmonitor=/workspace/evil\\n' "
                                  "> .git/config",
    "moving .git": "mv .git old; cp -a old .git; printf '[core]\\nfsmonitor=/workspace/evil\\n' >> "
                   ".git/config",
    "a hard link": "ln .git/config link && printf '[core]\\nfsmonitor=/workspace/evil\\n' >> link",
    "a link in the place of hooks": "rmdir .git/hooks; ln -sfn /workspace/evil-hooks .git/hooks",
    "unmounting": "umount .git/config; umount .git/hooks; cp /tmp/hook .git/hooks/pre-commit; "
                  "unshare -Urm sh -c 'umount .git/hooks; cp /tmp/hook .git/hooks/pre-commit'",
    "making it writable": "mount -o remount,rw,bind .git/hooks; chmod -R u+w .git; "
                          "cp /tmp/hook .git/hooks/pre-commit",
    "a folder of a submodule": "mkdir -p .git/modules/evil && cp -r .git/HEAD .git/modules/evil/",
}


@pytest.mark.parametrize("way", TRIES)
def test_no_way_of_planting_has_an_effect_on_the_users_git(a, made, way):
    repository = made()
    before = state(repository.git_dir)
    in_cage(a, repository.path, PREPARE + TRIES[way])
    after = state(repository.git_dir)
    assert {name: text for name, text in after.items() if text and name not in before} == {}
    assert {name: after.get(name) for name in before} == before
    repository.write("mine", "by me\n")
    repository.git("status", "--short")
    repository.git("add", "mine")
    repository.git("commit", "-qm", "mine")
    repository.git("checkout", "-q", "-b", "another")
    assert not (repository.path / "PWNED").exists()


def test_without_protection_the_same_works(a, made):
    """So that the tests above are able to fail."""
    repository = made()
    result = in_cage(a, repository.path, PREPARE + "cp /tmp/hook .git/hooks/pre-commit && "
                     "git config core.fsmonitor /workspace/evil", protect=[])
    assert result.status == 0, result.errors
    (repository.path / ".git/hooks/pre-commit").write_text(HOOK.format(marker="PWNED"))
    repository.git("commit", "--allow-empty", "-qm", "mine")
    assert (repository.path / "PWNED").exists()


def test_what_is_missing_cannot_be_made(a, made):
    repository = made()
    subprocess.run(["rm", "-rf", repository.git_dir / "hooks"], check=True)
    result = in_cage(a, repository.path, "echo x > .git/hooks/pre-commit; echo x > .git/config.worktree; "
                     "mkdir .git/modules/x; ls -A .git/hooks .git/modules; cat .git/config.worktree")
    assert result.errors.count("Read-only file system") == 3
    for name in ("hooks", "modules", "config.worktree"):
        path = repository.git_dir / name
        assert (path.stat().st_uid, path.stat().st_gid) == (a.user.uid, a.user.gid)
    assert repository.git("status", "--short").stdout == ""


# -- other places --

def test_each_repository_at_the_top_is_protected_and_cannot_be_moved_away(a, made):
    one, two = made("one"), made("two")
    bare = made("three.git", bare=True)
    befores = {r: state(r.git_dir) for r in (one, two, bare)}
    result = in_cage(a, one.path.parent, PREPARE + """
        for name in one two; do
            cp /tmp/hook $name/.git/hooks/pre-commit; mv $name gone-$name && mkdir $name
        done
        cp /tmp/hook three.git/hooks/post-receive; mv three.git gone; echo x >> three.git/config
        cd one && echo more > more && git add more && git commit -qm more && git push -q ../three.git main
    """)
    assert result.status == 0, result.errors
    for repository, before in befores.items():
        after = state(repository.git_dir)
        assert {name: after.get(name) for name in before} == before
    assert bare.git("log", "--format=%s", "-1", "main").stdout == "more\n"


def test_submodules_are_protected_and_can_be_worked_in(a, made):
    inner, outer = made("inner"), made("outer")
    outer.git("submodule", "--quiet", "add", "../inner", "libs/inner")
    outer.git("commit", "-qm", "submodule")
    module = outer.git_dir / "modules/libs/inner"
    before = state(module)
    result = in_cage(a, outer.path, PREPARE + """
        cp /tmp/hook .git/modules/libs/inner/hooks/pre-commit
        git -C libs/inner config core.fsmonitor /workspace/evil
        mv .git/modules/libs/inner .git/modules/libs/old; mv .git/modules/libs .git/modules/x
        mv .git/modules .git/old
        cd libs/inner && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m within && git log --format=%s -1
    """)
    assert result.text == "within\n", result.errors
    after = state(module)
    assert {name: after.get(name) for name in before} == before
    assert not (module / "hooks/pre-commit").exists()
    outer.git("status", "--short")
    assert not (outer.path / "PWNED").exists()


def test_a_workspace_that_is_a_worktree_keeps_its_git_file(a, made):
    repository = made("main")
    tree = repository.path.parent / "tree"
    repository.git("worktree", "add", "-q", str(tree))
    text = (tree / ".git").read_bytes()
    in_cage(a, tree, "echo 'gitdir: evil' > .git; mv .git x; rm -f .git; mkdir .git")
    assert (tree / ".git").read_bytes() == text
    admin = repository.git_dir / "worktrees/tree"
    common = (admin / "commondir").read_bytes()
    in_cage(a, repository.path, "cd .git/worktrees/tree && echo evil > commondir; mv commondir x; "
            "echo x > config.worktree; mv ../tree ../gone; mv /workspace/.git/worktrees /workspace/x; "
            "mv -f /dev/null commondir")
    assert (admin / "commondir").read_bytes() == common
    assert not (admin / "config.worktree").exists()
    (admin / "gitdir").write_text("../../../../tree/.git\n")  # as of git 2.48, if it is asked to
    in_cage(a, repository.path, "cd .git/worktrees/tree && echo evil > commondir; mv commondir x; "
            "echo x > config.worktree; touch here")
    assert (admin / "commondir").read_bytes() == common
    assert (admin / "config.worktree").read_bytes() == b"" and (admin / "here").exists()


def test_git_in_a_cage_does_not_prune_the_users_worktrees(a, made):
    """Whose paths are the host's, and lead nowhere inside."""
    repository = made("main")
    trees = [repository.path / "within", repository.path.parent / "beside"]
    for tree in trees:
        repository.git("worktree", "add", "-q", str(tree))
        admin = repository.git_dir / "worktrees" / tree.name
        os.utime(admin / "index", (1e9, 1e9))  # git gc prunes what is older than three months
    before = repository.git("worktree", "list").stdout
    result = in_cage(a, repository.path, "git worktree prune; git gc -q; git commit -q --allow-empty -m more")
    assert result.status == 0, result.errors
    for tree in trees:
        assert repository.git("status", "--short", cwd=tree).stdout == ""
    after = repository.git("worktree", "list").stdout
    assert [line.split()[0] for line in after.splitlines()] == [line.split()[0] for line in before.splitlines()]


def test_the_repository_of_a_relative_worktree_is_protected_further_down_too(a, made):
    """Which is on the way to the worktree's own git folder."""
    repository = made("deep", "main")
    workspace = repository.path.parent.parent
    repository.git("worktree", "add", "-q", str(workspace / "tree"))
    (workspace / "tree/.git").write_text("gitdir: ../deep/main/.git/worktrees/tree\n")
    before = state(repository.git_dir)
    in_cage(a, workspace, PREPARE + "cp /tmp/hook deep/main/.git/hooks/pre-commit; echo x >> deep/main/.git/config; "
            "cd tree; git config core.fsmonitor /workspace/evil; git commit -q --allow-empty -m more")
    assert {name: text for name, text in state(repository.git_dir).items() if name in before} == before
    assert not (repository.git_dir / "hooks/pre-commit").exists()
    assert repository.git("log", "--format=%s", "-1", "tree").stdout == "more\n"


def test_where_a_relative_git_file_leads_is_protected(a, made):
    outer = made("deep")
    workspace = outer.path.parent
    store = a.user.folder(f"{workspace.name}/stores")
    repository = made("separate", git_dir=store / "kept")
    (repository.path / ".git").write_text("gitdir: ../stores/kept\n")
    before = state(store / "kept")
    in_cage(a, workspace, PREPARE + "cp /tmp/hook stores/kept/hooks/pre-commit; mv stores/kept stores/x; "
            "mv stores s2; echo x >> stores/kept/config")
    assert (store / "kept/HEAD").exists()
    assert {n: v for n, v in state(store / "kept").items() if n in before} == before


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_repository_that_a_git_file_leads_to_is_protected_with_what_is_in_it(a, made, names):
    """One folder that is a git folder and has a repository in it, in whatever order they are met."""
    leader, both = made(names[0]), made(names[1])
    subprocess.run(["cp", "-a", *[both.git_dir / name for name in ("HEAD", "config", "hooks", "objects")],
                    both.path], check=True)
    shutil.rmtree(leader.git_dir)
    leader.write(".git", f"gitdir: ../{names[1]}\n")
    befores = state(both.git_dir), (both.path / "config").read_bytes()
    result = in_cage(a, both.path.parent, PREPARE + f"""
        cd {names[1]}; cp /tmp/hook hooks/pre-commit; cp /tmp/hook .git/hooks/pre-commit
        echo x >> config; echo x >> .git/config; mv hooks h; mv .git g; mv ../{names[1]} ../c; true""")
    assert result.status == 0 and result.errors.count("Read-only file system") == 4, result.errors
    assert (state(both.git_dir), (both.path / "config").read_bytes())[1] == befores[1]
    assert {n: v for n, v in state(both.git_dir).items() if n in befores[0]} == befores[0]
    assert not (both.path / "hooks/pre-commit").exists() and not (both.git_dir / "hooks/pre-commit").exists()


# -- what cannot be protected is refused --

def link(path, target):
    if path.is_dir():
        subprocess.run(["rm", "-r", path], check=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


REFUSED = {
    "a linked .git": (lambda r: (os.rename(r.git_dir, r.path / "real"), link(r.git_dir, "real")),
                      "/workspace/.git is a symbolic link"),
    "linked hooks": (lambda r: link(r.git_dir / "hooks", "../elsewhere"),
                     "/workspace/.git/hooks is a symbolic link"),
    "a linked hook": (lambda r: link(r.git_dir / "hooks/pre-commit", "../../file"),
                      "/workspace/.git/hooks/pre-commit is a symbolic link"),
    "a linked configuration": (lambda r: link(r.git_dir / "config", "../config"),
                               "/workspace/.git/config is a symbolic link"),
    "a second name of the configuration": (lambda r: os.link(r.git_dir / "config", r.path / "c"),
                                           "/workspace/.git/config has a further name"),
    "a second name of a hook": (lambda r: os.link(r.git_dir / "hooks/pre-push.sample", r.path / "c"),
                                "/workspace/.git/hooks/pre-push.sample has a further name"),
    "commondir": (lambda r: r.write(".git/commondir", "../elsewhere\n"),
                  "/workspace/.git/commondir leads git to another folder's"),
    "a FIFO as configuration": (lambda r: (os.unlink(r.git_dir / "config"), os.mkfifo(r.git_dir / "config")),
                                "/workspace/.git/config is not a regular file"),
    "hooks that are a file": (lambda r: (subprocess.run(["rm", "-r", r.git_dir / "hooks"], check=True),
                                         r.write(".git/hooks", "")),
                              "/workspace/.git/hooks is not a folder"),
    "a linked modules": (lambda r: link(r.git_dir / "modules", "../x"),
                         "/workspace/.git/modules is a symbolic link"),
    "a linked worktree": (lambda r: (os.mkdir(r.git_dir / "worktrees"),
                                     link(r.git_dir / "worktrees/w", "../x")),
                          "/workspace/.git/worktrees/w is a symbolic link"),
    "a .git file into nothing": (lambda r: (os.rename(r.git_dir, r.path / "x"),
                                            r.write(".git", "gitdir: nothing\n")),
                                 "/workspace/nothing is where a .git file leads to"),
    "a .git file into no git folder": (lambda r: (os.rename(r.git_dir, r.path / "x"), os.mkdir(r.path / "y"),
                                                  r.write(".git", "gitdir: y\n")),
                                       "/workspace/y is where a .git file leads to, and no git folder"),
    "a .git file into the workspace itself": (lambda r: (os.rename(r.git_dir, r.path / "x"),
                                                         r.write(".git", "gitdir: .\n")),
                                              "/workspace is where a .git file leads to, and no git folder"),
    "a worktree of another repository": (lambda r: (os.makedirs(r.git_dir / "worktrees/w"),
                                                    r.write(".git/worktrees/w/commondir", "../../../evil\n")),
                                         "/workspace/.git/worktrees/w/commondir does not lead to its"),
    "a .git file through a link": (lambda r: (os.rename(r.git_dir, r.path / "x"),
                                              link(r.path / "l", "x"), r.write(".git", "gitdir: l\n")),
                                   "/workspace/l is a symbolic link"),
    "a name with a control character": (lambda r: link(r.git_dir / "hooks/\x1b[2J\n", "../x"),
                                        "/workspace/.git/hooks/?[2J? is a symbolic link"),
    "too many worktrees": (lambda r: [os.makedirs(r.git_dir / f"worktrees/{n}") for n in range(LIMIT + 1)],
                           "/workspace/.git/worktrees"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_protected_is_refused_with_the_reason(a, made, what):
    repository = made()
    spoil, reason = REFUSED[what]
    spoil(repository)
    assert_refused(a, repository, reason)


def test_an_agents_folder_that_it_cannot_read_now_hides_nothing(a, made):
    repository = made("hidden")
    repository.path.chmod(0o000)
    error = a.refused(workspace=str(repository.path.parent))
    assert error.parameters["reason"].startswith("/workspace/hidden cannot be looked into"), error
    repository.path.chmod(0o755)


def test_what_leads_out_of_the_workspace_is_left_alone(a, made):
    repository = made()
    outside = a.user.folder(f"outside-{os.urandom(3).hex()}")
    target = outside / "kept"
    os.rename(repository.git_dir, target)
    repository.write(".git", f"gitdir: ../{outside.name}/kept\n")
    assert in_cage(a, repository.path, "exit 3").status == 3
    assert not (target / "config.worktree").exists()
    repository.write(".git", f"gitdir: {target}\n")
    assert in_cage(a, repository.path, "exit 3").status == 3


def test_a_workspace_without_a_repository_is_left_as_it_is(a):
    workspace = a.user.folder(f"plain-{os.urandom(3).hex()}")
    a.user.folder(f"{workspace.name}/src")
    assert in_cage(a, workspace, "git init -q && echo made > .git/hooks/x && mv src lib").status == 0
    assert sorted(os.listdir(workspace)) == [".git", "lib"]


def test_what_root_owns_is_no_obstacle(a, made):
    repository = made()
    subprocess.run(["chown", "-R", "0:0", repository.git_dir], check=True)
    assert in_cage(a, repository.path, "exit 3").status == 3
    assert not (repository.git_dir / "config.worktree").exists()


def test_nothing_is_left_mounted_when_the_agent_has_ended(a, made):
    repository = made()
    in_cage(a, repository.path, "true")
    until(lambda: str(repository.path) not in open("/proc/self/mountinfo").read(), what="unmounted")
    repository.git("config", "x.y", "z")
    os.rename(repository.git_dir, repository.path / "moved")


def test_to_go_without_is_for_the_policy_to_allow(own_daemon, people):
    own_daemon.reload_policy({"rules": [{"name": "careful", "groups": [people["group"]]}]})
    error = Client(own_daemon, people["a"]).refused(protect=[])
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "$.protect"), error
    assert "careful" in error.parameters["reason"]


def test_a_git_folder_without_objects_is_one_all_the_same(a, made):
    """A top-level folder that an earlier agent made: with a commondir HEAD is enough for git."""
    repository = made("sub", "below")
    folder = a.user.folder(f"{repository.path.parent.parent.name}/planted")
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "commondir").write_text("../sub/below/.git\n")
    repository.run("git", "rev-parse", "--git-dir", cwd=folder)
    error = a.refused(workspace=str(folder.parent))
    assert error.parameters["reason"].startswith("/workspace/planted/commondir leads git"), error
