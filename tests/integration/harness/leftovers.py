"""Counts what a daemon holds, so that a test can compare before and after: processes, cgroups,
mounts, network namespaces that it can reach and the links in each, and its open descriptors."""

import json
import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from .patience import PATIENCE

CGROUP_ROOT = Path("/sys/fs/cgroup")


def _descriptor_kinds(pid):
    """What the daemon's descriptors are, without the numbers that differ from one to the next."""
    kinds = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds[re.sub(r"\d+", "N", os.readlink(entry))] += 1
        except FileNotFoundError:
            continue  # closed while we looked
    return kinds


def _links(namespace):
    """The links of a network namespace, given as a descriptor."""
    done = subprocess.run(["nsenter", f"--net=/proc/self/fd/{namespace}", "ip", "-json", "link"],
                          capture_output=True, check=True, pass_fds=[namespace])
    return sorted(link["ifname"] for link in json.loads(done.stdout))


def _namespaces(pid):
    """The network namespaces that the daemon can reach, opened: by their paths they may be others a
    moment later, as the daemon steps into another and back."""
    found = {}
    for path in [Path(f"/proc/{pid}/ns/net"), *Path(f"/proc/{pid}/fd").iterdir()]:
        try:
            if not os.readlink(path).startswith("net:["):
                continue
            namespace = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # closed while we looked
        number = os.fstat(namespace).st_ino
        if number in found or not os.readlink(f"/proc/self/fd/{namespace}").startswith("net:["):
            os.close(namespace)
        else:
            found[number] = namespace
    return found.values()


def _network(pid):
    namespaces = _namespaces(pid)
    try:
        return sorted(_links(namespace) for namespace in namespaces)
    finally:
        for namespace in namespaces:
            os.close(namespace)


def cgroups(name):
    """Every cgroup directory of the daemon's tree, in every hierarchy."""
    found = []
    for hierarchy in [CGROUP_ROOT, *CGROUP_ROOT.iterdir()]:
        for path in sorted(hierarchy.glob(f"{name}/**/")):
            found.append(str(path))
    return found


def _status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes(pid, name):
    """Descendants of the daemon and whatever is in its cgroups."""
    parents, found = {}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        match = re.search(r"^PPid:\t(\d+)", _status(entry.name), re.M)
        if match:
            parents[int(entry.name)] = int(match[1])
        try:
            if f"/{name}/" in (entry / "cgroup").read_text():
                found.add(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    wanted = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in wanted} - wanted
        if not more:
            break
        wanted |= more
    return sorted((wanted | found) - {pid})


def processes_of_uids(name, base, count=65536):
    """Processes that run as one of these uids. Those in the cgroup of another daemon than `name`
    are not ours: it may have taken the range since."""
    found = []
    for entry in Path("/proc").iterdir():
        match = entry.name.isdigit() and re.search(r"^Uid:\t(\d+)", _status(entry.name), re.M)
        if not match or not base <= int(match[1]) < base + count:
            continue
        try:
            owner = re.search(r"/(caged[^/\n]*)/owner-", (entry / "cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if not owner or owner[1] == name:
            found.append(int(entry.name))
    return found


def snapshot(daemon):
    pid = daemon.pid
    return {
        "processes": processes(pid, daemon.name),
        "cgroups": cgroups(daemon.name),
        "mounts": Path(f"/proc/{pid}/mountinfo").read_text().splitlines(),
        "links": _network(pid),
        "descriptors": dict(_descriptor_kinds(pid)),
    }


NETWORKS = 4  # the host's, the airlock, one for caged-scan, one for the next agent
USERS_FILE = re.compile(r"/caged-tests-[^/]*/(?!daemon-)")


def idle(daemon, timeout=PATIENCE):
    """What the daemon holds while no agent runs. The kernel takes down a network namespace, and the
    link into it, a moment after its last process has gone; and a thread of the daemon's closes what
    clients sent a moment after it was used, and the next agent's network is made by then."""
    end = time.monotonic() + timeout
    while True:
        found = snapshot(daemon)
        links = [name for names in found["links"] for name in names]
        sent = [path for path in found["descriptors"] if USERS_FILE.search(path)]
        if (not found["processes"] and not sent and len(found["links"]) == NETWORKS
                and not any(name.startswith("cg") for name in links)):
            return found
        assert time.monotonic() < end, f"agents that ended are still there: {found}"
        time.sleep(0.02)


def difference(before, after):
    """What is there now that was not, and the other way round; empty if nothing changed."""
    return {what: {"before": before[what], "after": after[what]}
            for what in before if before[what] != after[what]}


def until_as(daemon, before, timeout=PATIENCE):
    """Waits until the daemon holds what it held before; fails with the difference."""
    end = time.monotonic() + timeout
    while found := difference(before, snapshot(daemon)):
        assert time.monotonic() < end, f"left over: {found}"
        time.sleep(0.02)
