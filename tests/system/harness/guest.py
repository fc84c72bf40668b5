"""A machine with systemd as its PID 1, whichever way it is made: what a test can do with it."""

import json
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import product
from .channel import Silent


class CommandFailed(AssertionError):
    pass


@dataclass
class Result:
    """What a command came to. A status below 0 is the signal that ended it."""
    command: str
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self):
        return self.stdout.decode(errors="replace")

    @property
    def errors(self):
        return self.stderr.decode(errors="replace")

    @property
    def lines(self):
        return self.text.splitlines()

    def json(self):
        return json.loads(self.stdout)

    def __str__(self):
        return (f"`{self.command}`: status {self.status}\n--- stdout\n{self.text[-4000:]}"
                f"--- stderr\n{self.errors[-4000:]}")


class Running:
    """A command that was started and not waited for."""

    def __init__(self, guest, number, command, timeout):
        self.guest, self.number, self.command = guest, number, command
        self.end = time.monotonic() + timeout + guest.PATIENCE

    def signal(self, number=signal.SIGTERM):
        """To its whole process group."""
        self.guest._ask({"op": "signal", "of": self.number, "signal": int(number)})

    def wait(self, check=False):
        head, data = self.guest._answer(self.number, self.end)
        if head["status"] is None:
            raise CommandFailed(f"`{self.command}` took too long in {self.guest.name}\n"
                                f"{data[-4000:].decode(errors='replace')}")
        result = Result(self.command, head["status"], data[:head["stdout"]], data[head["stdout"]:])
        if check and result.status != 0:
            raise CommandFailed(f"in {self.guest.name}: {result}")
        return result


class Guest:
    """Subclasses have `channel`, `name`, start(), reset(), stop() and console()."""

    # Seconds that a guest may take beyond a command's own time before it counts as dead.
    PATIENCE = 60
    SLOWNESS = 1  # how much longer than outside work takes; multiply time-outs by it

    def __init__(self):
        self.channel = None
        self.dirty = False
        self.broken = False
        self.has_users = False

    # -- commands --

    def start_command(self, command, *, words=(), user=None, timeout=60, data=b"", env=None):
        """Starts a command: a string for bash, with `words` as its $1 and on, or a list of words;
        as root or as `user`; `data` is its stdin; it is killed after `timeout` seconds."""
        text = command if isinstance(command, str) else shlex.join(map(str, command))
        command = ["bash", "-c", command, "bash", *words] if isinstance(command, str) else command
        words = list(map(str, command))
        if env:
            words = ["env", *(f"{name}={value}" for name, value in env.items()), *words]
        if user:
            words = ["runuser", "-u", user, "--", *words]
        self.dirty = True
        number = self._send({"op": "run", "argv": words, "timeout": timeout}, data, timeout)
        return Running(self, number, text, timeout)

    def run(self, command, *, check=True, **options):
        """Runs a command to its end and returns its Result; with `check` it must exit with 0."""
        return self.start_command(command, **options).wait(check)

    def output(self, command, **options):
        """What the command says on stdout, without the last newline."""
        return self.run(command, **options).text.rstrip("\n")

    def until(self, command, *, timeout=20, what="", **options):
        """Runs the command again and again until it exits with 0; returns that Result."""
        end = time.monotonic() + timeout * self.SLOWNESS
        while True:
            result = self.run(command, check=False, **options)
            if result.status == 0:
                return result
            if time.monotonic() > end:
                raise CommandFailed(f"not within {timeout} s in {self.name}: {what}\n{result}")
            time.sleep(0.1)

    # -- files --

    def push(self, source, target="/"):
        """Unpacks a folder of ours over one of the guest's (its files become root's there)."""
        self.unpack(product.archive(source), target)

    def unpack(self, archive, target="/"):
        self.run(["tar", "-C", target, "-xf", "-", "--keep-directory-symlink",
                  "--no-overwrite-dir"], data=archive, timeout=120)

    def write(self, path, content, *, owner="root:root", mode=0o644):
        """Writes a file; its folder is made."""
        data = content.encode() if isinstance(content, str) else content
        self.run('mkdir -p -- "${1%/*}" && cat > "$1" && chown "$2" "$1" && chmod "$3" "$1"',
                 words=(path, owner, f"{mode:o}"), data=data)

    def read(self, path):
        return self.run(["cat", path]).stdout

    def fetch(self, source, target):
        """Copies a file or folder of the guest's into a folder of ours."""
        data = self.run(["tar", "-C", os.path.dirname(source) or "/", "-cf", "-",
                         os.path.basename(source)], timeout=120).stdout
        subprocess.run(["tar", "-C", target, "-xf", "-", "--no-same-owner"], input=data, check=True)
        return Path(target) / os.path.basename(source)

    # -- systemd --

    def systemctl(self, *words, **options):
        return self.run(["systemctl", "--no-pager", *words], **options)

    def show(self, unit, *properties):
        """Properties of a unit: one as a string, several as a dictionary."""
        text = self.run(["systemctl", "show", "--property", ",".join(properties), unit]).text
        values = dict(line.split("=", 1) for line in text.splitlines())
        return values[properties[0]] if len(properties) == 1 else values

    def wait_state(self, unit, state, timeout=20):
        """Waits until a unit's ActiveState is this one."""
        self.until(f'[ "$(systemctl show -P ActiveState {shlex.quote(unit)})" = {state} ]',
                   timeout=timeout, what=f"{unit} is {state}")

    def journal(self, *matches):
        """The journal's entries that match, as dictionaries."""
        text = self.run("journalctl --sync; exec journalctl --quiet --all --no-pager --output=json " +
                        " ".join(map(shlex.quote, matches))).text
        return [json.loads(line) for line in text.splitlines()]

    # -- the connection --

    def _send(self, request, data=b"", timeout=10):
        try:
            return self.channel.send(time.monotonic() + timeout + self.PATIENCE, request, data)
        except Silent:
            self.broken = True
            raise

    def _answer(self, number, end):
        try:
            return self.channel.answer(number, end)
        except Silent:
            self.broken = True
            raise

    def _ask(self, request):
        return self._answer(self._send(request), time.monotonic() + self.PATIENCE)

    # -- evidence --

    def save_evidence(self, folder):
        """Writes the journal and the console to a folder; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        saved = [folder / "console.txt"]
        saved[0].write_text(self.console())
        if not self.broken:
            try:
                entries = self.run("journalctl --sync; journalctl --all --no-pager -o short-precise; "
                                   "systemctl --no-pager status 2>&1", check=False, timeout=60)
                saved.append(folder / "journal.txt")
                saved[1].write_bytes(entries.stdout)
            except (Silent, CommandFailed) as error:
                saved[0].write_text(saved[0].read_text() + f"\n(no journal: {error})\n")
        return saved
