"""A real cagedd, started by hand from the build directory with a socket, a cgroup and a group of
its own, and `cagectl` run as one of the real users."""

import itertools
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .patience import PATIENCE
from .users import acting_as, root_user
from .varlink import Connection, VarlinkError

_ids = itertools.count(1)
JOURNAL = Path("/run/systemd/journal/socket")


def until(condition, timeout=PATIENCE, what=""):
    """Waits until the condition gives something true and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {what or condition}"
        time.sleep(0.02)


@dataclass
class Result:
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self):
        return self.stdout.decode()

    @property
    def errors(self):
        return self.stderr.decode()


def journal_of(pid):
    """The entries of a process as the daemon's text lines have them."""
    subprocess.run(["journalctl", "--sync"], check=True)
    done = subprocess.run(["journalctl", "--quiet", "--all", "--output=json", f"_PID={pid}"],
                          capture_output=True, check=True)
    lines = ""
    for entry in map(json.loads, done.stdout.splitlines()):
        fields = "".join(f' {name}="{value}"' for name, value in entry.items()
                         if not name.startswith("_") and name != "MESSAGE")
        lines += f"{entry.get('MESSAGE')}{fields}\n"
    return lines


def site_policy(group):
    """A site policy by which members of the group that the daemon serves may have what a card can say:
    what the tests reach are servers on this machine. A test of ceilings brings its own."""
    return {"rules": [{"name": "members", "groups": [group], "private_hosts": ["*"],
                       "parent_proxies": ["*"], "unprotected": True}]}


