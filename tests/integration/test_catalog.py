"""The journal catalog: every entry that has an id is explained, with fields that it has."""

import re
import subprocess

import pytest

from harness import paths

CATALOG = paths.ROOT / "units" / "caged.catalog"
IDS = dict(re.findall(r'^#define (LOG_ID_\w+) "([0-9a-f]{32})"$',
                      (paths.ROOT / "common" / "log.h").read_text(), re.M))
MANUAL = (paths.ROOT / "daemon" / "cagedd.8.scd").read_text()
MANUAL_LOG = MANUAL[MANUAL.index("# LOG"):MANUAL.index("# EXAMPLES")]


def entries():
    """The catalog's entries: id, headers and text of each."""
    for part in re.split(r"^-- ", CATALOG.read_text(), flags=re.M)[1:]:
        head, text = part.split("\n\n", 1)
        number, *headers = head.splitlines()
        yield number, dict(line.split(": ", 1) for line in headers), text


def fields_of(number):
    """The fields that the manual names for an id, and those of every entry about an agent."""
    rows = {row[0]: row[2] for row in re.findall(r"^\|  (\S+)\n:  (.*)\n:  (.*)$", MANUAL_LOG, re.M)}
    row = rows[IDS["LOG_ID_NETWORK_ALLOWED"]] if "the same" in rows[number] else rows[number]
    common = re.search(r"^Every entry about an agent has (.*?)\n\n", MANUAL_LOG, re.M | re.S)[1]
    return set(re.findall(r"([A-Z][A-Z0-9_]+)=", row + common))


def test_every_id_is_explained_and_there_are_no_others():
    explained = [number for number, _, _ in entries()]
    assert sorted(explained) == sorted(IDS.values())
    assert len(IDS) >= 9 and len(set(IDS.values())) == len(IDS)


@pytest.mark.parametrize("number, headers, text", [pytest.param(*entry, id=entry[1]["Subject"])
                                                   for entry in entries()])
def test_an_entry_has_what_an_operator_needs(number, headers, text):
    assert headers["Defined-By"] == "caged" and headers["Subject"]
    assert headers["Support"] and "man:" in headers["Documentation"]
    assert len(text) > 200
    assert not {"CAGED_WORKSPACE", "MESSAGE"} & set(re.findall(r"@(\w+)@", text)), "users' bytes"
    used = set(re.findall(r"@([^@\s]+)@", headers["Subject"] + text))
    assert used and used <= fields_of(number), used - fields_of(number)
    assert max(map(len, text.splitlines())) <= 110


def test_the_journal_takes_the_catalog(base):
    root = base / "catalog-root"
    (root / "usr/lib/systemd/catalog").mkdir(parents=True)
    (root / "var/lib/systemd/catalog").mkdir(parents=True)
    (root / "usr/lib/systemd/catalog/caged.catalog").write_bytes(CATALOG.read_bytes())

    def journalctl(*words):
        done = subprocess.run(["journalctl", f"--root={root}", *words], capture_output=True,
                              text=True)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    journalctl("--update-catalog")
    listed = journalctl("--list-catalog")
    assert [line.split()[0] for line in listed.splitlines()] == sorted(IDS.values())
    assert all(" caged: " in line for line in listed.splitlines()), listed
