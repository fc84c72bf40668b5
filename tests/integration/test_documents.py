"""What the documents list is there, and what is there is listed."""

import re

from harness import paths

README = (paths.ROOT / "README.md").read_text()
TESTS_README = (paths.ROOT / "tests" / "README.md").read_text()
UNIT_TESTS = {path.name for path in (paths.ROOT / "tests" / "unit").glob("test-*.c")}


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
    assert {"unit", "fuzz", "integration", "escape", "bench"} <= tests
    for name in top:
        assert (paths.ROOT / name).is_dir(), name
    for name in tests:
        assert (paths.ROOT / "tests" / name).is_dir(), name


def test_each_unit_test_is_listed_with_what_it_covers():
    rows = section(TESTS_README, "## What each unit test covers")
    assert {row[0].strip("`") for row in rows} == UNIT_TESTS
    assert all(len(row[1]) > 10 for row in rows)


def test_each_row_of_the_security_table_is_held_by_tests_that_exist():
    there = {name for path in (paths.ROOT / "tests" / "integration").glob("test_*.py")
             for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)} | UNIT_TESTS
    promised = [row[0] for row in section(README, "## Security model")]
    rows = section(TESTS_README, "## What holds the README's security table")
    assert [row[0] for row in rows] == promised and len(promised) >= 10
    for wish, tests in rows:
        named = re.findall(r"`([^`]+)`", tests)
        assert named and set(named) <= there, (wish, set(named) - there)


def test_files_that_the_readme_names_are_there():
    for name in re.findall(r"`((?:client|common|daemon|policy|units|tests)/[\w./-]+)`", README):
        assert (paths.ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (paths.ROOT / name).exists(), name
