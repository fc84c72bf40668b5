"""Mounts of cards under the shipped units: the daemon's own sandbox leaves the way to them open, and
the site policy that is installed says which there may be."""

import json

import pytest
from harness.agent_unit import AgentUnit

POLICY = {"rules": [{"name": "members", "groups": ["caged"], "workspace_roots": ["/home"],
                     "mount_roots": ["/srv"], "writable_mount_roots": ["/home"]}]}


@pytest.fixture
def shared(machine):
    machine.run("mkdir -p /srv/sets && echo for all >/srv/sets/text && ln -s sets /srv/link")
    return "/srv/sets"


@pytest.mark.every_kernel
def test_an_agent_has_the_mounts_that_the_policy_lets_it_have(machine, caged, shared):
    machine.write("/etc/caged/policy.json", json.dumps(POLICY))
    machine.systemctl("start", "cagedd.service")
    machine.systemctl("reload", "cagedd.service")
    machine.run("install -d -o alice -g alice /home/alice/cache")
    mounts = [{"source": shared, "target": "/data"},
              {"source": "/home/alice/cache", "target": "/mnt", "readonly": False}]
    result = caged.run("cat /data/text; touch /mnt/made; touch /data/made; true", mounts=mounts)
    assert result.text == "for all\n" and "Read-only file system" in result.errors
    assert machine.output("stat -c %U /home/alice/cache/made") == "alice"
    mounts[1]["source"] = shared
    refused = caged.run("true", mounts=mounts, check=False)
    assert refused.status != 0 and "/srv/sets belongs to root" in refused.errors
    mounts[1] = {"source": "/usr/share", "target": "/mnt"}
    refused = caged.run("true", mounts=mounts, check=False)
    assert refused.status != 0 and "lies in the system folder /usr" in refused.errors


def test_a_unit_has_mounts_too_and_follows_no_link_to_them(machine, caged, shared):
    unit = AgentUnit(machine, caged)
    unit.drop_in("Restart=no")
    unit.start("cat /data/text >/workspace/seen",
               mounts=[{"source": "/srv/sets", "target": "/data"}])
    assert unit.wait_file("seen") == "for all\n"
    unit.wait_state("inactive")
    unit.card("true", mounts=[{"source": "/srv/link", "target": "/data"}])
    assert unit.start(check=False).status != 0
    assert "$.mounts[0].source: cannot open /srv/link" in unit.said()
    assert "without symbolic links" in unit.said()
