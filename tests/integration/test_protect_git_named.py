"""protect: ["git"]: what a repository's own configuration names in the work tree (core.hooksPath,
include.path, includeIf.*.path) is protected as hooks and configuration are."""

import os
import re
import subprocess
import threading

import pytest

from harness import paths
from harness.repository import PREPARE, assert_refused, in_cage, state

LIMITS = (paths.ROOT / "common/caged-limits.h").read_text()
NAMED = int(re.search(r"PROTECT_NAMED_MAX (\d+)", LIMITS).group(1))
HOOK = "#!/bin/sh\ntouch \"$(git rev-parse --show-toplevel)/RAN\"\n"
EVIL = "printf '[core]\\nfsmonitor = /workspace/evil\\n[alias]\\nx = !touch PWNED\\n'"


def own(repository, path):
    """As the user's, with the folders above it."""
    while path != repository.path:
        os.lchown(path, repository.user.uid, repository.user.gid)
        path = path.parent


def put(repository, name, text, mode=0o644):
    path = repository.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    own(repository, path)
    return path


def tree(path):
    """Every file's content and mode, and each folder."""
    return {str(p.relative_to(path)): (p.stat().st_mode, p.read_bytes() if p.is_file() else None)
            for p in sorted(path.rglob("*"))}


@pytest.fixture
def hooked(made):
    """A repository whose hooks are tracked, in .githooks."""
    repository = made()
    put(repository, ".githooks/pre-commit", HOOK, 0o755)
    repository.git("add", ".githooks")
    repository.git("commit", "-qm", "hooks")
    repository.git("config", "core.hooksPath", ".githooks")
    return repository


# -- hooks --

def test_the_hooks_run_inside_and_work_goes_on(a, hooked):
    result = in_cage(a, hooked.path, "echo x > new; git add new; git commit -qm new && git status --short")
    assert (result.status, result.text) == (0, "?? RAN\n"), result.errors
    hooked.git("log", "-1", "--format=%s")


def test_a_checkout_that_would_change_the_hooks_fails_inside(a, hooked):
    hooked.git("checkout", "-qb", "other")
    put(hooked, ".githooks/pre-commit", HOOK + "exit 1\n", 0o755)
    hooked.git("commit", "-qam", "other hooks", "--no-verify")
    hooked.git("checkout", "-q", "main")
    result = in_cage(a, hooked.path, "git checkout other; git status --short; git symbolic-ref HEAD")
    assert ".githooks/pre-commit': Read-only file system" in result.errors
    assert (hooked.path / ".githooks/pre-commit").read_text() == HOOK


TRIES = {
    "rewriting": "cp /tmp/hook .githooks/pre-commit",
    "adding one": "cp /tmp/hook .githooks/post-commit",
    "moving the folder": "mv .githooks old; mkdir .githooks; cp /tmp/hook .githooks/pre-commit",
    "removing it": "rm -rf .githooks; mkdir .githooks; cp /tmp/hook .githooks/pre-commit",
    "an exchange": "python3 -c 'import ctypes; "
                   "ctypes.CDLL(None).renameat2(-100, b\"evil-hooks\", -100, b\".githooks\", 2)'",
    "another over it": "cp /tmp/hook new; mv -f new .githooks/pre-commit",
    "a hard link": "ln .githooks/pre-commit link && cp /tmp/hook link",
    "a link in its place": "rm -rf .githooks; ln -sfn evil-hooks .githooks",
    "unmounting": "umount .githooks; chmod -R u+w .githooks; cp /tmp/hook .githooks/pre-commit; "
                  "mount -o remount,rw,bind .githooks; cp /tmp/hook .githooks/pre-commit",
    "git itself": "git rm -rq --cached .githooks; git config core.hooksPath evil-hooks; git stash -q; "
                  "git clean -fdxq .githooks; git reset -q HEAD",
}


@pytest.mark.parametrize("way", TRIES)
def test_no_way_of_changing_hooks_in_the_work_tree_has_an_effect(a, hooked, way):
    before = tree(hooked.path / ".githooks")
    in_cage(a, hooked.path, PREPARE + TRIES[way])
    assert tree(hooked.path / ".githooks") == before
    hooked.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert (hooked.path / "RAN").exists() and not (hooked.path / "PWNED").exists()


