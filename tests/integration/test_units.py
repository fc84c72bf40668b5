"""The units as they are installed: no fault in any, and how far the services are closed."""

import json
import os
import re
import socket
import subprocess
from types import SimpleNamespace

import pytest

from harness import paths

UNITS = paths.ROOT / "units"
SOURCE = (UNITS / "cagedd.service.in").read_text()
PROFILE = json.loads((paths.POLICY / "seccomp" / "default.json").read_text())
# Of 10, as systemd 252 counts: what they are today, so that a unit that is more open is seen.
EXPOSURE = {"cagedd.service": 6.8, "caged-agent@.service": 3.1}


@pytest.fixture(scope="module")
def units(base):
    """A folder with the units, whose programs are where they say."""
    destination = base / "units"
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", paths.BUILD,
                    "--destdir", destination], check=True, stdout=subprocess.DEVNULL)
    folder = destination / "usr/local/lib/systemd/system"
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("/usr/local/", f"{destination}/usr/local/"))
    return folder


def names():
    found = {path.name.removesuffix(".in") for path in UNITS.iterdir()}
    return sorted(name for name in found if name.endswith((".service", ".socket", ".slice")))


def analyze(units, *words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"})


def test_every_unit_is_installed(units):
    assert sorted(path.name for path in units.iterdir()) == names()
    assert {"cagedd.service", "cagedd.socket", "caged.slice"} <= set(names())


@pytest.mark.parametrize("unit", names())
def test_systemd_finds_no_fault_with_a_unit(units, unit):
    """Unknown options are only warnings to systemd: so there must be no output about the unit."""
    name = unit.replace("@.", "@instance.")
    path = units / name
    if name != unit:
        path.symlink_to(unit)
    try:
        done = analyze(units, "verify", "--man=no", path)
    finally:
        if name != unit:
            path.unlink()
    about = [line for line in done.stderr.splitlines() if "caged" in line]
    assert (done.returncode, about) == (0, []), done.stderr


def test_a_fault_in_a_unit_is_seen(units, base):
    """So that the test above can fail."""
    broken = base / "cagedd-broken.service"
    broken.write_text((units / "cagedd.service").read_text() + "\n[Service]\nNoSuchOption=yes\n")
    try:
        assert "NoSuchOption" in analyze(units, "verify", "--man=no", broken).stderr
    finally:
        broken.unlink()


# -- how far the services are closed --


@pytest.fixture(scope="module", params=EXPOSURE)
def service(request, units):
    """A service: its path, its source, and what systemd-analyze(1) says of it."""
    path = units / request.param.replace("@.", "@instance.")
    if path.name != request.param:
        path.symlink_to(request.param)
    words = ("security", "--offline=yes", "--no-pager")
    yield SimpleNamespace(
        name=request.param, source=(UNITS / f"{request.param}.in").read_text(),
        text=analyze(units, *words, path).stdout,
        costs=[row["name"] for row in json.loads(analyze(units, *words, "--json=short", path).stdout)
               if row["set"] is False and row["exposure"] is not None])
    if path.name != request.param:
        path.unlink()


def explained(source, words):
    """The words of this form in the comment of a unit that says what is open."""
    below = source[source.index("\n# What is open, and why"):]
    return set(re.findall(words, re.match(r"\n(#.*\n)+", below)[0]))


def expanded(words):
    """The system calls of words like @swap and acct, as systemd counts them."""
    calls = {word for word in words if not word.startswith("@")}
    groups = [word for word in words if word.startswith("@")]
    if groups:
        text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", *groups], check=True,
                              capture_output=True, text=True).stdout
        members = set(re.findall(r"^    (@?[\w-]+)$", text, re.M))
        calls |= expanded(members - set(groups))
    return calls


def test_a_service_is_as_closed_as_it_was(service):
    told = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", service.text)[1])
    assert told <= EXPOSURE[service.name], service.text
    assert len(service.costs) > 10


