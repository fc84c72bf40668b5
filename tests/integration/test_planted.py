"""What an agent leaves in its workspace that its user's own tools may run: told at its end."""

import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from harness import leftovers, paths
from harness.daemon import Client, until
from harness.patience import PATIENCE
from harness.varlink import VarlinkError

CLOCK_REALTIME_COARSE = 5  # linux/time.h
LIMITS = dict(re.findall(r"^#define (SCAN_\w+) +\(?(\d+)",
                         (paths.ROOT / "common/caged-limits.h").read_text(), re.M))
KIND_FILES = int(LIMITS["SCAN_KIND_FILES_MAX"])
TABLE = (paths.ROOT / "common/planted-kind.c").read_text()
KINDS = {name: re.findall(r'"([^"]+)"', patterns) for name, patterns in re.findall(
    r'\[PLANTED_\w+\] =\s*\{"([a-z-]+)",\s*(?:"[^"]*"\s*)+,\s*\{([^}]*)\}\}', TABLE)}


def end_of(a, script, workspace=None, **keys):
    if workspace:
        keys["workspace"] = str(workspace)
    return a.wait(a.spawn(script, **keys))


def planted(ended):
    """(kind, change) of each path; everything was looked at."""
    assert ended.get("planted_incomplete") is None, ended
    return {file["path"]: (file["kind"], file["change"]) for file in ended["planted"]}


@pytest.fixture
def workspace(a):
    return a.user.folder(f"planted-{os.urandom(4).hex()}")


def put(a, path, text="x\n"):
    """A file of the user's, from before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for each in (path, *path.parents):
        if each == a.user.home:
            break
        os.chown(each, a.user.uid, a.user.gid)
    return path


def tick():
    """The clock of file systems goes on: what is changed now is later than what was before."""
    before = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    until(lambda: time.clock_gettime_ns(CLOCK_REALTIME_COARSE) > before, what="a tick")


# -- what is told --

def paths_of_a_kind(patterns):
    """One path for each pattern of the table, each in a folder of its own."""
    for number, pattern in enumerate(patterns):
        path = f"p{number}/" + pattern.replace("@", "sub/.git").replace("*", "some")
        yield path + "deep/file" if path.endswith("/") else path


def test_the_table_was_read():
    assert len(KINDS) >= 16 and sum(map(len, KINDS.values())) >= 80


@pytest.mark.parametrize("kind", [kind for kind, patterns in KINDS.items()
                                  if kind not in ("git-repository", "hidden")])
def test_each_kind_is_told(a, kind):
    wanted = list(paths_of_a_kind(KINDS[kind]))
    for i in range(0, len(wanted), KIND_FILES):
        some = wanted[i:i + KIND_FILES]
        script = "set -e\n" + "".join(f"mkdir -p '{os.path.dirname(p) or '.'}'; echo x > '{p}'\n"
                                      for p in some)
        found = planted(end_of(a, script))
        assert {path: found.get(path) for path in some} == dict.fromkeys(some, (kind, "created"))


def test_a_harmless_change_is_not_told(a, workspace):
    for name in (".envrc", ".vscode/tasks.json", ".git/config", "src/.husky/x", ".git/hooks/pre-push"):
        put(a, workspace / name)
    tick()
    ended = end_of(a, "echo > Makefile; mkdir lib; echo > lib/x.c; echo > .gitignore; cat .envrc", workspace)
    assert planted(ended) == {} and "planted_more" not in ended
    assert a.cagectl("wait", ended["agent_id"]).stderr == b""


def test_a_change_of_a_file_that_was_there_is_told(a, workspace):
    for name in (".envrc", ".vscode/tasks.json", "a/b/.vscode/settings.json", ".mcp.json"):
        put(a, workspace / name)
    tick()
    ended = end_of(a, "echo more >> .envrc; touch -d '2001-01-01' .vscode/tasks.json; "
                   "chmod 600 .mcp.json", workspace)
    assert planted(ended) == {".envrc": ("direnv", "changed"), ".vscode/tasks.json": ("vscode", "changed"),
                              ".mcp.json": ("agent-settings", "changed")}


@pytest.mark.parametrize("verb, more", [("Kill", {}), ("Stop", {"grace_seconds": 0})])
def test_an_agent_that_was_killed_has_a_report(a, workspace, verb, more):
    """The kernel kills what is born into a cgroup that was killed once."""
    agent_id = a.spawn("touch .envrc; exec sleep 600", workspace=str(workspace))
    until((workspace / ".envrc").exists, what="it has planted a file")
    a.call(verb, agent_id=agent_id, **more)
    assert planted(a.wait(agent_id)) == {".envrc": ("direnv", "created")}


def test_what_was_renamed_is_told(a, workspace):
    put(a, workspace / "examples/vscode/tasks.json")
    put(a, workspace / "examples/envrc")
    put(a, workspace / "examples/cargo/config.toml")
    put(a, workspace / "x/examples.git/config")
    put(a, workspace / "x/examples.git/HEAD", "ref: refs/heads/main\n")
    put(a, workspace / ".idea/old.xml")
    put(a, workspace / ".idea/older.xml")
    put(a, workspace / "examples/link/x")
    tick()
    ended = end_of(a, "mv examples/vscode .vscode; mv examples/envrc .envrc; mv examples/cargo .cargo; "
                   "mkdir x/y; mv x/examples.git x/y/.git; rm .idea/old.xml; "
                   "ln -s examples/link .claude", workspace)
    assert planted(ended) == {
        ".vscode": ("vscode", "changed"), ".envrc": ("direnv", "changed"),
        ".cargo/config.toml": ("build-tool", "changed"), "x/y/.git": ("git-repository", "changed"),
        ".idea": ("jetbrains", "changed"), ".claude": ("agent-settings", "created")}


def test_what_protection_does_not_prevent_is_told(a, workspace):
    """Each of these would have the user's git run something."""
    def git(*words, cwd=workspace):
        subprocess.run(a.user.command("git", "-C", str(cwd), "-c", "user.name=u",
                                      "-c", "user.email=u@x", *words),
                       check=True, capture_output=True)
    git("init", "-q")
    put(a, workspace / "file")
    git("add", "file")
    git("commit", "-qm", "first")
    tick()
    ended = end_of(a, """
        git init -q below; cd below; git config user.name x; git config user.email x
        git config core.fsmonitor 'touch PWNED; false'; echo > f
        git -c core.fsmonitor=false add f; git -c core.fsmonitor=false commit -qm x; cd ..; rm -f PWNED
        git -c core.fsmonitor=false add below
        mkdir -p .git/rebase-merge; echo 'exec touch PWNED' > .git/rebase-merge/git-rebase-todo
        git init -q --bare bare.git; git -C bare.git config core.fsmonitor 'touch PWNED'
        echo ../elsewhere > .git/commondir
    """, workspace)
    found = planted(ended)
    for path, kind in {"below/.git": "git-repository", "below/.git/config": "git-config",
                       ".git/rebase-merge/git-rebase-todo": "git-rebase", "bare.git": "git-repository",
                       "bare.git/config": "git-config", ".git/commondir": "git-redirect"}.items():
        assert found.get(path) == (kind, "created"), (path, found)
    assert ".git/config" not in found and ".git" not in found
    (workspace / ".git/commondir").unlink()
    (workspace / "below/f").write_text("changed\n")
    assert not (workspace / "PWNED").exists()
    git("status")
    assert list(workspace.rglob("PWNED")) != [], "then it need not be told"


