"""The fast lane: systemd as PID 1 in namespaces on this machine's own kernel, booted in a second and
as fast as the machine. Units, journal, D-Bus, sandboxing and networks are real, and so are cages.
What is different: cgroup controllers are where the machine has them (on a hybrid host in v1
hierarchies, out of systemd's sight: MemoryMax= and its like do nothing there), /proc/sys and /sys
are read-only, and the kernel is whichever the machine runs."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import product, scratch
from .caged import prepare
from .channel import Channel
from .guest import Guest

BOOT_TIMEOUT = 60
CONTROLLERS = {"memory", "cpu", "cpuacct", "pids", "cpuset", "blkio"}
NEEDED = {"memory", "cpu", "pids"}
# What of the image's root is not copied: /usr is shared, the rest is mounted or of no use.
NOT_COPIED = {"usr", "opt", "proc", "sys", "dev", "run", "tmp", "boot", "mnt"}
SOCKET = "var/lib/caged-tests/socket"


def hierarchies():
    """The machine's cgroup hierarchies that cages need: (mount point, "v2" or v1 controllers)."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, kind = line.split(" - ")
        point, (kind, _, options) = fields.split()[4], kind.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("v2", point)
        elif kind == "cgroup" and NEEDED & set(options.split(",")):
            words = [word for word in options.split(",") if word in CONTROLLERS]
            found.setdefault(",".join(words), point)
    return [(point, kind) for kind, point in found.items()]


def remove_cgroups(name, timeout=15):
    """Removes the lane's cgroups; waits for the processes in them, which are being killed."""
    end = time.monotonic() + timeout
    for point, _ in hierarchies():
        top = Path(point) / name
        while top.exists():
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            if time.monotonic() > end:
                raise RuntimeError(f"cgroup {top} cannot be removed: something in it lives on")
            time.sleep(0.01)


def remove_stale_cgroups():
    """Those of test processes that are no more."""
    for point, _ in hierarchies():
        for top in Path(point).glob("caged-fast-*-*"):
            if not Path(f"/proc/{top.name.split('-')[2]}").exists():
                remove_cgroups(top.name)


class FastLane(Guest):
    def __init__(self):
        super().__init__()
        self.name = "the fast lane"
        self.folder = self.process = self.cgroup = None

    def start(self):
        self.image, tree = product.image(), product.tree()
        remove_stale_cgroups()
        self.folder = scratch.make("fast")
        self.cgroup = f"caged-{self.folder.name}"
        try:
            self._make_usr(tree)
            self.reset()
        except BaseException:
            self.stop()
            raise
        return self

    def _make_usr(self, tree):
        """The image's /usr with caged in it, but for the kernels' modules."""
        copy = subprocess.Popen(["tar", "-C", self.image / "root", "--exclude=usr/lib/modules", "-cf",
                                 "-", "usr"], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-C", self.folder, "-xf", "-"], stdin=copy.stdout, check=True)
        assert copy.wait() == 0
        for name in ("bin", "lib", "sbin"):
            (self.folder / name).symlink_to(f"usr/{name}")
        subprocess.run(["tar", "-C", self.folder, "-xf", "-", "--keep-directory-symlink"],
                       input=product.archive(tree), check=True)

    @property
    def root(self):
        return self.folder / "root"

    def reset(self):
        """A new root, but for /usr, and a new boot."""
        self._end()
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(mode=0o755)
        for source in (self.image / "root").iterdir():
            if source.name in NOT_COPIED:
                (self.root / source.name).mkdir(mode=0o1777 if source.name == "tmp" else 0o755)
            else:
                subprocess.run(["cp", "-a", source, self.root], check=True)
        etc = self.folder / "etc"
        if etc.exists():  # what caged installs there
            subprocess.run(["cp", "-a", f"{etc}/.", self.root / "etc"], check=True)
        (self.root / SOCKET).parent.mkdir()
        self._boot()
        prepare(self)
        self.dirty = self.broken = False

    def _boot(self):
        words = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork",
                 "--kill-child=KILL", "--uts", "--ipc", "--net", "--propagation", "private",
                 Path(__file__).with_name("fast-boot"), self.cgroup, self.root, self.folder / "usr",
                 self.image / "root" / "opt",
                 *(f"{point} {kind}" for point, kind in hierarchies())]
        with self._listen() as listener, open(self.folder / "console", "ab") as console:
            self.process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console)
            self.channel = Channel(self._accept(listener))
        state = self.run("systemctl is-system-running --wait", check=False)
        if state.text.strip() != "running":
            failed = self.run("systemctl --no-pager --failed; journalctl -b -p warning --no-pager",
                              check=False)
            raise RuntimeError(f"{self.name} is not 'running': {state}\n{failed.text}")

    def _accept(self, listener):
        listener.settimeout(0.2)
        end = time.monotonic() + BOOT_TIMEOUT
        while self.process.poll() is None and time.monotonic() < end:
            try:
                return listener.accept()[0]
            except TimeoutError:
                continue
        raise RuntimeError(f"{self.name} did not come up:\n{self.console()[-3000:]}")

    def _listen(self):
        """Listens where the guest will look for us; by a descriptor, since paths may be long."""
        path = self.root / SOCKET
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        listener.listen(1)
        return listener

    def reboot(self):
        """An orderly reboot; the root stays."""
        self.start_command("systemctl --no-block reboot")
        self.process.wait(BOOT_TIMEOUT)
        self._end()
        self._boot()

    def _end(self):
        if self.channel:
            self.channel.close()
            self.channel = None
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        if self.cgroup:
            remove_cgroups(self.cgroup)

    def stop(self):
        self._end()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def console(self):
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""
