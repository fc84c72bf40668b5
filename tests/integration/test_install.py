"""What `meson install` puts where, below DESTDIR; and what the files that deploy it make of a system."""

import json
import re
import shutil
import subprocess

import pytest

from harness import paths

PROGRAMS = {"bin/cagectl": 0o755, "sbin/cagedd": 0o755, "libexec/caged/caged-init": 0o755,
            "libexec/caged/caged-gate": 0o755, "libexec/caged/caged-scan": 0o755}
DATA = ["share/caged/card.schema.json", "share/caged/policy.schema.json", "share/caged/seccomp/default.json",
        "share/caged/agents/opencode.json", "share/caged/cards/hello.json",
        "lib/systemd/system/cagedd.service", "lib/systemd/system/cagedd.socket",
        "lib/systemd/system/caged-agent@.service", "lib/systemd/system/caged.slice",
        "lib/systemd/system-preset/90-caged.preset", "lib/sysusers.d/caged.conf",
        "lib/tmpfiles.d/caged.conf", "share/man/man1/cagectl.1", "share/man/man8/cagedd.8",
        "share/man/man8/caged-agent.8", "lib/systemd/catalog/caged.catalog",
        "share/man/man5/caged.card.5", "share/man/man5/caged.policy.5", "share/bash-completion/completions/cagectl"]

# Debian's packages of what meson.build asks pkg-config for.
DEV = {"libsystemd": "libsystemd-dev", "libseccomp": "libseccomp-dev", "libcap-ng": "libcap-ng-dev",
       "jansson": "libjansson-dev", "libnl-3.0": "libnl-3-dev", "libnl-route-3.0": "libnl-route-3-dev",
       "libcares": "libc-ares-dev"}


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
    assert sorted(path.name for path in tree.iterdir()) == ["etc", "usr"]
    assert [path.name for path in (tree / "usr").iterdir()] == ["local"]
    assert [str(path.relative_to(tree)) for path in (tree / "etc").rglob("*") if path.is_file()] == \
        ["etc/caged/policy.json"]


def test_the_site_policy_is_the_shipped_one_and_roots(tree):
    policy = tree / "etc/caged/policy.json"
    assert policy.read_bytes() == (paths.POLICY / "site.json").read_bytes()
    status = policy.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o644, 0, 0)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_the_operators_site_policy_is_not_replaced(base, kind):
    folder = base / f"operators-policy-{kind}" / "etc" / "caged"
    folder.mkdir(parents=True)
    policy = folder / "policy.json"
    if kind == "file":
        policy.write_text("mine")
    else:
        policy.symlink_to("elsewhere.json")
    subprocess.run([paths.ROOT / "units" / "install-policy", paths.POLICY / "site.json", "/etc/caged"],
                   check=True, env={"DESTDIR": str(folder.parents[1]), "PATH": "/usr/bin:/bin"})
    assert [path.name for path in folder.iterdir()] == ["policy.json"]
    assert policy.is_symlink() if kind == "link" else policy.read_text() == "mine"


def test_a_build_without_options_needs_the_packages_of_a_build_alone():
    """What the README's `meson setup build` makes: the tests would need those of tests/packages too."""
    done = subprocess.run(["meson", "introspect", "--buildoptions", paths.ROOT / "meson.build"],
                          capture_output=True, check=True)
    options = {option["name"]: option["value"] for option in json.loads(done.stdout)}
    assert (options["tests"], options["fuzzers"]) == (False, False)
    packages = (paths.ROOT / "units/build-packages").read_text()
    wanted = re.findall(r"^\w+ = dependency\('([\w.-]+)'", (paths.ROOT / "meson.build").read_text(), re.M)
    assert wanted and all(re.search(rf"^{DEV[name]}$", packages, re.M) for name in wanted)