def test_every_option_that_costs_exposure_is_explained_and_no_other(service):
    options = {re.match(r"\w+=", name)[0] for name in service.costs}
    assert options - {"CapabilityBoundingSet="} == explained(service.source, r"\b[A-Z]\w+=")


def test_every_group_of_calls_and_sockets_that_is_open_is_explained(service):
    for option, words in (("SystemCallFilter", r"@[\w-]+"), ("RestrictAddressFamilies", r"AF_\w+")):
        lines = re.findall(rf"^# - {option}=(?:.|\n#   )*", service.source, re.M)
        told = set(re.findall(words, lines[0].split(".")[0])) if lines else set()
        costs = [name.split("~")[1] for name in service.costs if name.startswith(f"{option}=")]
        assert told == {word for name in costs for word in alternatives(name)}, option


def alternatives(name):
    """AF_(INET|INET6) stands for both."""
    start, _, rest = name.partition("(")
    return [start + end for end in rest.rstrip(")").split("|")]


def test_every_capability_that_a_service_keeps_is_explained_and_no_other(service):
    kept = set(" ".join(re.findall(r"^CapabilityBoundingSet=(.*)$", service.source, re.M)).split())
    comments = "\n".join(line for line in service.source.splitlines() if line.startswith("#"))
    lacking = {"CAP_SYS_NICE", "CAP_SYS_TIME"}  # named as what it does not have
    assert kept == set(re.findall(r"\bCAP_\w+", comments)) - lacking and not kept & lacking
    for name in service.costs:
        if name.startswith("CapabilityBoundingSet="):
            prefixes = [word.rstrip("*") if word.startswith("CAP_") else f"CAP_{word}".rstrip("*")
                        for word in alternatives(name.split("~")[1])]
            assert any(cap.startswith(prefix) for cap in kept for prefix in prefixes), name


# -- what agents inherit of the daemon's unit --


def refused():
    words = " ".join(re.findall(r"^SystemCallFilter=(.*)$", SOURCE, re.M)).split()
    assert all(line.startswith("~") for line in re.findall(r"^SystemCallFilter=(.*)$", SOURCE, re.M))
    return expanded({word.lstrip("~") for word in words})


def test_the_units_filter_takes_nothing_that_the_profile_allows():
    allowed = {name for rule in PROFILE["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"
               for name in rule["names"]}
    assert {"read", "ioctl", "personality"} <= allowed
    assert {"reboot", "bpf", "ptrace", "clock_settime"} <= refused()
    assert refused() & allowed == set()


def test_the_units_filter_leaves_the_families_that_the_profile_allows():
    families = {rule["args"][0]["value"] for rule in PROFILE["syscalls"]
                if "socket" in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW"}
    names = re.search(r"^RestrictAddressFamilies=(.*)$", SOURCE, re.M)[1].split()
    assert families == {getattr(socket, name) for name in names}


def test_nothing_that_takes_from_agents_is_in_the_daemons_unit():
    """Options whose filters would be inherited, and refuse what the profile allows."""
    taken = ("SystemCallArchitectures", "MemoryDenyWriteExecute", "LockPersonality",
             "RestrictRealtime", "RestrictSUIDSGID", "ProtectHostname", "RestrictNamespaces")
    assert not re.findall(rf"^(?:{'|'.join(taken)})=", SOURCE, re.M)


def test_what_was_to_be_reserved_is_there():
    for line in ("Type=notify", "Slice=caged.slice", "DevicePolicy=closed", "NoNewPrivileges=yes",
                 "SuccessExitStatus=75", "RestartForceExitStatus=75"):
        assert f"\n{line}\n" in SOURCE, line
    assert re.search(r"^WatchdogSec=\d+$", SOURCE, re.M)
    assert int(re.search(r"^FileDescriptorStoreMax=(\d+)$", SOURCE, re.M)[1]) >= 1024