def test_without_protection_the_same_works(a, hooked):
    """So that the tests above are able to fail."""
    in_cage(a, hooked.path, PREPARE + TRIES["rewriting"], protect=[])
    assert "touch /workspace/PWNED" in (hooked.path / ".githooks/pre-commit").read_text()


@pytest.mark.parametrize("name", ["hooks", "tools/git/hooks", ".husky/_"])
def test_hooks_that_are_missing_are_made_empty_and_stay_so(a, made, name):
    repository = made()
    repository.git("config", "core.hooksPath", name)
    result = in_cage(a, repository.path, PREPARE + f"cp /tmp/hook {name}/pre-commit; rm -rf {name}; "
                     f"mv {name.split('/')[0]} gone; ls -A {name}")
    assert "Read-only file system" in result.errors and result.status == 0
    path = repository.path / name
    assert list(path.iterdir()) == []
    assert (path.stat().st_uid, path.stat().st_gid) == (a.user.uid, a.user.gid)
    assert repository.git("status", "--short", "--", name).stdout == ""


def test_what_huskys_hooks_run_is_protected_too(a, made):
    """They lie in .husky/_, and each runs the one of its name beside that folder."""
    repository = made()
    put(repository, ".husky/_/pre-commit", "#!/bin/sh\n. \"$(dirname \"$0\")/h\"\n", 0o755)
    put(repository, ".husky/_/h", "sh -e \"$(dirname \"$(dirname \"$0\")\")/${0##*/}\"\n", 0o755)
    put(repository, ".husky/pre-commit", "touch RAN\n")
    repository.git("config", "core.hooksPath", ".husky/_")
    before = tree(repository.path / ".husky")
    result = in_cage(a, repository.path, PREPARE + """
        cp /tmp/hook .husky/pre-commit; cp /tmp/hook .husky/pre-push; cp /tmp/hook .husky/_/h
        mv .husky gone; mv .husky/_ .husky/x; mkdir .husky/new
        git commit -q --allow-empty -m inside && ls RAN""")
    assert result.text == "RAN\n" and tree(repository.path / ".husky") == before, result.errors
    (repository.path / "RAN").unlink()
    repository.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert (repository.path / "RAN").exists() and not (repository.path / "PWNED").exists()


def test_what_is_mounted_in_a_folder_of_hooks_is_read_only_as_well(a, made):
    """An included file in it makes a mount of the folder that the file is in."""
    repository = made()
    put(repository, ".githooks/lib/config", "[x]\ny = z\n")
    put(repository, ".githooks/lib/common", "kept\n")
    repository.git("config", "include.path", "../.githooks/lib/config")
    repository.git("config", "core.hooksPath", ".githooks")
    in_cage(a, repository.path, "echo evil > .githooks/lib/common; echo evil > .githooks/lib/new; "
            "rm -f .githooks/lib/common; mv .githooks/lib .githooks/x")
    assert sorted(os.listdir(repository.path / ".githooks/lib")) == ["common", "config"]
    assert (repository.path / ".githooks/lib/common").read_text() == "kept\n"


def test_folders_of_hooks_in_one_another_cost_a_mount_each(a, made):
    """Not twice as many with each: what holds the kernel's lock of mounts holds up every cage."""
    repository, folders = made(), ["d" + "/d" * depth for depth in range(20)]
    put(repository, folders[-1] + "/config", "")
    put(repository, ".git/config", f"[include]\npath = ../{folders[-1]}/config\n[core]\n" +
        "".join(f"hooksPath = {folder}\n" for folder in reversed(folders)))
    result = in_cage(a, repository.path, "grep -c ' /workspace/d' /proc/self/mountinfo; "
                     f"for f in {' '.join(folders)}; do echo x > $f/pre-commit; done; echo x >> {folders[-1]}/config")
    assert result.text == f"{len(folders) + 1}\n", result.errors
    assert result.errors.count("Read-only file system") == len(folders) + 1, result.errors
    assert [p.name for p in (repository.path / "d").rglob("*") if p.is_file()] == ["config"]


