"""What the documents list is there, and what is there is listed."""

import json
import re

from harness import paths

README = (paths.ROOT / "README.md").read_text()
TESTS_README = (paths.ROOT / "tests" / "README.md").read_text()
SCHEMA = json.loads((paths.POLICY / "card.schema.json").read_text())
LIMITS = SCHEMA["properties"]["resource_limits"]["properties"]
UNIT_TESTS = {path.name for path in (paths.ROOT / "tests" / "unit").glob("test-*.c")}
TESTS = UNIT_TESTS | {name for folder in ("integration", "system")
                      for path in (paths.ROOT / "tests" / folder).glob("test_*.py")
                      for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}


def section(text, heading):
    """The rows of the first table below a heading: the cells of each, without the head."""
    below = text[text.index(heading):]
    table = re.search(r"^\|.*\n\|---.*\n((?:\|.*\n)+)", below, re.M)[1]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]


def folders(rows):
    return {name for row in rows for name in re.findall(r"`([a-z/-]+)/`", row[0])}


def test_the_maps_name_folders_that_are_there():
    top, tests = folders(section(README, "## Map")), folders(section(TESTS_README, "# The tests"))
    assert {"client", "common", "daemon", "policy", "tests", "units"} <= top
    assert {"unit", "fuzz", "integration", "escape", "system", "bench"} <= tests
    for name in top:
        assert (paths.ROOT / name).is_dir(), name
    for name in tests:
        assert (paths.ROOT / "tests" / name).is_dir(), name


def test_each_unit_test_is_listed_with_what_it_covers():
    rows = section(TESTS_README, "## What each unit test covers")
    assert {row[0].strip("`") for row in rows} == UNIT_TESTS
    assert all(len(row[1]) > 10 for row in rows)