def test_a_configuration_that_its_user_changes_meanwhile_is_told(a, workspace):
    """git replaces it, which ends the protection of that file."""
    subprocess.run(a.user.command("git", "init", "-q", str(workspace)), check=True)
    tick()
    agent_id = a.spawn("echo ready; while [ ! -e go ]; do sleep 0.02; done; "
                       "printf '[core]\\nfsmonitor=evil\\n' >> .git/config", workspace=str(workspace))
    a.until_output(agent_id, "ready")
    subprocess.run(a.user.command("git", "-C", str(workspace), "config", "x.y", "z"), check=True)
    put(a, workspace / "go")
    assert planted(a.wait(agent_id)) == {".git/config": ("git-config", "created")}
    assert "fsmonitor" in (workspace / ".git/config").read_text()


def test_a_folder_that_cannot_be_listed_is_told(a, workspace):
    put(a, workspace / "old/x")
    (workspace / "old").chmod(0o300)
    tick()
    found = planted(end_of(a, "mkdir new; echo > new/.envrc; chmod 311 new", workspace))
    assert found == {"new": ("hidden", "created")}


def test_work_with_git_in_a_protected_repository_tells_nothing(a, workspace):
    subprocess.run(a.user.command("git", "init", "-q", str(workspace / "repo")), check=True)
    tick()
    ended = end_of(a, "cd repo; export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x "
                   "GIT_COMMITTER_EMAIL=x; echo > a; git add a; git commit -qm a; "
                   "git checkout -qb b; git gc -q", workspace)
    assert planted(ended) == {}


