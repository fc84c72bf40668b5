"""The card's two validators, the C one (asked through `cagectl check`) and the JSON Schema, agree.

tests/integration/cards has
  good/      cards that both accept
  bad/       cards that both refuse
  bad-text/  what only the C validator refuses: text that is not strict JSON (a parser in front of
             the schema accepts a key twice, or never shows the schema a NUL), sizes in bytes,
             integers with a fraction of zero, the inside of IP addresses
and paths.json says for each bad one at which JSON path the fault has to be told."""

import json
from pathlib import Path

import pytest

from harness.paths import CAGECTL, POLICY
from harness.validators import Validators

CARDS = Validators(Path(__file__).parent / "cards", POLICY / "card.schema.json", CAGECTL, "check")
SCHEMA = CARDS.schema
# Cards that hold a secret, or what a user may take for the place of one, have it by this name.
SECRETS = ("hidden-value", "secret", "not-a-real-key", "p@ss")


def test_the_schema_is_a_schema():
    CARDS.assert_schema()


def test_there_are_many_cards_and_each_bad_one_has_its_path():
    CARDS.assert_many(good=25, bad=70)


@pytest.mark.parametrize("name", CARDS.names("good"))
def test_both_accept(name):
    assert CARDS.verdicts[name] == {"card": name, "ok": True}
    CARDS.by_schema.validate(CARDS.read(name))


@pytest.mark.parametrize("name", CARDS.names("bad"))
def test_both_refuse(name):
    CARDS.assert_both_refuse(name)


@pytest.mark.parametrize("name", CARDS.names("bad-text"))
def test_the_c_validator_refuses(name):
    CARDS.assert_c_refuses(name)


@pytest.mark.parametrize("name", sorted(CARDS.paths))
def test_a_refusal_is_a_whole_sentence_without_secrets(name):
    told = CARDS.told(name)
    assert not any(secret in told for secret in SECRETS)


def test_one_card_is_refused_in_words():
    result = CARDS.run("bad/memory-mb-string.json")
    assert result.returncode == 65
    assert result.stdout == b""
    assert (b'$.resource_limits.memory_mb: found the string "4G", '
            b"expected an integer from 16 to 16777216 (MiB)") in result.stderr


def test_the_schema_has_every_key_and_default_of_the_validator():
    """A key or a default that is added in one place only is found here."""
    result = CARDS.run("bad/unknown-key.json")
    listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
    assert set(listed) == set(SCHEMA["properties"]) - {"$schema"}
    result = CARDS.run("bad/unknown-limit.json")
    listed = result.stderr.decode().split("expected one of ")[1].strip().split(", ")
    limits = SCHEMA["properties"]["resource_limits"]["properties"]
    assert set(listed) == set(limits)
    wanted = {"memory_mb": 4096, "swap_mb": 0, "cpu_shares": 1024, "max_processes": 512,
              "max_open_files": 1024}
    assert {name: limit["default"] for name, limit in limits.items() if "default" in limit} == wanted


@pytest.mark.parametrize("card", sorted((POLICY / "cards").glob("*.json")), ids=lambda p: p.name)
def test_the_shipped_cards_are_good(card):
    result = CARDS.run(card)
    assert result.returncode == 0, result.stderr.decode()
    CARDS.by_schema.validate(json.loads(card.read_text()))
    document = json.loads(card.read_text())
    assert "command" in document or (POLICY / "agents" / f"{document['agent']}.json").exists()
