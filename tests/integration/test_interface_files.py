"""The interface files are Varlink for others too: varlink-go's parser, which shares no line with
ours, reads them."""

import subprocess

import pytest

from harness import paths

FILES = sorted(path.name for path in (paths.ROOT / "common").glob("*.varlink"))


def parse(text, tmp_path):
    """The parser's result; it writes what it generates beside the file."""
    path = tmp_path / "interface.varlink"
    path.write_text(text)
    return subprocess.run(["varlink-go-interface-generator", path], capture_output=True, text=True)


def test_both_interfaces_are_there():
    assert FILES == ["io.caged.varlink", "org.varlink.service.varlink"]


@pytest.mark.parametrize("name", FILES)
def test_another_parser_accepts_the_interface(name, tmp_path):
    done = parse((paths.ROOT / "common" / name).read_text(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("right, wrong", [
    ("interface io.caged\n", "\n"), ("(agent: Agent)", "(agent Agent)"),
    ("method Wait(", "function Wait("), ("error NoSuchAgent (agent_id: string)", "error NoSuchAgent (")])
def test_it_refuses_a_broken_interface(right, wrong, tmp_path):
    text = (paths.ROOT / "common" / "io.caged.varlink").read_text()
    assert right in text
    assert parse(text.replace(right, wrong), tmp_path).returncode != 0