def test_the_same_without_protection_tells_of_the_repository(a, workspace):
    subprocess.run(a.user.command("git", "init", "-q", str(workspace)), check=True)
    tick()
    ended = end_of(a, "echo > .git/hooks/pre-commit; git config core.hooksPath x", workspace, protect=[])
    assert planted(ended) == {".git": ("git-repository", "changed"),
                              ".git/config": ("git-config", "created"),
                              ".git/hooks/pre-commit": ("git-hook", "created")}


# -- who is told, and how --

def test_everybody_who_asks_is_told(a, workspace):
    card = a.cards.write(a.card("echo > .envrc; echo > '.claude-'", workspace=str(workspace), agent_id="told"))
    with a.connect() as connection:
        connection.send("Events", {"agent_id": "told"}, more=True)
        connection.reply()
        result = a.cagectl("run", card)
        events = []
        while not events:
            events = [event for event in connection.reply()["events"] if event["kind"] == "ended"]
    assert events[0]["planted"] == [{"path": ".envrc", "kind": "direnv", "change": "created"}]
    assert result.status == 0 and result.text == ""
    assert "  .envrc (created): direnv runs it when you enter the folder\n" in result.errors
    assert ".envrc (created)" in a.cagectl("inspect", "told").text
    waited = a.cagectl("wait", "told")
    assert ".envrc (created)" in waited.errors and ".envrc" not in waited.text
    assert json.loads(a.cagectl("wait", "-j", "told").text)["planted"][0]["path"] == ".envrc"
    lines = a.daemon.log_lines("agent told", "direnv .envrc")
    assert 'CAGED_COUNT="1"' in lines[0]
    spawned = a.cagectl("spawn", "--wait", a.cards.write(a.card("echo > .envrc", workspace=str(workspace))))
    assert ".envrc (changed)" in spawned.errors, spawned
    followed = a.daemon.start_cagectl(a.user, "events")

    def follows():
        a.wait(a.spawn("true"))
        return select.select([followed.stdout], [], [], 0)[0]

    until(follows, what="cagectl events tells of agents")
    agent_id = a.spawn("echo > .mcp.json", workspace=str(workspace))
    a.wait(agent_id)
    for line in followed.stdout:
        if f"{agent_id} ended".encode() in line:
            assert line.endswith(b"exited, exit status 0, 1 file changed that your tools may run\n"), line
            break
    followed.kill()
    followed.communicate()


def test_an_agent_that_never_ran_has_no_report(a):
    with pytest.raises(VarlinkError):
        a.daemon.spawn(a.user, a.card(command=["/does/not/exist"]))


def test_hostile_names_harm_nobody(a, workspace):
    script = r"""
        mkdir -p .vscode; cd .vscode
        touch "$(printf 'clear\033[2Jscreen')" "$(printf 'new\nline')" "$(printf 'invalid\377utf8')" \
            "$(printf 'right\342\200\256left')"
    """
    card = a.card(script, workspace=str(workspace))
    result = a.cagectl("run", a.cards.write(card))
    assert result.status == 0
    shown = result.stderr.decode()
    assert "clear\\x1b[2Jscreen" in shown and "new\\x0aline" in shown and "\x1b" not in shown
    assert "\u202e" not in shown
    ended = a.wait(card["agent_id"])
    assert {file["path"] for file in ended["planted"]} == {
        ".vscode/clear\x1b[2Jscreen", ".vscode/new\nline", ".vscode/invalid?utf8",
        ".vscode/right\u202eleft"}
    log = "\n".join(a.daemon.log_lines("vscode .vscode"))
    assert "\x1b" not in log and "\\x1b[2J" in log


def test_a_long_path_is_cut(a, workspace):
    part = "d" * 200
    ended = end_of(a, f"mkdir -p {part}/{part}/{part}; echo > {part}/{part}/{part}/.envrc", workspace)
    (file,) = ended["planted"]
    assert file["cut"] is True and len(file["path"]) == 511 and file["path"].startswith(f"{part}/{part}/d")


def test_a_flood_of_one_kind_hides_no_other(a, workspace):
    count = 100_000
    script = f"""
        python3 - <<'EOF'
import os
for n in range({count} // 1000):
    os.makedirs(f"d{{n}}/.vscode")
    for m in range(1000):
        open(f"d{{n}}/.vscode/{{m}}", "w")
EOF
        echo > .envrc
    """
    ended = a.wait(a.spawn(script, workspace=str(workspace)))
    if ended.get("planted_incomplete") is None:  # a machine that is slow may not get through
        assert ended["planted_more"] == count - KIND_FILES, ended
        assert {"path": ".envrc", "kind": "direnv", "change": "created"} in ended["planted"]
    kinds = [file["kind"] for file in ended["planted"]]
    assert kinds.count("vscode") == KIND_FILES and len(kinds) <= KIND_FILES + 1
    assert len(json.dumps(ended)) < 8000


