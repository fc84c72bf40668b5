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
import subprocess
from pathlib import Path

import jsonschema
import pytest

from harness.paths import CAGECTL, POLICY, ROOT

POLICIES = Path(__file__).parent / "policies"
PATHS = json.loads((POLICIES / "paths.json").read_text())
SCHEMA = json.loads((POLICY / "policy.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RULE = SCHEMA["properties"]["rules"]["items"]


def names(folder):
    return sorted(f"{folder}/{path.name}" for path in (POLICIES / folder).glob("*.json"))


def run_check(*arguments):
    return subprocess.run([CAGECTL, "policy", "check", *arguments], capture_output=True, cwd=POLICIES,
                          timeout=60)


@pytest.fixture(scope="module")
def verdicts():
    """What the C validator says about every policy."""
    result = run_check("-j", *names("good"), *names("bad"), *names("bad-text"))
    assert result.returncode == 65, result.stderr.decode()
    lines = [json.loads(line) for line in result.stdout.decode().split("\n") if line]
    return {line["policy"]: line for line in lines}


def test_the_schema_is_a_schema():
    VALIDATOR.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_there_are_many_policies_and_each_bad_one_has_its_path():
    assert len(names("good")) >= 20
    assert len(names("bad")) >= 200
    assert sorted(PATHS) == sorted(names("bad") + names("bad-text"))


@pytest.mark.parametrize("name", names("good"))
def test_both_accept(name, verdicts):
    document = json.loads((POLICIES / name).read_text())
    assert verdicts[name]["ok"] is True and verdicts[name]["rules"] == len(document["rules"])
    VALIDATOR.validate(document)


@pytest.mark.parametrize("name", names("bad"))
def test_both_refuse(name, verdicts):
    assert verdicts[name]["ok"] is False
    assert verdicts[name]["path"] == PATHS[name]
    assert not VALIDATOR.is_valid(json.loads((POLICIES / name).read_text()))


@pytest.mark.parametrize("name", names("bad-text"))
def test_the_c_validator_refuses(name, verdicts):
    assert verdicts[name]["ok"] is False
    assert verdicts[name]["path"] == PATHS[name]


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_refusal_is_a_whole_sentence(name, verdicts):
    verdict = verdicts[name]
    assert verdict["found"] and verdict["expected"]
    assert (verdict["path"] + verdict["found"] + verdict["expected"]).isprintable()


def test_the_schema_has_every_key_of_the_validator():
    """A key that is added in one place only is found here."""
    for name, properties in (("unknown-limit", RULE["properties"]["resource_limits"]["properties"]),
                             ("unknown-total", RULE["properties"]["total"]["properties"]),
                             ("unknown-access-key",
                              RULE["properties"]["access"]["items"]["properties"])):
        result = run_check(f"bad/{name}.json")
        listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
        assert set(listed) == set(properties), name
    everything = json.loads((POLICIES / "good/everything.json").read_text())["rules"][0]
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
        VALIDATOR.validate(json.loads(block))
        file = base / f"policy-of-a-document-{number}.json"
        file.write_text(block)
        result = run_check("-q", file)
        assert result.returncode == 0, result.stderr.decode()


def test_the_shipped_policy_is_good():
    result = run_check(POLICY / "site.json")
    assert result.returncode == 0, result.stderr.decode()
    document = json.loads((POLICY / "site.json").read_text())
    VALIDATOR.validate(document)
    assert [rule["groups"] for rule in document["rules"]] == [["caged"]]
    assert [rule["private_hosts"] for rule in document["rules"]] == [["*"]], \
        "no metadata service, which would stand there by itself (test_policy_file.py)"