def test_no_name_in_a_manual_page_is_hyphenated(tree):
    """Who looks for denied_hosts finds no de-nied_hosts. .TH switches hyphenation on: .nh comes after."""
    pages = sorted((tree / "usr/local/share/man").rglob("*.[158]"))
    assert len(pages) == sum(name.startswith("share/man/") for name in DATA)
    for page in pages:
        text = page.read_text()
        assert re.search(r"^\.TH .*\n\.nh$", text, re.M) and text.endswith("\n"), page


def test_the_version_is_told(tree):
    done = subprocess.run([tree / "usr/local/bin/cagectl", "version"], capture_output=True,
                          text=True)
    assert "0.1.0" in done.stdout, done


def test_the_groups_are_made_by_sysusers(tree, base):
    root = base / "sysusers-root"
    (root / "etc").mkdir(parents=True)
    subprocess.run(["systemd-sysusers", f"--root={root}", tree / "usr/local/lib/sysusers.d/caged.conf"],
                   check=True, capture_output=True)
    assert sorted(line.split(":")[0] for line in (root / "etc/group").read_text().splitlines()) == \
        ["caged", "caged-operators"]


def test_the_folder_of_cards_is_made_by_tmpfiles(tree, base):
    root = base / "tmpfiles-root"
    root.mkdir()
    subprocess.run(["systemd-tmpfiles", f"--root={root}", "--create",
                    tree / "usr/local/lib/tmpfiles.d/caged.conf"], check=True, capture_output=True)
    status = (root / "etc/caged/agents").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o755, 0, 0)


@pytest.mark.parametrize("unit, state", [("cagedd.socket", "enabled"), ("cagedd.service", "disabled")])
def test_presets_switch_on_the_socket_alone(tree, base, unit, state):
    root = base / f"preset-root-{unit}"
    for folder in ("system", "system-preset"):
        shutil.copytree(tree / "usr/local/lib/systemd" / folder, root / "lib/systemd" / folder)
    subprocess.run(["systemctl", f"--root={root}", "preset", unit], check=True, capture_output=True)
    done = subprocess.run(["systemctl", f"--root={root}", "is-enabled", unit], capture_output=True,
                          text=True)
    assert done.stdout.strip() == state, done


# -- with prefix /usr, as a distribution has it --


def test_systemd_says_where_its_files_go():
    """The same names as below another prefix, in the folders that its pkg-config file has."""
    text = (paths.ROOT / "units" / "meson.build").read_text()
    variables = re.findall(r"'(\w+dir)': '(lib/[\w./-]+)'", text)
    assert {name for name, _ in variables} == {
        "systemdsystemunitdir", "systemdsystempresetdir", "sysusersdir", "tmpfilesdir", "catalogdir"}
    for name, below_prefix in variables:
        done = subprocess.run(["pkg-config", f"--variable={name}", "systemd"], capture_output=True,
                              text=True, check=True)
        assert done.stdout.strip() in (f"/{below_prefix}", f"/usr/{below_prefix}"), name


# -- the Debian package's metadata --


def packages(path):
    return {line.split("#")[0].strip() for line in path.read_text().splitlines()} - {""}


def test_the_package_is_built_from_what_the_list_of_packages_has():
    control = (paths.ROOT / "units/debian/control").read_text()
    wanted = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.M)[1]
    wanted = {line.strip(" ,").split(" ")[0] for line in wanted.splitlines()}
    listed = packages(paths.ROOT / "units/build-packages") - {"build-essential"}  # policy 4.2
    assert wanted == listed | {"debhelper-compat", "dh-sequence-installsysusers", "systemd-dev"}
    assert {"debhelper", "lintian", "systemd"} == packages(paths.ROOT / "units/deb-packages")


def test_a_package_whose_changelog_lags_behind_is_refused(base):
    copy = base / "deb-tree"
    shutil.copytree(paths.ROOT / "units", copy / "units")
    (copy / "meson.build").write_text("project('caged', 'c',\n  version: '99.1',\n")
    done = subprocess.run([copy / "units/build-deb", base], capture_output=True, text=True)
    assert done.returncode == 1 and "99.1 in meson.build, but 0.1.0 in" in done.stderr, done