def test_links_fifos_and_sockets_hold_nobody_up(a, workspace):
    outside = a.user.folder(f"outside-{os.urandom(3).hex()}")
    put(a, outside / ".envrc")
    ended = end_of(a, f"mkfifo .envrc; ln -s / root; ln -s {outside} out; ln -s . self; "
                   "ln -s self/self/.. loop; mkdir .vscode; mkfifo .vscode/tasks.json; "
                   "ln -s /proc/1/root proc; ln -s nowhere .mcp.json; "
                   "python3 -c \"import socket; socket.socket(1).bind('.husky')\"; true", workspace)
    assert planted(ended) == {".envrc": ("direnv", "created"),
                              ".vscode/tasks.json": ("vscode", "created"),
                              ".mcp.json": ("agent-settings", "created")}


def test_folders_too_deep_are_told(a, workspace):
    ended = end_of(a, "python3 -c \"import os\nfor n in range(200): os.mkdir('d'); os.chdir('d')\n"
                   "open('.envrc', 'w')\"; echo > .mcp.json", workspace)
    assert ended["planted_incomplete"] == "folders lie in one another more than 128 times"
    assert [file["path"] for file in ended["planted"]] == [".mcp.json"]


def test_a_workspace_that_is_removed_meanwhile_is_told(a, workspace):
    put(a, workspace / "stay")
    agent_id = a.spawn("echo ready; while [ -e stay ]; do sleep 0.02; done",
                       workspace=str(workspace))
    a.until_output(agent_id, "ready")
    shutil.rmtree(workspace)
    ended = a.wait(agent_id)
    assert (ended["reason"], ended["planted"]) == ("exited", [])
    assert ended["planted_incomplete"] == "a folder could not be read, or was removed meanwhile"


def test_the_clock_of_the_system_may_be_behind_what_files_say(a, workspace):
    """Times that an agent gives its files itself are not looked at."""
    put(a, workspace / ".envrc")
    tick()
    ended = end_of(a, "touch -d '2001-01-01' .vimrc; touch -d '2099-01-01' later; touch -r /usr .mcp.json", workspace)
    assert set(planted(ended)) == {".vimrc", ".mcp.json"}


# -- the process --

