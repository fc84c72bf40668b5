"""Completion of cagectl for bash, as a shell of a user's has it: verbs, options, ids, hosts, files."""

import os
import subprocess

import pytest

from harness import paths

SCRIPT = paths.ROOT / "units" / "completion" / "cagectl.bash"
COMPLETE = """
source "$0"
COMP_WORDS=(cagectl "$@") COMP_CWORD=$#
_cagectl
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(a, base):
    """complete(words...) gives what the last of them, begun or empty, can become."""
    folder = a.user.folder(f"completion-{os.urandom(4).hex()}")
    for name in ("card.json", "text.txt"):
        (folder / name).write_text("{}")

    def ask(*words):
        done = subprocess.run(
            a.user.command("env", "-C", folder, f"PATH={paths.CAGECTL.parent}:/usr/bin:/bin",
                           f"CAGED_SOCKET={a.daemon.socket}", "bash", "-c", COMPLETE, SCRIPT, *words),
            capture_output=True, text=True, check=True)
        assert done.stderr == "", done
        return done.stdout.split()
    return ask


def words_of_help(*words):
    return subprocess.run([paths.CAGECTL, "help", *words], capture_output=True, text=True,
                          check=True).stdout


VERBS = [line.split()[0] for line in
         words_of_help().partition("Verbs:\n")[2].partition("\n\n")[0].splitlines()]


def test_every_verb_is_offered(complete):
    assert len(VERBS) > 20 and complete("") == VERBS
    assert complete("he") == ["help"] and complete("help", "") == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_of_a_verb_is_offered(complete, verb):
    below = words_of_help(verb).partition("Options:\n")[2]
    wanted = [word.strip(",").partition("[")[0] for line in below.splitlines()
              for word in line.split()[:2] if word.startswith("-")]
    assert "--help" in wanted and complete(verb, "-") == wanted


def test_ids_of_agents_are_offered_where_one_is_wanted(complete, agent):
    agent_id = agent()["agent_id"]
    for verb in ("inspect", "logs", "allow", "deny", "approve", "hosts", "suggest", "stop", "kill", "wait",
                 "events", "audit"):
        assert agent_id in complete(verb, ""), verb
    assert agent_id in complete("reload", "--id", "")


def test_hosts_of_an_agent_are_offered_to_deny(complete, agent):
    card = agent(allowed_hosts=["one.example", "two.example:22"])
    assert complete("deny", card["agent_id"], "") == ["one.example", "two.example:22"]


@pytest.mark.parametrize("verb", ["spawn", "run", "service", "reload", "check"])
def test_cards_are_files_of_json(complete, verb):
    assert complete(verb, "") == ["card.json"]
    assert complete(verb, "--", "") == ["card.json", "text.txt"]


@pytest.mark.parametrize("words, wanted", [
    ([""], ["check", "explain", "reload"]),
    (["--json", ""], ["check", "explain", "reload"]),
    (["e"], ["explain"]),
    (["check", ""], ["card.json"]),
    (["explain", ""], ["card.json"]),
    (["explain", "--policy", ""], ["card.json"]),
    (["explain", "--as", "roo"], ["root"]),
    (["explain", "--policy", "card.json", ""], ["card.json"]),
    (["reload", ""], []),
    (["check", "--a"], []), (["check", "--s"], []),
    (["explain", "--a"], ["--as"]), (["explain", "--q"], []),
    (["reload", "--p"], []), (["reload", "--q"], ["--quiet"]),
])
def test_policy_is_completed_by_what_it_is_to_do(complete, words, wanted):
    assert complete("policy", *words) == wanted
