"""What `meson install` puts where, below DESTDIR; and the unit files that come with it."""

import os
import shutil
import subprocess

import pytest

from harness import paths

PROGRAMS = {"bin/cagectl": 0o755, "sbin/cagedd": 0o755, "libexec/caged/caged-init": 0o755,
            "libexec/caged/caged-gate": 0o755}
DATA = ["share/caged/card.schema.json", "share/caged/seccomp/default.json",
        "share/caged/agents/opencode.json", "share/caged/cards/hello.json",
        "lib/systemd/system/cagedd.service", "lib/systemd/system/cagedd.socket",
        "lib/systemd/system/caged-agent@.service", "share/man/man8/caged-agent.8",
        "lib/sysusers.d/caged.conf", "lib/systemd/catalog/caged.catalog",
        "share/man/man1/cagectl.1", "share/man/man8/cagedd.8",
        "share/man/man5/caged.card.5", "share/bash-completion/completions/cagectl"]


@pytest.fixture(scope="module")
def tree(base):
    destination = base / "install"
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", paths.BUILD,
                    "--destdir", destination], check=True, stdout=subprocess.DEVNULL)
    yield destination
    shutil.rmtree(destination)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_roots_and_not_setuid(tree, name):
    status = (tree / "usr/local" / name).stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (PROGRAMS[name], 0, 0)


@pytest.mark.parametrize("name", DATA)
def test_data_is_there_and_nobody_else_can_write_it(tree, name):
    found = [path for path in (tree / "usr/local" / name, tree / "usr/local" / (name + ".gz"))
             if path.exists()]
    assert found, f"{name} is not installed"
    assert found[0].stat().st_mode & 0o7133 == 0


def test_nothing_else_is_installed_outside_of_the_prefix(tree):
    assert [path.name for path in tree.iterdir()] == ["usr"]
    assert [path.name for path in (tree / "usr").iterdir()] == ["local"]


def test_the_version_is_told(tree):
    done = subprocess.run([tree / "usr/local/bin/cagectl", "version"], capture_output=True,
                          text=True)
    assert "0.1.0" in done.stdout, done


@pytest.mark.parametrize("unit", ["cagedd.service", "cagedd.socket", "caged-agent@.service"])
def test_systemd_finds_no_fault_with_a_unit(tree, unit):
    """Unknown options are only warnings to systemd: so there must be no output about the unit."""
    path = tree / "usr/local/lib/systemd/system" / unit
    texts = {path.with_name(name): path.with_name(name).read_text()
             for name in ("cagedd.service", "caged-agent@.service")}
    assert "/usr/local/sbin/cagedd\n" in texts[path.with_name("cagedd.service")]
    assert "/usr/local/bin/cagectl service" in texts[path.with_name("caged-agent@.service")]
    for service, text in texts.items():
        service.write_text(text.replace("/usr/local/", f"{tree}/usr/local/"))
    try:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True,
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{path.parent}:"})
    finally:
        for service, text in texts.items():
            service.write_text(text)
    about = [line for line in done.stderr.splitlines() if "caged" in line]
    assert (done.returncode, about) == (0, []), done.stderr


def test_the_group_is_made_by_sysusers(tree, base):
    root = base / "sysusers-root"
    (root / "etc").mkdir(parents=True)
    subprocess.run(["systemd-sysusers", f"--root={root}", tree / "usr/local/lib/sysusers.d/caged.conf"],
                   check=True, capture_output=True)
    assert [line.split(":")[0] for line in (root / "etc/group").read_text().splitlines()] == ["caged"]