def scans(daemon):
    """The caged-scan processes of a daemon."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    rows = [line.split(None, 3)[:3] for line in lines]
    return [int(pid) for pid, parent, name in rows
            if name == "caged-scan" and int(parent) == daemon.pid]


@pytest.fixture
def slow(own_daemon, people, base):
    """A daemon whose caged-scan does nothing until it is killed, as if its workspace were endless."""
    source = base / "slow-scan.c"
    source.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    program = base / "slow-scan"
    subprocess.run(["cc", "-static", "-o", program, source], check=True)
    own_daemon.stop()
    (own_daemon.libexec / "caged-scan").unlink()
    (own_daemon.libexec / "caged-scan").symlink_to(program)
    own_daemon.start()
    return Client(own_daemon, people["a"])


def test_one_that_takes_too_long_is_ended(slow):
    agent_id = slow.spawn("true")
    started = time.monotonic()
    other = slow.spawn("echo other")  # the loop goes on meanwhile
    assert slow.inspect(other)["agent"]["state"] in ("running", "starting", "ended")
    ended = slow.wait(agent_id)
    assert (ended["reason"], ended["planted"]) == ("exited", [])
    assert ended["planted_incomplete"] == "it took too long, and was ended"
    assert time.monotonic() - started < PATIENCE
    slow.wait(other)


def test_a_kill_does_not_wait_for_it(slow):
    for _ in range(10):  # on a busy machine its time may be over before
        agent_id = slow.spawn("true")
        until(lambda: scans(slow.daemon) or slow.inspect(agent_id)["agent"]["state"] == "ended",
              what="caged-scan runs")
        try:
            slow.call("Kill", agent_id=agent_id)
        except VarlinkError as error:
            assert error.name == "NotRunning"
        if slow.wait(agent_id)["planted_incomplete"] == "caged-scan was ended before it was done":
            return
    raise AssertionError("it was never ended by a kill")


def running_scan(slow):
    """Its pid; on a busy machine the time of one may be over before it is seen."""
    def seen():
        if not slow.call("List")["agents"]:
            slow.spawn("true")
        return scans(slow.daemon)

    return until(seen, what="caged-scan runs")[0]


def test_what_the_network_needed_is_gone_while_it_looks(slow):
    def seen():
        if not slow.call("List")["agents"]:
            slow.spawn("true")
        kinds = {os.path.basename(os.path.normpath(path)).split("-")[0]
                 for path in leftovers.cgroups(slow.daemon.name)}
        return "agent" in kinds and "gate" not in kinds and scans(slow.daemon)

    until(seen, what="the gate's cgroup is gone, and caged-scan runs")


def test_the_end_of_the_daemon_does_not_wait_for_it(slow):
    running_scan(slow)
    assert slow.daemon.stop() == 0


def test_a_killed_daemon_leaves_none(slow):
    pid = running_scan(slow)
    slow.daemon.stop(signal.SIGKILL)
    slow.daemon.start()  # clears up what a killed one left
    until(lambda: not os.path.exists(f"/proc/{pid}"), what="caged-scan ended")


def status_of(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return dict(line.split(":", 1) for line in lines)


def stopped_scan(a, workspace, tries=50):
    """Stops a caged-scan after it has confined itself: the id of its agent, and its pid."""
    children = f"/proc/{a.daemon.pid}/task/{a.daemon.pid}/children"
    for _ in range(tries):
        agent_id = a.spawn("true", workspace=str(workspace))
        try:
            while a.inspect(agent_id)["agent"]["state"] != "ended":
                for pid in map(int, open(children).read().split()):
                    if not open(f"/proc/{pid}/cmdline").read().startswith("caged-scan\0"):
                        continue
                    os.kill(pid, signal.SIGSTOP)
                    if status_of(pid)["Seccomp"].strip() == "2" and status_of(pid)["State"].split()[0] in "tT":
                        return agent_id, pid
                    os.kill(pid, signal.SIGCONT)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it was done
        a.wait(agent_id)
    raise AssertionError("no caged-scan was there for long enough")


def assert_confined(a, workspace, pid):
    now = status_of(pid)
    assert now["Uid"].split() == [str(a.user.uid)] * 4 and now["Gid"].split() == [str(a.user.gid)] * 4
    assert now["Groups"].strip() == "" and now["NoNewPrivs"].strip() == "1"
    assert all(int(now[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    for namespace in ("pid", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/self/ns/{namespace}")
    links = json.loads(subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-json", "link"],
                                      capture_output=True, check=True).stdout)
    assert [(link["ifname"], "UP" in link["flags"]) for link in links] == [("lo", False)]
    assert os.stat(f"/proc/{pid}/root").st_ino == workspace.stat().st_ino
    with pytest.raises(OSError) as error:
        open(f"/proc/{pid}/root/.x", "w")
    assert error.value.errno == errno.EROFS
    limits = open(f"/proc/{pid}/limits").read()
    assert re.search(r"Max processes +0 ", limits) and re.search(r"Max file size +0 ", limits)
    assert a.daemon.name in open(f"/proc/{pid}/cgroup").read()
    traced = subprocess.run(a.user.command("cat", f"/proc/{pid}/environ"), capture_output=True, text=True)
    assert "Permission denied" in traced.stderr  # not even another process of that user may look into it


def test_it_has_nothing_but_a_view_of_the_workspace(a, workspace):
    """Stopped in the midst of its work: what it could do were it taken over."""
    for n in range(100):
        (workspace / f"d{n}").mkdir()
        for m in range(400):
            (workspace / f"d{n}/{m}").touch()
    for _ in range(10):
        agent_id, pid = stopped_scan(a, workspace)
        try:
            assert_confined(a, workspace, pid)
            return
        except (AssertionError, OSError):
            if pid in scans(a.daemon):
                raise
            # Its time was over on a busy machine, and so it was killed while it was looked at.
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            a.wait(agent_id)
    raise AssertionError("none was there for long enough")


@pytest.mark.parametrize("script", ["tail /dev/zero", "head -c 200m /dev/zero > /tmp/x; tail /dev/zero"])
def test_an_agent_that_had_no_memory_left_has_a_report(a, workspace, script):
    ended = end_of(a, f"echo > .envrc; {script}", workspace, resource_limits={"memory_mb": 32})
    assert ended["reason"] == "out_of_memory"
    assert planted(ended) == {".envrc": ("direnv", "created")}