def test_one_hook_by_several_names_is_protected_by_each(a, made):
    repository = made()
    put(repository, ".githooks/any", HOOK, 0o755)
    for folder in (".githooks", ".git/hooks"):
        for name, target in (("pre-commit", "any"), ("pre-push", "pre-commit"), ("post-merge", "missing")):
            (repository.path / folder / name).symlink_to(target)
    repository.git("config", "core.hooksPath", ".githooks")
    result = in_cage(a, repository.path, PREPARE + "cd .githooks; cp /tmp/hook any; cp /tmp/hook pre-push; "
                     "cp /tmp/hook missing; ln -sfn ../evil pre-commit; ls; cp /tmp/hook ../.git/hooks/missing; "
                     "cd ..; git commit -q --allow-empty -m inside; ls RAN")
    assert result.text == "any\npost-merge\npre-commit\npre-push\nRAN\n"
    assert result.errors.count("Read-only file system") == 5, result.errors


# -- configuration --

INCLUDES = {
    "include.path": {".git/config": "[include]\npath = ../.gitconfig\n", ".gitconfig": ""},
    "of some branch": {".git/config": "[includeIf \"onbranch:never\"]\npath = ../.gitconfig\n", ".gitconfig": ""},
    "without a file": {".git/config": "[include]\npath = ../.gitconfig\n"},
    "without a folder": {".git/config": "[include]\npath = ../etc/git/more\n"},
    "a chain": {".git/config": "[include]\npath = ../one/a\n", "one/a": "[include]\npath=../two/b\n",
                "two/b": "[include]\n path = c ; here\n", "two/c": "[x]\ny = z\n"},
    "hooks of a chain": {".git/config": "[include]\npath = ../one\n", "one": "[core]\nhooksPath = \"h h\"\n",
                         "h h/pre-commit": HOOK},
    "of the worktree's configuration": {".git/config.worktree": "[include]\npath = ../one\n", "one": ""},
    "quotes and comments": {".git/config": "[INCLUDE] ; x\n\tPath = \"../a \\\"b\\\"\" # y\n", "a \"b\"": ""},
    "a path with an option": {".git/config": "[core]\nhooksPath = :(optional)hks\n"},
}


@pytest.mark.parametrize("what", INCLUDES)
def test_what_is_included_is_protected_with_all_that_it_names(a, made, what):
    repository = made()
    named = set()
    for name, text in INCLUDES[what].items():
        path = repository.path / name
        put(repository, name, (path.read_text() if path.exists() else "") + text)
        named |= {n for n in re.findall(r"(?:path|Path|hooksPath) ?= ?(.*)", text)}
    files = [n for n in INCLUDES[what] if not n.startswith(".git/")]
    before = {name: (repository.path / name).read_bytes() for name in files}
    tops = {name.split("/")[0] for name in files} or {"etc", ".gitconfig", "hks"}
    script = "".join(f"echo x >> '{name}'; mv -f evil '{name}'; rm -f '{name}'\n" for name in files)
    script += "".join(f"mv '{top}' gone-{number}\n" for number, top in enumerate(sorted(tops)))
    script += "for f in .gitconfig etc/git/more hks/pre-commit; do mkdir -p $(dirname $f); " + EVIL + " > $f; done"
    result = in_cage(a, repository.path, PREPARE + script)
    assert {name: (repository.path / name).read_bytes() for name in files} == before, result.errors
    repository.git("status", "--short")
    assert repository.git("x", check=False).returncode != 0
    assert not (repository.path / "PWNED").exists() and named


def test_what_caged_makes_itself_is_not_told_of(a, made):
    repository = made()
    repository.git("config", "core.hooksPath", ".husky/_")
    repository.git("config", "include.path", "../.gitconfig")
    result = in_cage(a, repository.path, "ls -d .husky/_ .gitconfig")
    assert (result.text, result.errors) == (".gitconfig\n.husky/_\n", "")
    assert ".gitconfig (changed)" in in_cage(a, repository.path, "echo x > .gitconfig", protect=[]).errors


def test_a_missing_file_that_is_included_is_made_empty(a, made):
    repository = made()
    repository.git("config", "include.path", "../etc/git/more")
    result = in_cage(a, repository.path, f"{EVIL} > etc/git/more; cat etc/git/more")
    assert (result.status, result.text) == (0, "") and "Read-only file system" in result.errors
    made_file = (repository.path / "etc/git/more").stat()
    assert (made_file.st_size, made_file.st_uid) == (0, a.user.uid)


