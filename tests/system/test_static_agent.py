"""An agent that is always on: a card in /etc/caged/agents and `systemctl enable --now`."""

import pytest
from harness.agent_unit import AgentUnit

RUN = "echo $$ >>/workspace/runs; "
WAIT = "while :; do sleep 0.2; done"


@pytest.fixture
def unit(machine, caged):
    return AgentUnit(machine, caged, "helper")


def test_it_survives_a_reboot_and_starts_again_when_it_fails(machine, unit):
    unit.card(RUN + WAIT)
    machine.systemctl("enable", "--now", unit.name, timeout=120)
    unit.wait_count("runs", 1)
    machine.reboot()
    unit.wait_state("active", timeout=60)
    unit.wait_count("runs", 2)
    order = unit.show("After").split()
    assert {"cagedd.service", "network-online.target"} <= set(order)

    machine.run(f"kill -9 {unit.agent()['pid']}")
    unit.wait_count("runs", 3, timeout=60)
    unit.wait_state("active")
    assert unit.show("NRestarts") == "1"

    machine.systemctl("disable", "--now", unit.name, timeout=120)
    machine.reboot()
    assert unit.show("ActiveState") == "inactive"
    assert machine.output(f"wc -l <{unit.workspace}/runs") == "3"


def test_it_comes_back_when_the_power_has_failed(machine, unit):
    unit.card(RUN + WAIT)
    machine.systemctl("enable", "--now", unit.name, timeout=120)
    unit.wait_count("runs", 1)
    machine.run("sync")
    machine.crash()
    unit.wait_state("active", timeout=60)
    unit.wait_count("runs", 2)


def test_its_time_to_live_ends_it_until_the_next_boot(machine, unit):
    unit.card(RUN + WAIT, ttl_seconds=4)
    machine.systemctl("enable", "--now", unit.name, timeout=120)
    unit.wait_state("inactive", timeout=60)
    shown = unit.show("Result", "NRestarts", "UnitFileState")
    assert shown == {"Result": "success", "NRestarts": "0", "UnitFileState": "enabled"}
    assert unit.agent()["reason"] == "ttl"
    assert machine.output(f"wc -l <{unit.workspace}/runs") == "1"
