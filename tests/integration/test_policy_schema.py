"""The policy's two validators, the C one (asked through `cagectl policy check`) and the JSON Schema,
agree.

tests/integration/policies has
  good/      policies that both accept
  bad/       policies that both refuse
  bad-text/  what only the C validator refuses: text that is not strict JSON, sizes in bytes, integers
             with a fraction of zero, the inside of IP addresses, two rules of one name
and paths.json says for each bad one at which JSON path the fault has to be told."""

import json
import re
from pathlib import Path

import pytest

from harness.paths import CAGECTL, POLICY, ROOT
from harness.validators import Validators

POLICIES = Validators(Path(__file__).parent / "policies", POLICY / "policy.schema.json",
                      CAGECTL, "policy", "check")
RULE = POLICIES.schema["properties"]["rules"]["items"]


def test_the_schema_is_a_schema():
    POLICIES.assert_schema()


def test_there_are_many_policies_and_each_bad_one_has_its_path():
    POLICIES.assert_many(good=20, bad=200)


@pytest.mark.parametrize("name", POLICIES.names("good"))
def test_both_accept(name):
    document, verdict = POLICIES.read(name), POLICIES.verdicts[name]
    assert verdict["ok"] is True and verdict["rules"] == len(document["rules"])
    POLICIES.by_schema.validate(document)


@pytest.mark.parametrize("name", POLICIES.names("bad"))
def test_both_refuse(name):
    POLICIES.assert_both_refuse(name)


@pytest.mark.parametrize("name", POLICIES.names("bad-text"))
def test_the_c_validator_refuses(name):
    POLICIES.assert_c_refuses(name)


@pytest.mark.parametrize("name", sorted(POLICIES.paths))
def test_a_refusal_is_a_whole_sentence(name):
    POLICIES.told(name)


def test_the_schema_has_every_key_of_the_validator():
    """A key that is added in one place only is found here."""
    for name, properties in (("unknown-limit", RULE["properties"]["resource_limits"]["properties"]),
                             ("unknown-total", RULE["properties"]["total"]["properties"]),
                             ("unknown-access-key",
                              RULE["properties"]["access"]["items"]["properties"])):
        result = POLICIES.run(f"bad/{name}.json")
        listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
        assert set(listed) == set(properties), name
    everything = POLICIES.read("good/everything.json")["rules"][0]
    assert set(everything) == set(RULE["properties"])
    assert set(everything["resource_limits"]) == set(RULE["properties"]["resource_limits"]["properties"])


def test_the_limits_are_those_of_the_card():
    card = json.loads((POLICY / "card.schema.json").read_text())["properties"]["resource_limits"]
    limits = RULE["properties"]["resource_limits"]
    assert {name: (limit["minimum"], limit["maximum"])
            for name, limit in limits["properties"].items()} == {
        name: (limit["minimum"], limit["maximum"]) for name, limit in card["properties"].items()}


@pytest.mark.parametrize("path", ["README.md", "common/caged.policy.5.scd"])
def test_the_policies_of_the_documents_are_good(path, base):
    text = (ROOT / path).read_text()
    blocks = re.findall(r"^( *)(\{\n(?:\1 +.*\n)*?\1 +\"rules\": \[\n(?:\1 .*\n)*\1\}\n)", text, re.M)
    assert blocks, path
    for number, (_, block) in enumerate(blocks):
        POLICIES.by_schema.validate(json.loads(block))
        file = base / f"policy-of-a-document-{number}.json"
        file.write_text(block)
        result = POLICIES.run("-q", file)
        assert result.returncode == 0, result.stderr.decode()


def test_the_shipped_policy_is_good():
    result = POLICIES.run(POLICY / "site.json")
    assert result.returncode == 0, result.stderr.decode()
    document = json.loads((POLICY / "site.json").read_text())
    POLICIES.by_schema.validate(document)
    assert [rule["groups"] for rule in document["rules"]] == [["caged"]]
    assert [rule["private_hosts"] for rule in document["rules"]] == [["*"]], \
        "no metadata service, which would stand there by itself (test_policy_file.py)"
