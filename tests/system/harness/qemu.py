"""One QEMU process, driven by its machine protocol (QMP). It ends when the test process does."""

import json
import os
import signal
import socket
import subprocess
import time

from . import paths

MEMORY_MIB = 2048
# With more of them, emulated, a kernel that patches its own code (as it does when the first quota of
# processor time is set) has been seen to run into what it was just patching.
PROCESSORS = 1
MONITOR_TIMEOUT = 180


class QemuError(Exception):
    pass


def make_overlay(path, base):
    """A new disk that begins as `base`, which must not change any more."""
    path.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, path],
                   check=True)


class Qemu:
    """Emulated by software alone: a /dev/kvm that is there may be one that stock kernels hang on."""

    # What a panic does is end the machine, since it runs with -no-reboot: nothing hangs.
    ARGUMENTS = ("rw console=ttyS0 quiet mitigations=off panic=-1 oops=panic random.trust_cpu=on "
                 "systemd.show_status=0")

    def __init__(self, folder, version, disk):
        """`folder` is this machine's own, for sockets and the console."""
        self.folder = folder
        self.console = folder / "console"
        self.errors = folder / "qemu.log"
        for name in ("monitor", "agent"):
            (folder / name).unlink(missing_ok=True)
        words = [
            "setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64",
            "-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "max",
            "-m", str(MEMORY_MIB), "-smp", str(PROCESSORS), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot",
            "-kernel", paths.SYSTEM / f"vmlinuz-{version}",
            "-initrd", paths.SYSTEM / f"initrd-{version}", "-append", self.ARGUMENTS,
            "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
            "-chardev", f"file,id=console,path={self.console},append=on",
            "-serial", "chardev:console",
            "-drive", f"file={disk},if=none,id=root,format=qcow2,cache=unsafe,discard=unmap",
            "-device", "virtio-blk-pci,drive=root",
            # Sockets by relative paths: those of a build folder may be longer than a socket's may.
            "-qmp", "unix:monitor,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-chardev", "socket,path=agent,server=on,wait=off,id=agent",
            "-device", "virtserialport,chardev=agent,name=caged-tests",
        ]
        with open(self.errors, "ab") as log:
            self.process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=folder)
        self.monitor = self.connect("monitor").makefile("rwb", buffering=0)
        self._read()  # its greeting
        self.execute("qmp_capabilities")

    def connect(self, name):
        """Connects to one of its sockets."""
        end = time.monotonic() + MONITOR_TIMEOUT
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            while True:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(MONITOR_TIMEOUT)
                try:
                    connection.connect(f"/proc/self/fd/{folder}/{name}")
                    return connection
                except (FileNotFoundError, ConnectionRefusedError):
                    connection.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    raise QemuError(f"QEMU did not start: see {self.errors}\n"
                                    f"{self.errors.read_text(errors='replace')[-2000:]}")
                time.sleep(0.02)
        finally:
            os.close(folder)

    def _read(self):
        line = self.monitor.readline()
        if not line:
            raise QemuError(f"QEMU ended: see {self.errors}")
        return json.loads(line)

    def execute(self, command, **arguments):
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._read()
            if "error" in message:
                raise QemuError(f"{command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def human(self, line):
        """A command of the human monitor, which answers nothing if all is well."""
        text = self.execute("human-monitor-command", **{"command-line": line})
        if text:
            raise QemuError(f"{line}: {text}")

    def wait(self, timeout):
        """Waits for its end, such as at a reboot."""
        return self.process.wait(timeout)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.monitor.close()