def test_agents_that_start_at_once_make_what_is_missing_together(a, made):
    results = []
    for number in range(16):
        repository = made(f"fresh-{number}")
        repository.git("config", "core.hooksPath", "a/b/c/hooks")
        repository.git("config", "include.path", "../d/e/f/config")
        starts = [threading.Thread(target=lambda path: results.append(in_cage(a, path, "true")),
                                   args=[repository.path]) for _ in range(4)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
    assert {(result.status, result.errors) for result in results} == {(0, "")} and len(results) == 64


# -- where paths count from --

def refuses_writing(a, workspace, path):
    result = in_cage(a, workspace, f"mkdir -p '{path}'; echo x > '{path}/pre-commit'")
    return "Read-only file system" in result.errors and not (workspace / path / "pre-commit").exists()


def test_a_path_of_the_hosts_leads_to_the_workspace(a, made):
    repository = made("one")
    workspace = repository.path.parent
    repository.git("config", "core.hooksPath", str(repository.path / ".githooks"))
    repository.git("config", "include.path", str(workspace / "shared/gitconfig"))
    put(repository, ".githooks/pre-commit", HOOK, 0o755)
    result = in_cage(a, workspace, PREPARE + f"cp /tmp/hook one/.githooks/pre-commit; "
                     f"mkdir -p shared; {EVIL} > shared/gitconfig")
    assert result.errors.count("Read-only file system") == 2
    repository.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert (repository.path / "RAN").exists()


def test_out_of_the_workspace_and_in_again_is_in_it(a, made):
    repository = made()
    repository.git("config", "core.hooksPath", f"../{repository.path.name}/hks")
    assert refuses_writing(a, repository.path, "hks")


def test_bare_repositories_have_them_in_their_git_folder(a, made):
    repository = made("bare.git", bare=True)
    repository.git("config", "core.hooksPath", "custom")
    assert refuses_writing(a, repository.path.parent, "bare.git/custom")
    assert not (repository.path.parent / "custom").exists()


def test_submodules_have_them_in_their_own_work_tree(a, made):
    inner, outer = made("inner"), made("outer")
    outer.git("submodule", "--quiet", "add", "../inner", "libs/inner")
    outer.git("config", "core.hooksPath", ".githooks", cwd=outer.path / "libs/inner")
    assert refuses_writing(a, outer.path, "libs/inner/.githooks")
    assert inner.git("status", "--short").stdout == ""


@pytest.mark.parametrize("relative", [False, True])
def test_linked_worktrees_have_their_own(a, made, relative):
    repository = made("main")
    workspace = repository.path.parent
    repository.git("worktree", "add", "-q", str(workspace / "deep/tree"))
    repository.git("config", "core.hooksPath", ".githooks")
    if relative:
        (workspace / "deep/tree/.git").write_text("gitdir: ../../main/.git/worktrees/tree\n")
        (repository.git_dir / "worktrees/tree/gitdir").write_text("../../../../deep/tree/.git\n")
    assert refuses_writing(a, workspace, "deep/tree/.githooks")
    assert refuses_writing(a, workspace, "main/.githooks")


def test_the_work_tree_of_a_git_file_counts(a, made):
    store = made("deep")
    workspace = store.path.parent
    repository = made("separate", git_dir=a.user.folder(f"{workspace.name}/stores") / "kept")
    (repository.path / ".git").write_text("gitdir: ../stores/kept\n")
    repository.git("config", "core.hooksPath", ".githooks")
    assert refuses_writing(a, workspace, "separate/.githooks")
    assert repository.git("rev-parse", "--git-path", "hooks").stdout == ".githooks\n"


def test_the_repository_of_a_worktree_is_protected_further_down_too(a, made):
    """To which the worktree's .git has a path of the host's; and git inside does not prune it."""
    repository = made("deep", "main")
    workspace = repository.path.parent.parent
    repository.git("worktree", "add", "-q", str(workspace / "tree"))
    repository.git("config", "core.hooksPath", ".githooks")
    before = state(repository.git_dir)
    result = in_cage(a, workspace, PREPARE + """
        cp /tmp/hook deep/main/.git/hooks/pre-commit; echo x >> deep/main/.git/config
        for folder in deep/main deep; do python3 -c "import os; os.rename('$folder', 'x')" 2> /dev/null; done
        echo x > deep/main/.git/worktrees/tree/commondir; echo x > deep/main/.git/worktrees/tree/config.worktree
        echo x > tree/.githooks/pre-commit; git -C deep/main worktree prune; git -C deep/main gc -q
        git -C deep/main commit -q --allow-empty -m more""")
    assert result.status == 0 and not (workspace / "tree/.githooks/pre-commit").exists(), result.errors
    after = state(repository.git_dir)
    assert {name: after.get(name) for name in before} == before
    assert not (repository.git_dir / "hooks/pre-commit").exists()
    assert repository.git("status", "--short", cwd=workspace / "tree").stdout == ""


def test_a_separate_git_folder_of_the_hosts_path_is_protected(a, made):
    workspace = made("deep").path.parent
    repository = made("separate", git_dir=a.user.folder(f"{workspace.name}/stores") / "kept")
    assert (repository.path / ".git").read_text() == f"gitdir: {workspace}/stores/kept\n"
    in_cage(a, workspace, PREPARE + "cp /tmp/hook stores/kept/hooks/pre-commit; mv stores x; "
            "echo x >> stores/kept/config")
    repository.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert not (repository.path / "PWNED").exists()
    (repository.path / ".git").write_text(f"gitdir: {workspace}/stores/gone\n")
    error = a.refused(workspace=str(workspace))
    assert error.parameters["reason"].startswith("/workspace/stores/gone is where a .git file leads to"), error


def test_what_lies_outside_is_left_alone(a, made):
    repository = made()
    beside = a.user.folder(f"beside-{os.urandom(3).hex()}")
    for value in (f"../{beside.name}/hooks", str(beside / "hooks"), "~/hooks", "%(prefix)/hooks", "/dev/null", ""):
        repository.git("config", "core.hooksPath", value)
        repository.git("config", "include.path", value.replace("hooks", "config").replace("../", "../../"))
        assert in_cage(a, repository.path, "ls -A").text == ".git\nfile\n", value
    assert list(beside.iterdir()) == []


def test_the_hooks_of_the_git_folder_may_be_named(a, made):
    repository = made()
    repository.git("config", "core.hooksPath", ".git/hooks")
    assert refuses_writing(a, repository.path, ".git/hooks")


def test_there_are_no_hooks_in_a_git_that_is_a_file(a, made):
    """core.hooksPath = .git/hooks, which is usual, leads nowhere in worktrees and submodules."""
    inner, outer = made("inner"), made("outer")
    workspace = outer.path.parent
    outer.git("submodule", "--quiet", "add", "../inner", "libs/inner")
    for place in (outer.path, outer.path / "libs/inner"):
        outer.git("config", "core.hooksPath", ".git/hooks", cwd=place)
    outer.git("worktree", "add", "-q", ".worktrees/tree")
    outer.git("worktree", "add", "-q", str(workspace / "beside"))
    assert refuses_writing(a, workspace, "outer/.git/hooks")
    assert in_cage(a, outer.path, "git status --short libs").status == 0
    assert inner.git("status", "--short").stdout == ""


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_a_worktree_that_was_removed_is_not_made_again(a, made, there):
    repository = made()
    repository.git("config", "core.hooksPath", ".githooks")
    repository.git("worktree", "add", "-q", "tree")
    repository.run("rm", "-r", "tree")
    if there == "a file":
        put(repository, "tree", "x\n")
    result = in_cage(a, repository.path, "ls -A")
    assert (result.status, result.text) == (0, ".git\n.githooks\nfile\n" + ("tree\n" if there == "a file" else ""))


# -- what cannot be protected --

def names(key, value):
    return lambda r: r.git("config", key, value)


def all_of(*steps):
    return lambda r: [step(r) for step in steps]


def linked(name, target):
    def step(r):
        (r.path / name).parent.mkdir(parents=True, exist_ok=True)
        (r.path / name).symlink_to(target)
        own(r, r.path / name)
    return step


def text(name, content):
    return lambda r: put(r, name, content)


def config(content):
    return text(".git/config", content)


INCLUDE = "[include]\npath = "
REFUSED = {
    "linked hooks": (all_of(linked("hks", "evil"), names("core.hooksPath", "hks")), "hks is a symbolic link"),
    "a link on the way": (all_of(linked("a", "b"), text("b/hks/x", ""), names("core.hooksPath", "a/hks")),
                          "a is a symbolic link"),
    "a linked hook": (all_of(linked("hks/pre-commit", "../file"), names("core.hooksPath", "hks")),
                      "hks/pre-commit is a symbolic link"),
    "a linked hook of husky's": (all_of(linked(".husky/pre-commit", "../file"), names("core.hooksPath", ".husky/_")),
                                 ".husky/pre-commit is a symbolic link"),
    "a hook with a second name": (all_of(text("hks/x", ""), lambda r: os.link(r.path / "hks/x", r.path / "y"),
                                         names("core.hooksPath", "hks")), "hks/x has a further name"),
    "hooks that are a file": (names("core.hooksPath", "file"), "file is not a folder"),
    "the whole work tree": (names("core.hooksPath", "."), ".git/config has a core.hooksPath that names a folder with"),
    "the git folder": (names("core.hooksPath", ".git"), ".git/config has a core.hooksPath that names a folder with"),
    "the way back": (names("core.hooksPath", "hks/../x"), ".git/config names a path with \"..\""),
    "a linked configuration": (all_of(linked("c", "file"), names("include.path", "../c")), "c is a symbolic link"),
    "a configuration with a second name": (all_of(lambda r: os.link(r.path / "file", r.path / "y"),
                                                  names("include.path", "../y")), "y has a further name"),
    "a folder as configuration": (all_of(text("c/x", ""), names("include.path", "../c")),
                                  "c is not a regular file"),
    "a FIFO as configuration": (all_of(lambda r: os.mkfifo(r.path / "c"), names("include.path", "../c")),
                                "c is not a regular file"),
    "one that includes itself": (all_of(text("c", INCLUDE + "c\n"), names("include.path", "../c")),
                                 "c includes files in one another deeper than git does (10), or itself"),
    "one by one another": (all_of(text("c", (INCLUDE + "d\n") * 9), text("d", (INCLUDE + "c\n") * 9),
                                  names("include.path", "../c")), "d includes files in one another deeper"),
    "too many": (all_of(text("c", ""), config((INCLUDE + "../c\n") * (NAMED + 1))),
                 ".git/config names one hooks folder or file more than can"),
    "too many in a tree": (all_of(config(INCLUDE + "../f0\n"),
                                  *[text(f"f{n}", (INCLUDE + f"f{n + 1}\n") * 8) for n in range(8)]),
                           "f7 names one hooks folder or file more than can"),
    "too much": (all_of(text("c", "#" * (17 << 20)), names("include.path", "../c")),
                 "c is more configuration than is read (16777216 bytes in all)"),
    "too much in all": (all_of(text("c", "#" * (1 << 20)), config((INCLUDE + "../c\n") * 20)),
                        "c is more configuration than is read"),
    "too long a path": (config(f"[core]\nhooksPath = {'x' * 2000}\n"),
                        ".git/config is no configuration of git's: too long a path in line 2"),
    "no configuration": (config("[core]\nhooksPath = \"x\n"), ".git/config is no configuration of git's: see line 2"),
    "none in an included file": (all_of(text("c", "\n\n[core\n"), names("include.path", "../c")),
                                 "c is no configuration of git's: see line 3"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_protected_is_refused_with_the_reason(a, made, what):
    repository = made()
    spoil, reason = REFUSED[what]
    spoil(repository)
    start = "/workspace" + ("" if reason.startswith(" ") else "/")
    assert_refused(a, repository, start + reason)


def test_cagectl_says_what_helps_by_the_step_that_failed(a, made):
    repository = made()
    result = in_cage(a, repository.path, None, command=["no-such-program"])
    assert "programs come from the host's /usr" in result.errors and "REPOSITORIES" not in result.errors
    repository.git("config", "core.hooksPath", ".")
    result = in_cage(a, repository.path, "true")
    assert "caged.card(5), REPOSITORIES" in result.errors and "programs come" not in result.errors


def test_what_git_itself_cannot_read_is_all_that_is_no_configuration(made):
    """The refusals above keep nobody from work that git would do."""
    for what in ("one that includes itself", "no configuration", "none in an included file"):
        repository = made(what)
        REFUSED[what][0](repository)
        assert repository.git("status", check=False).returncode == 128, what


def test_nothing_is_left_mounted_when_the_agent_has_ended(a, hooked):
    assert in_cage(a, hooked.path, "exit 3").status == 3
    os.rename(hooked.path / ".githooks", hooked.path / "moved")
    subprocess.run(["rm", "-r", hooked.path / "moved"], check=True)
