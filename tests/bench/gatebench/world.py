"""The network of the benchmark, as an agent's is: the client in a namespace of its own, a veth pair,
and on the other side proxies and server. All in namespaces of the benchmark's own."""

import ctypes
import os
import subprocess

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
PROXIES = "100.64.0.1"   # as the gate's end of the first veth pair of an airlock
CLIENT = "100.64.0.2"
SERVER = "11.22.33.44"   # globally routable in form, on the loopback interface in here
LINK = "bench0"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _run(*words):
    subprocess.run(words, check=True)


def _sysctl(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
        file.write(value)


def _set_up_sockets():
    """Ends of connections in TIME_WAIT are few, and ports many: what is measured is the proxies and
    not the search for a free port."""
    _sysctl("ip_local_port_range", "1024 65535")
    _sysctl("tcp_max_tw_buckets", "256")


class World:
    """Enters the proxies' namespace with this process; `as_client` is for preexec_fn."""

    def __init__(self):
        _check(_libc.unshare(CLONE_NEWNET | CLONE_NEWNS), "unshare")
        _run("mount", "--make-rprivate", "/")
        ours = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        self.client_ns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _set_up_sockets()
        _check(_libc.setns(ours, CLONE_NEWNET), "setns")
        os.close(ours)
        self._make_links()
        _set_up_sockets()

    def _make_links(self):
        namespace = f"/proc/{os.getpid()}/fd/{self.client_ns}"
        inside = ("nsenter", f"--net={namespace}")
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "address", "add", f"{SERVER}/32", "dev", "lo")
        _run(*inside, "ip", "link", "set", "lo", "up")
        _run(*inside, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", LINK,
             "netns", str(os.getpid()))
        _run("ip", "address", "add", PROXIES, "peer", CLIENT, "dev", LINK)
        _run("ip", "link", "set", LINK, "up")
        _run(*inside, "ip", "address", "add", CLIENT, "peer", PROXIES, "dev", "eth0")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        _run(*inside, "ip", "route", "add", "default", "via", PROXIES)

    def as_client(self):
        _check(_libc.setns(self.client_ns, CLONE_NEWNET), "setns")