class Daemon:
    prefix = ()  # words in front of the daemon's own
    entry = ()   # and of cagectl's: the way to where the daemon is

    def __init__(self, base, group, name="caged-test", policy=None):
        number = next(_ids)
        self.name = f"{name}-{os.getpid()}-{number}"
        self.group = group
        self.folder = base / f"daemon-{number}"
        self.folder.mkdir(mode=0o755)
        self.socket = self.folder / "caged.sock"
        self.log_path = self.folder / "log"
        self.libexec = self.folder / "libexec"
        self.libexec.mkdir(mode=0o755)
        (self.libexec / "caged-init").symlink_to(paths.CAGED_INIT)
        (self.libexec / "caged-gate").symlink_to(paths.CAGED_GATE)
        (self.libexec / "caged-scan").symlink_to(paths.CAGED_SCAN)
        self.data = paths.POLICY
        self.policy = self.folder / "policy.json"
        self.write_policy(site_policy(group) if policy is None else policy)
        self.process = None
        self.pids = []

    # -- its life --

    def write_policy(self, policy, mode=0o644):
        """Puts a site policy (an object, or any text) in the place of the one there is; the daemon
        reads it at its start and when told to reload."""
        text = policy if isinstance(policy, (str, bytes)) else json.dumps(policy, indent=2)
        new = self.policy.with_suffix(".new")
        new.write_bytes(text.encode() if isinstance(text, str) else text)
        new.chmod(mode)
        new.rename(self.policy)

    def reload_policy(self, policy=None):
        """Has the daemon take over the site policy, a new one if given; returns the reply."""
        if policy is not None:
            self.write_policy(policy)
        return self.call(root_user(), "ReloadPolicy")

    def launch(self, *words, under=(), stderr=None):
        """Starts it, with more or other options, and does not wait for it to serve; `under` are the
        words of a command that changes something for it and executes what follows."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                # A test run that is killed takes its daemon with it.
                ["setpriv", "--pdeathsig", "TERM", "--", *self.prefix, *under, paths.CAGEDD,
                 "--socket", self.socket,
                 "--libexec-dir", self.libexec, "--data-dir", self.data,
                 "--cgroup", self.name, "--group", self.group, "--policy", self.policy, *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=stderr or log, cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"})
        self.pids.append(self.process.pid)

    def start(self, **options):
        self.launch(**options)
        until(self._answers, what="cagedd answers; its log:\n" + self.log())
        return self

    def _answers(self):
        assert self.process.poll() is None, f"cagedd ended:\n{self.log()}"
        try:
            with self.connect(root_user()) as connection:
                connection.call("org.varlink.service.GetInfo")
                return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE):
        """Ends it and returns its exit status."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.process = None
        return status

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """What the daemon wrote: text on its stderr or, where there is a journal, entries in it."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return text + "".join(journal_of(pid) for pid in self.pids if JOURNAL.exists())

    def log_lines(self, *words, at_least=1):
        """The lines of the log with all these words, once there are as many: a thread of the
        daemon's writes them, so that they come a moment after what they tell of."""
        def found():
            lines = [line for line in self.log().splitlines()
                     if all(word in line for word in words)]
            return lines if len(lines) >= at_least else None

        return until(found, what=f"the log has {words}:\n{self.log()[-3000:]}")

    # -- Varlink --

    def connect(self, user, timeout=PATIENCE):
        return Connection(self.socket, user, timeout)

    def call(self, user, method, parameters=None):
        with self.connect(user) as connection:
            return connection.call(method, parameters)

    def spawn(self, user, card, connection=None, **parameters):
        """Spawn over raw Varlink with the workspace's descriptor; returns the reply."""
        with acting_as(user):
            fd = os.open(card["workspace"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            request = {"card": card, "workspace_fd": 0, **parameters}
            if connection:
                return connection.call("Spawn", request, [fd])
            with self.connect(user) as own:
                return own.call("Spawn", request, [fd])
        finally:
            os.close(fd)

    def wait(self, user, agent_id, timeout=PATIENCE):
        with self.connect(user, timeout) as connection:
            return connection.call("Wait", {"agent_id": agent_id})["agent"]

    def output(self, user, agent_id, timeout=PATIENCE):
        """All that the ring holds, as (stdout, stderr), after the agent's end."""
        streams = {"stdout": b"", "stderr": b""}
        with self.connect(user, timeout) as connection:
            for reply in connection.replies("Logs", {"agent_id": agent_id, "follow": True}):
                for line in reply["lines"]:
                    streams[line["stream"]] += line_bytes(line)
        return streams["stdout"], streams["stderr"]

    # -- cagectl --

    def cagectl_words(self, user, *words):
        return [*self.entry,
                *user.command("env", f"CAGED_SOCKET={self.socket}", paths.CAGECTL, *words)]

    def cagectl(self, user, *words, timeout=PATIENCE, **options):
        done = subprocess.run(self.cagectl_words(user, *words), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, **options)
        return Result(done.returncode, done.stdout, done.stderr)

    def start_cagectl(self, user, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(self.cagectl_words(user, *words), **options)


def line_bytes(line):
    import base64
    data = base64.b64decode(line["data"]) if line.get("data") is not None else \
        line["text"].encode()
    return data if line.get("partial") else data + b"\n"


class Cards:
    """Makes cards and workspaces of a user's."""

    def __init__(self, user):
        self.user = user

    def card(self, script=None, **keys):
        """A card that runs a shell script; its workspace is made unless `keys` names one."""
        number = next(_ids)
        agent_id = keys.pop("agent_id", f"t{number}")
        if "workspace" not in keys:
            keys["workspace"] = str(self.user.folder(f"workspace-{number}"))
        if script is not None:
            keys["command"] = ["/bin/sh", "-c", script]
        return {"agent_id": agent_id, **keys}

    def write(self, card):
        """The card as a file that its user can read."""
        path = self.user.home / f"card-{next(_ids)}.json"
        path.write_text(json.dumps(card))
        os.chown(path, self.user.uid, self.user.gid)
        return path


class Client:
    """A user at the daemon: cards, cagectl and Varlink of that user in one hand."""

    def __init__(self, daemon, user):
        self.daemon = daemon
        self.user = user
        self.cards = Cards(user)

    def card(self, script=None, **keys):
        return self.cards.card(script, **keys)

    def run(self, script, timeout=PATIENCE, **keys):
        """`cagectl run` of a shell script; the result has the agent's output and status."""
        path = self.cards.write(self.card(script, **keys))
        return self.daemon.cagectl(self.user, "run", path, timeout=timeout)

    def cagectl(self, *words, **options):
        return self.daemon.cagectl(self.user, *words, **options)

    def start_run(self, script, **keys):
        """Starts `cagectl run`; returns the process and the agent's id."""
        card = self.card(script, **keys)
        process = self.daemon.start_cagectl(self.user, "run", self.cards.write(card))
        return process, card["agent_id"]

    def spawn(self, script=None, **keys):
        """Spawns over raw Varlink and returns the agent's id."""
        card = self.card(script, **keys)
        self.daemon.spawn(self.user, card)
        return card["agent_id"]

    def refused(self, **keys):
        """Spawns what must be refused and returns the error."""
        try:
            keys.setdefault("command", ["true"])
            reply = self.daemon.spawn(self.user, self.card(**keys))
        except VarlinkError as error:
            return error
        raise AssertionError(f"this was not refused: {reply}")

    def wait(self, agent_id, timeout=PATIENCE):
        return self.daemon.wait(self.user, agent_id, timeout)

    def output(self, agent_id):
        return self.daemon.output(self.user, agent_id)

    def call(self, method, **parameters):
        return self.daemon.call(self.user, method, parameters)

    def connect(self, timeout=PATIENCE):
        return self.daemon.connect(self.user, timeout)

    def inspect(self, agent_id):
        return self.call("Inspect", agent_id=agent_id)

    def until_output(self, agent_id, text, timeout=PATIENCE):
        """Follows the agent's output until a line holds the text."""
        with self.connect(timeout) as connection:
            for reply in connection.replies("Logs", {"agent_id": agent_id, "follow": True}):
                for line in reply["lines"]:
                    if text in line_bytes(line).decode(errors="replace"):
                        return
        raise AssertionError(f"{agent_id} ended without {text!r} in its output")
