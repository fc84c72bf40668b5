"""A virtual machine: Debian 12 with cgroup v2 and a chosen kernel."""

import shutil
import time

from . import product, qemu, scratch
from .caged import prepare
from .channel import Channel
from .guest import Guest

SNAPSHOT = "ready"
BOOT_TIMEOUT = 300
KERNELS = ("6.12", "6.1")


class Machine(Guest):
    """start() boots it, installs caged and takes a snapshot; reset() goes back to that."""

    SLOWNESS = 4

    def __init__(self, version=KERNELS[0]):
        super().__init__()
        self.version = version
        self.name = f"the machine with kernel {version}"
        self.folder = self.qemu = None

    def start(self):
        image = product.image()
        self.folder = scratch.make("machine")
        try:
            qemu.make_overlay(self.disk, image / "root.ext4")
            self._boot()
            self.install()
            self.save()
        except BaseException:
            self.stop()
            raise
        return self

    def install(self):
        """What a machine has beside Debian."""
        self.push(product.tree())
        prepare(self)

    def save(self, snapshot=SNAPSHOT):
        self.run("journalctl --sync; sync")
        self.qemu.human(f"savevm {snapshot}")
        self.dirty = False

    @property
    def disk(self):
        return self.folder / "disk.qcow2"

    def _connect(self):
        self.qemu = qemu.Qemu(self.folder, self.version, self.disk)
        self.channel = Channel(self.qemu.connect("agent"))

    def _boot(self):
        self._connect()
        try:
            self.channel.ping(BOOT_TIMEOUT)
            state = self.run("systemctl is-system-running --wait", check=False, timeout=120)
        except Exception as error:
            raise RuntimeError(f"{self.name} did not come up; the end of its console:\n"
                               f"{self.console()[-3000:]}") from error
        if state.text.strip() != "running":
            failed = self.run("systemctl --no-pager --failed; journalctl -b -p warning --no-pager",
                              check=False)
            raise RuntimeError(f"{self.name} is not 'running': {state.text}\n{failed.text}")

    def reset(self, snapshot=SNAPSHOT):
        """Back to a snapshot, memory and disk, with the clock at the true time."""
        if self.broken or self.qemu.process.poll() is not None:
            self._disconnect()
            self._connect()
        self.broken = True  # unless all of this succeeds
        self.qemu.execute("stop")
        self.channel.drain()
        self.qemu.human(f"loadvm {snapshot}")
        self.channel.drain()
        self.qemu.execute("cont")
        self.broken = False
        self.channel.ping(30)
        self.run(["date", "--set", f"@{time.time():.3f}"])
        self.dirty = False

    def reboot(self):
        """An orderly reboot; the disk stays."""
        self.start_command("systemctl --no-block reboot")
        self._restart()

    def crash(self):
        """As if the power failed and came back; what was not synced may be lost."""
        self._restart(kill=True)

    def _restart(self, kill=False):
        self.dirty = True
        if kill:
            self.qemu.execute("quit")
        self.qemu.wait(BOOT_TIMEOUT)
        self._disconnect()
        self._boot()

    def _disconnect(self):
        if self.channel:
            self.channel.close()
        if self.qemu:
            self.qemu.end()
        self.channel = self.qemu = None

    def stop(self):
        self._disconnect()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def console(self):
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""
