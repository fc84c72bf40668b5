"""The units as they are installed: no fault in any, and how far cagedd.service is closed."""

import json
import os
import re
import subprocess

import pytest

from harness import paths

SOURCE = (paths.ROOT / "units" / "cagedd.service.in").read_text()
EXPOSURE_MAX = 8.4  # of 10, as systemd 252 counts


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
    found = {path.name.removesuffix(".in") for path in (paths.ROOT / "units").iterdir()}
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


# -- how far the daemon's unit is closed --


@pytest.fixture(scope="module")
def costs(units):
    """What costs exposure, by the names that systemd-analyze(1) gives it."""
    done = analyze(units, "security", "--offline=yes", "--no-pager", "--json=short",
                   units / "cagedd.service")
    return [row["name"] for row in json.loads(done.stdout)
            if row["set"] is False and row["exposure"] is not None]


def explained(words):
    """The words of this form that comments of the unit name."""
    comments = "\n".join(line for line in SOURCE.splitlines() if line.startswith("#"))
    return set(re.findall(words, comments[comments.index("# What the daemon needs of root"):]))


def test_the_exposure_is_as_low_as_the_work_allows(units):
    done = analyze(units, "security", "--offline=yes", "--no-pager",
                   f"--threshold={EXPOSURE_MAX * 10:.0f}", units / "cagedd.service")
    assert done.returncode == 0, done.stdout[-200:]


def test_every_option_that_costs_exposure_is_explained_and_no_other(costs):
    options = {re.match(r"\w+=", name)[0] for name in costs}
    assert options - {"CapabilityBoundingSet="} == explained(r"\b[A-Z]\w+=")


def test_every_capability_that_the_unit_keeps_is_explained_and_no_other(costs):
    kept = set(" ".join(re.findall(r"^CapabilityBoundingSet=(.*)$", SOURCE, re.M)).split())
    lacking = {"CAP_SYS_NICE", "CAP_SYS_TIME"}  # named as what it does not have
    assert kept == explained(r"\bCAP_\w+") - lacking and not kept & lacking
    for name in costs:
        if name.startswith("CapabilityBoundingSet="):
            group = re.sub(r"CAP_(\w*)\(([^)]*)\)", lambda m: " ".join(
                f"CAP_{m[1]}{end}" for end in m[2].split("|")), name.split("~")[1])
            prefixes = [word.rstrip("*") for word in group.split()]
            assert any(cap.startswith(prefix) for cap in kept for prefix in prefixes), name


def test_what_was_to_be_reserved_is_there():
    for line in ("Type=notify", "Slice=caged.slice", "DevicePolicy=closed", "NoNewPrivileges=yes",
                 "SuccessExitStatus=75", "RestartForceExitStatus=75"):
        assert f"\n{line}\n" in SOURCE, line
    assert re.search(r"^WatchdogSec=\d+$", SOURCE, re.M)
    assert int(re.search(r"^FileDescriptorStoreMax=(\d+)$", SOURCE, re.M)[1]) >= 1024
