"""What is measured: no proxy, the bare relay, caged-gate as cagedd starts it, tinyproxy, squid."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

from harness import paths
from harness.gate import Gate

from .world import LINK, PROXIES, SERVER

SERVER_AT = f"{SERVER}:8000"
PROGRAMS = paths.BUILD / "tests" / "bench"
START_TIMEOUT = 30
BACKLOG = 128  # GATE_LISTEN_BACKLOG

SQUID = """\
http_port {proxies}:{port}
http_access allow all
cache deny all
access_log none
cache_log {folder}/cache.log
pid_filename none
coredump_dir none
netdb_filename none
max_filedescriptors 16384
shutdown_lifetime 0 seconds
visible_hostname bench
"""

TINYPROXY = """\
Listen {proxies}
Port {port}
User nobody
Timeout 600
MaxClients 4096
LogLevel Critical
LogFile "{folder}/tinyproxy.log"
"""


class Contestant:
    """A running proxy (or none): its name, the address for the client, and its process."""

    def __init__(self, name, address, process=None, pid=None):
        self.name = name
        self.address = address
        self.process = process
        self.pid = pid if process is None else process.pid

    def processor_seconds(self):
        """Of all its threads, those that have ended too."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def private_memory(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file
                       if line.startswith(("Private_Dirty:", "Private_Clean:"))) * 1024

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def _program(name, *words):
    """One of our own, which says when it is ready."""
    process = subprocess.Popen([PROGRAMS / name, *words], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{name} did not start")
    return process


def _await_port(process, port):
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection((PROXIES, port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{process.args[0]} did not start") from None
            time.sleep(0.05)


def _debian(name, template, words, port, user, folder):
    """A proxy from a package; None if it is not installed."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin")
    if path is None:
        print(f"{name}: skipped, it is not installed")
        return None
    own = folder / name
    own.mkdir()
    shutil.chown(own, user)
    config = own / "conf"
    config.write_text(template.format(proxies=PROXIES, port=port, folder=own), encoding="ascii")
    process = subprocess.Popen([path, *words, config], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    contestant = Contestant(name, f"{PROXIES}:{port}", process)
    try:
        _await_port(process, port)
    except BaseException:
        contestant.stop()
        raise
    return contestant


class _GateContestant(Contestant):
    def __init__(self, port):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, LINK.encode())
        listener.bind((PROXIES, port))
        listener.listen(BACKLOG)
        self.gate = Gate([SERVER_AT], listener=listener)
        super().__init__("gate", f"{PROXIES}:{port}", pid=self.gate.pid)
        self.gate.control.setblocking(True)
        self.drain = subprocess.Popen([PROGRAMS / "bench-drain"], stdin=self.gate.control)

    def stop(self):
        self.drain.kill()
        self.drain.wait()
        self.gate.close()


def _user(*names):
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in names if name in known), "root")


def start_server():
    return Contestant("server", SERVER_AT, _program("bench-server", SERVER_AT))


def start_all(folder, running):
    """In the order of the table's columns; each is put into `running` as soon as it does."""
    floor = f"{PROXIES}:3129"
    starts = (
        lambda: Contestant("no proxy", SERVER_AT),
        lambda: Contestant("floor", floor, _program("bench-relay", floor, SERVER_AT)),
        lambda: _GateContestant(3128),
        lambda: _debian("tinyproxy", TINYPROXY, ["-d", "-c"], 3130, "nobody", folder),
        lambda: _debian("squid", SQUID, ["-N", "-f"], 3131, _user("proxy", "squid"), folder),
    )
    found = []
    for start in starts:
        if contestant := start():
            found.append(contestant)
            running.append(contestant)
    return found
