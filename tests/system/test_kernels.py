"""The main job, on each kernel that caged is made for."""

import pytest

pytestmark = pytest.mark.every_kernel


def test_it_is_the_kernel_that_was_asked_for(machine):
    assert machine.output("uname -r").startswith(machine.version)


def test_an_agent_runs_and_its_output_and_status_come_back(caged):
    result = caged.run("id -u; pwd; echo wrong >&2; exit 7", check=False)
    assert (result.status, result.text, result.errors) == (7, "1000\n/workspace\n", "wrong\n"), result
