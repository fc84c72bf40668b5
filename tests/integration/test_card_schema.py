"""The card's two validators, the C one (asked through `cagectl check`) and the JSON Schema, agree.

tests/integration/cards has
  good/      cards that both accept
  bad/       cards that both refuse
  bad-text/  what only the C validator refuses: text that is not strict JSON (a parser in front of
             the schema accepts a key twice, or never shows the schema a NUL), sizes in bytes,
             integers with a fraction of zero, the inside of IP addresses
and paths.json says for each bad one at which JSON path the fault has to be told."""

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from harness.paths import CAGECTL, POLICY

CARDS = Path(__file__).parent / "cards"
PATHS = json.loads((CARDS / "paths.json").read_text())
SCHEMA = json.loads((POLICY / "card.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
# Cards that hold a secret, or what a user may take for the place of one, have it by this name.
SECRETS = ("hidden-value", "secret", "not-a-real-key", "p@ss")


def names(folder):
    return sorted(f"{folder}/{path.name}" for path in (CARDS / folder).glob("*.json"))


def run_check(*arguments):
    return subprocess.run([CAGECTL, "check", *arguments], capture_output=True, cwd=CARDS,
                          timeout=60)


@pytest.fixture(scope="module")
def verdicts():
    """What the C validator says about every card."""
    result = run_check("-j", *names("good"), *names("bad"), *names("bad-text"))
    assert result.returncode == 65, result.stderr.decode()
    lines = [json.loads(line) for line in result.stdout.decode().split("\n") if line]
    return {line["card"]: line for line in lines}


def test_the_schema_is_a_schema():
    VALIDATOR.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_there_are_many_cards_and_each_bad_one_has_its_path():
    assert len(names("good")) >= 25
    assert len(names("bad")) >= 70
    assert sorted(PATHS) == sorted(names("bad") + names("bad-text"))


@pytest.mark.parametrize("name", names("good"))
def test_both_accept(name, verdicts):
    assert verdicts[name] == {"card": name, "ok": True}
    VALIDATOR.validate(json.loads((CARDS / name).read_text()))


@pytest.mark.parametrize("name", names("bad"))
def test_both_refuse(name, verdicts):
    assert verdicts[name]["ok"] is False
    assert verdicts[name]["path"] == PATHS[name]
    assert not VALIDATOR.is_valid(json.loads((CARDS / name).read_text()))


@pytest.mark.parametrize("name", names("bad-text"))
def test_the_c_validator_refuses(name, verdicts):
    assert verdicts[name]["ok"] is False
    assert verdicts[name]["path"] == PATHS[name]


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_refusal_is_a_whole_sentence_without_secrets(name, verdicts):
    verdict = verdicts[name]
    assert verdict["found"] and verdict["expected"]
    told = verdict["path"] + verdict["found"] + verdict["expected"]
    assert told.isprintable()
    assert not any(secret in told for secret in SECRETS)


def test_one_card_is_refused_in_words():
    result = run_check("bad/memory-mb-string.json")
    assert result.returncode == 65
    assert result.stdout == b""
    assert (b'$.resource_limits.memory_mb: found the string "4G", '
            b"expected an integer from 16 to 16777216 (MiB)") in result.stderr


def test_the_schema_has_every_key_and_default_of_the_validator():
    """A key or a default that is added in one place only is found here."""
    result = run_check("bad/unknown-key.json")
    listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
    assert set(listed) == set(SCHEMA["properties"]) - {"$schema"}
    result = run_check("bad/unknown-limit.json")
    listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
    limits = SCHEMA["properties"]["resource_limits"]["properties"]
    assert set(listed) == set(limits)
    wanted = {"memory_mb": 4096, "swap_mb": 0, "cpu_shares": 1024, "max_processes": 512,
              "max_open_files": 1024}
    assert {name: limit["default"] for name, limit in limits.items() if "default" in limit} == wanted


@pytest.mark.parametrize("card", sorted((POLICY / "cards").glob("*.json")), ids=lambda p: p.name)
def test_the_shipped_cards_are_good(card):
    result = run_check(card)
    assert result.returncode == 0, result.stderr.decode()
    VALIDATOR.validate(json.loads(card.read_text()))
    document = json.loads(card.read_text())
    assert "command" in document or (POLICY / "agents" / f"{document['agent']}.json").exists()