def tables_apart(text, heading):
    """The rows of each table of a section, without its head."""
    below = text[text.index(f"\n{heading}\n"):].split("\n## ", 2)[1]
    return [[[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]
            for table in re.findall(r"^\|.*\n\|---.*\n((?:\|.*\n)+)", below, re.M)]


def tables(text, heading):
    return [row for table in tables_apart(text, heading) for row in table]


def test_each_row_of_the_threat_model_is_held_by_tests_that_exist():
    rows = tables(README, "## Threat model")
    assert len(rows) >= 22
    for *threat, tests in rows:
        named = re.findall(r"`([^`]+)`", tests)
        assert named and set(named) <= TESTS, (threat, set(named) - TESTS)
        assert re.sub(r"`[^`]+`|, ", "", tests) == "", threat  # names and nothing else
    for table in tables_apart(README, "## Threat model"):
        threats = [row[:-2] for row in table]
        assert [threat for threat in threats if threats.count(threat) > 1] == [], "each stands once"


def test_every_test_that_a_document_names_exists():
    named = {name for text in (README, TESTS_README)
             for name in re.findall(r"`(test[_-][\w-]+(?:\.\w+)?)`", text)}
    files = {path.name for folder in ("unit", "integration", "system")
             for path in (paths.ROOT / "tests" / folder).glob("test[_-]*")}
    assert len(named) > 60 and named <= TESTS | files, named - TESTS - files


def test_files_that_the_readme_names_are_there():
    for name in re.findall(r"`((?:client|common|daemon|policy|units|tests)/[\w./-]+)`", README):
        assert (paths.ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (paths.ROOT / name).exists(), name


def test_the_table_of_kernels_has_what_the_daemon_looks_for_at_its_start():
    def version(text):
        return tuple(map(int, text.split(".")))
    code = (paths.ROOT / "daemon" / "host-check.c").read_text()
    needs = re.findall(r'\{"(\w+)[^"]*",\s*"([\d.]+)"', code)
    fatal = [row for row in section(README, "## What a host must have")
             if row[2] == "cagedd does not start"]
    assert len(needs) >= 10
    for word, since in needs:
        if word == "room":
            word = "max_user_namespaces"
        rows = [row for row in fatal if word in row[0]]
        assert rows and version(since) <= version(rows[0][1]), word
    assert max(version(row[1]) for row in fatal) == (5, 14) and "Linux 5.14 with cgroup v2" in README


def test_the_limits_in_the_manuals_are_those_of_the_code():
    header = (paths.ROOT / "common" / "caged-limits.h").read_text()
    limits = {name: eval(value) for name, value in  # arithmetic like (64 * 1024)
              re.findall(r"^#define (\w+)\s+([\d()*+ ]*[\d)])\s*(?:/\*.*)?$", header, re.M)}
    card = (paths.ROOT / "common" / "caged.card.5.scd").read_text()
    rows = re.findall(r"^\|  (\w+)\n:  (\d+) to (\d+)\n:  (\w+)$", card, re.M)
    assert {key for key, *_ in rows} == LIMITS.keys()
    for key, *told in rows:
        name = re.sub("_(read|write)", "", key).upper().removeprefix("MAX_")
        low, high, default = (limits[f"CARD_{name}_{end}"] for end in ("MIN", "MAX", "DEFAULT"))
        optional = "default" not in LIMITS[key]
        assert told == [str(low), str(high), "none" if optional else str(default)], key
        assert (LIMITS[key]["minimum"], LIMITS[key]["maximum"]) == (low, high), key
        assert not optional or default == 0 < low, key
    assert f"from 0 to {limits['CARD_TTL_MAX']}," in card
    assert f"at most {limits['API_KEY_SIZE_MAX']} bytes" in card
    assert f"at most {limits['CARD_PROXY_MAX']} bytes" in card
    daemon = (paths.ROOT / "daemon" / "cagedd.8.scd").read_text()
    assert f"at most {limits['AGENTS_PER_UID_MAX']} agents" in daemon
    assert f"{limits['CONNECTIONS_PER_UID_MAX']} connections" in daemon
    assert f"and {limits['LEAVE_QUIET']} seconds for those that keep" in daemon
    assert limits["AGENTS_MAX"] == limits["CONNECTIONS_MAX"] == 1024 and "host 1024 of each" in daemon
    assert f"last {limits['AGENTS_ENDED_KEPT']} agents that ended" in daemon
    assert f"within {limits['GATE_UPDATE_TIMEOUT']} seconds is killed" in daemon
    assert f"a line longer than {limits['AGENT_LINE_MAX'] >> 10} KiB" in daemon
    assert f"more than {limits['LOG_UNSENT_PAUSE'] >> 10} KiB wait" in daemon
    assert f"at most {limits['LOG_UNSENT_MAX'] >> 20} MiB wait" in daemon
    assert f"for its log for {limits['LOG_FLUSH_TIMEOUT']} seconds" in daemon
    assert f"(at most {limits['PROXY_AUTH_SIZE_MAX']} bytes), as they are" in card
    assert f"more than {limits['PROTECT_REPOSITORIES_MAX']} repositories" in card
    assert f"than {limits['PROTECT_FOLDERS_MAX']} folders at the top" in card
    client = (paths.ROOT / "client" / "cagectl.1.scd").read_text()
    assert f"at most {limits['SCAN_KIND_FILES_MAX']} files are told" in client
    assert f"cut after {limits['SCAN_PATH_MAX']} bytes" in client
    assert f"takes\n{limits['SCAN_SECONDS']} seconds at most ({limits['SCAN_SECONDS_SHUTDOWN']} when" in client
    assert f"{limits['SCAN_ENTRIES_MAX']:,} names and {limits['SCAN_DEPTH_MAX']} folders" in client
    gate_memory = f"{limits['GATE_CGROUP_MEMORY_MAX'] >> 30} GiB at most"
    assert gate_memory in daemon and gate_memory in README
    assert f"requests of {limits['WIRE_REQUEST_SIZE_MAX'] >> 10} KiB at most" in README


def test_no_search_of_the_journal_trusts_what_any_user_can_write():
    """Fields are the writer's; only what journald adds, as _UID=, is not."""
    files = [paths.ROOT / "README.md", paths.ROOT / "units" / "quickstart",
             paths.ROOT / "units" / "caged.catalog",
             *(path for folder in ("client", "common", "daemon", "units")
               for path in (paths.ROOT / folder).glob("*.scd"))]
    searches = [(path.name, search) for path in files for search in
                re.findall(r"journalctl[^\n`]*(?:CAGED_|MESSAGE_ID=)", path.read_text())]
    assert len(searches) >= 6
    assert [found for found in searches if "_UID=0" not in found[1]] == []


def test_the_manual_names_every_port_of_tls():
    table = (paths.ROOT / "daemon/gate/tls-port.c").read_text()
    manual = (paths.ROOT / "common/caged.card.5.scd").read_text()
    ports = {int(port) for port in re.findall(r"^    (\d+), +/\*", table, re.M)}
    text = re.search(r"TLS by their registration: ([^;]*);", manual)[1]
    named = set()
    for first, _, last in re.findall(r"(\d+)( to (\d+))?", text):
        named.update(range(int(first), int(last or first) + 1))
    assert named == ports and len(ports) > 20


def test_the_manual_has_every_code_of_a_refusal_with_its_status():
    source = (paths.ROOT / "daemon" / "gate" / "refusal.c").read_text()
    rows = dict(re.findall(r'\[REFUSAL_\w+\] =\s*\{"([a-z-]+)",\s*(\d+),', source))
    manual = (paths.ROOT / "daemon" / "cagedd.8.scd").read_text()
    below = manual[manual.index("# REFUSALS"):manual.index("# LOG")]
    told = dict(re.findall(r"^\|  ([a-z-]+)\n:  (\S+)$", below, re.M))
    del rows["ok"]
    without_http = {"address-unknown", "client-gone"}
    assert len(rows) > 20
    assert told == {code: "(none)" if code in without_http else status
                    for code, status in rows.items()}
