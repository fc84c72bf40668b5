"""Real proxies as parents of a gate: Debian's squid and tinyproxy, each with a configuration of its own in
a folder of its own, on addresses of the network of harness/gate.py. They end with the test that
started them (in_world)."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from harness.gate import PRIVATE, RESOLVER, add_server

SQUID = "/usr/sbin/squid"
TINYPROXY = "/usr/bin/tinyproxy"
NCSA = "/usr/lib/squid/basic_ncsa_auth"

SQUID_CONF = """\
http_port {address}:{port}
pid_filename none
cache deny all
cache_mem 8 MB
memory_pools off
max_filedescriptors 1024
pinger_enable off
netdb_filename none
icon_directory /usr/share/squid/icons
error_directory /usr/share/squid/errors/en
access_log stdio:{folder}/log
cache_log {folder}/cache.log
coredump_dir {folder}
visible_hostname parent.example
shutdown_lifetime 0 seconds
dns_nameservers {resolver}
hosts_file none
cache_effective_user {user}
{authorization}
http_access allow all
"""

SQUID_AUTHORIZATION = """\
auth_param basic program {ncsa} {folder}/passwords
auth_param basic children 1
auth_param basic realm parent
acl known proxy_auth REQUIRED
http_access deny !known
"""

TINYPROXY_CONF = """\
User {user}
Group {group}
Port {port}
Listen {address}
Timeout 600
MaxClients 50
LogFile "{folder}/log"
LogLevel Connect
{authorization}
"""


def _free_port(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((address, 0))
        return s.getsockname()[1]


class Parent:
    """A running proxy. `name` is how the gate's configuration calls it; `user` and `password`, if
    there are any, are what it wants of those who use it."""

    account = "proxy"

    def __init__(self, address=PRIVATE, user=None, password=None):
        self.address = address
        self.port = _free_port(address)
        self.folder = Path(tempfile.mkdtemp(prefix="caged-parent-", dir="/var/tmp"))
        self.process = None
        account = pwd.getpwnam(self.account)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        add_server(self)
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(self.words(user, password), stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, cwd=self.folder)
        self._wait()

    @property
    def uri(self):
        return f"http://{self.authority}"

    @property
    def authority(self):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def _wait(self, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection((self.address, self.port), 5).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.told()
            time.sleep(0.02)

    def told(self):
        return {path.name: path.read_text(errors="replace") for path in self.folder.iterdir()}

    def log(self):
        """What it wrote of the requests that it was asked."""
        return (self.folder / "log").read_text()

    def until_logged(self, *words, seconds=30):
        end = time.monotonic() + seconds
        while not all(word in self.log() for word in words):
            assert time.monotonic() < end, (words, self.told())
            time.sleep(0.02)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()  # squid's own end takes a second; its helpers go with it
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Squid(Parent):
    def words(self, user, password):
        authorization = ""
        if user:
            hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], check=True, text=True,
                                    input=password, capture_output=True).stdout
            self._write("passwords", f"{user}:{hashed}")
            authorization = SQUID_AUTHORIZATION.format(ncsa=NCSA, folder=self.folder)
        host = f"[{self.address}]" if ":" in self.address else self.address
        self._write("conf", SQUID_CONF.format(
            address=host, port=self.port, folder=self.folder, resolver=RESOLVER,
            user=self.account, authorization=authorization))
        return [SQUID, "-N", "-f", self.folder / "conf"]

    def _write(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o644)


class Tinyproxy(Parent):
    account = "nobody"

    def words(self, user, password):
        (self.folder / "conf").write_text(TINYPROXY_CONF.format(
            address=self.address, port=self.port, folder=self.folder, user=self.account,
            group="nogroup", authorization=f"BasicAuth {user} {password}" if user else ""))
        return [TINYPROXY, "-d", "-c", self.folder / "conf"]


KINDS = {"squid": Squid, "tinyproxy": Tinyproxy}
