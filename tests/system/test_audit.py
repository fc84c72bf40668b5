"""What gates recorded, from a real journal, for owners who have no right to read it."""

import json
import re

import pytest

REFUSED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a07"
ASK = "for host in {}; do curl -s -o /dev/null http://$host.example/; done"


def asked(caged, *hosts, agent_id, user="alice"):
    """Runs an agent that asks for these hosts and is refused."""
    caged.run(ASK.format(" ".join(hosts)), agent_id=agent_id, user=user,
              allowed_hosts=["allowed.example"])


def hosts(result):
    return re.findall(r"(\S+)\.example:80 ", result.text)


def test_the_past_is_there_whoever_saw_it(fast, fast_caged):
    assert fast.run("journalctl -n 1 --quiet", user="alice", check=False).text == ""
    asked(fast_caged, "one", "two", agent_id="first")
    asked(fast_caged, "three", agent_id="second")
    fast.systemctl("restart", "cagedd.service")
    asked(fast_caged, "four", agent_id="first")
    shown = fast_caged.cagectl("audit")
    assert hosts(shown) == ["one", "two", "three", "four"] and shown.errors == ""
    assert hosts(fast_caged.cagectl("audit", "first")) == ["one", "two", "four"]
    assert hosts(fast_caged.cagectl("audit", "-n", "2")) == ["three", "four"]
    assert hosts(fast_caged.cagectl("audit", "-S", "-1h", "-n", "3", "first")) == \
        ["one", "two", "four"]
    assert fast_caged.cagectl("audit", "--since", "tomorrow").text == ""
    records = [json.loads(line) for line in fast_caged.cagectl("audit", "-j", "first").lines]
    assert [(r["record"], r["request"], r["code"], r["count"]) for r in records] == \
        [(1, 1, "host-not-allowed", 1), (2, 2, "host-not-allowed", 1), (1, 1, "host-not-allowed", 1)]
    wrong = fast_caged.cagectl("audit", "--since", "gaga", check=False)
    assert wrong.status == 64 and "Failed to parse timestamp: gaga" in wrong.errors


def test_a_request_and_its_end_are_there_and_not_among_the_denied(fast, fast_caged):
    fast.run("install -d /srv/web && echo hello > /srv/web/index.html")
    web = fast.start_command("cd /srv/web && exec python3 -m http.server --bind 127.0.0.1 8080",
                             timeout=200)
    fast.until("curl -sf http://127.0.0.1:8080/")
    fast_caged.run("curl -s --noproxy '' http://127.0.0.1:8080/; curl -s http://bad.example/",
                   agent_id="both", allowed_hosts=["127.0.0.1:8080"])
    web.signal()
    shown = fast_caged.cagectl("audit", "both").lines
    assert [line.split()[3] for line in shown] == ["allowed", "ended", "refused"]
    assert "127.0.0.1:8080 by 127.0.0.1:8080" in shown[0] and "closed" in shown[1]
    assert hosts(fast_caged.cagectl("audit", "--denied", "both")) == ["bad"]
    end = json.loads(fast_caged.cagectl("audit", "-j", "both").lines[1])
    assert end["kind"] == "network_ended" and end["bytes_down"] > 0 and end["duration_usec"] > 0


def test_what_was_held_says_so_once(fast_caged):
    path = fast_caged.write_card(fast_caged.card(ASK.format("one"), agent_id="asks",
                                                 allowed_hosts=["allowed.example"]))
    fast_caged.cagectl("run", "--ask=1", path)
    shown = fast_caged.cagectl("audit", "asks").lines
    assert [line.split()[3:] for line in shown] == \
        [["held", "GET", "one.example:80"], ["refused", "GET", "one.example:80", "ask-timeout"]]


def test_the_past_goes_over_into_what_comes(fast, fast_caged):
    asked(fast_caged, "one", "two", agent_id="follow")
    follower = fast_caged.guest.start_command(
        "exec cagectl audit -f follow > /home/alice/shown 2>&1", user="alice", timeout=200)
    fast.until("grep -qs two.example /home/alice/shown", timeout=60)
    asked(fast_caged, "three", "four", agent_id="follow")
    fast.until("grep -qs four.example /home/alice/shown", timeout=60)
    follower.signal()
    follower.wait(check=False)
    shown = fast.read("/home/alice/shown").decode()
    assert re.findall(r"(\S+)\.example:80 ", shown) == ["one", "two", "three", "four"]
    assert len(shown.splitlines()) == 4, shown


def test_others_see_nothing_of_it(fast, fast_caged):
    asked(fast_caged, "of-alice", agent_id="mine")
    asked(fast_caged, "of-bob", agent_id="mine", user="bob")
    assert hosts(fast_caged.cagectl("audit")) == ["of-alice"]
    assert hosts(fast_caged.cagectl("audit", "mine", user="bob")) == ["of-bob"]
    for words in (["-u", "alice"], ["-u", "alice", "mine"], ["-u", "root"]):
        refused = fast_caged.cagectl("audit", *words, user="bob", check=False)
        assert refused.status != 0 and refused.text == "", words
    refused = fast_caged.cagectl("audit", user="carol", check=False)
    assert (refused.status, refused.text) == (77, "")
    assert hosts(fast.run("cagectl audit")) == ["of-alice", "of-bob"]
    assert hosts(fast.run("cagectl audit -u bob mine")) == ["of-bob"]
    never = fast_caged.cagectl("audit", "never-was", check=False)
    assert never.status == 67 and "you have no agent 'never-was'" in never.errors


@pytest.mark.parametrize("identifier", ["cagedd", "caged-agent"])
def test_entries_that_users_forge_are_not_shown(fast, fast_caged, identifier):
    asked(fast_caged, "true", agent_id="forged")
    invocation = fast_caged.inspect("forged")["agent"]["invocation_id"]
    uid = fast.output("id -u alice")
    fields = ["MESSAGE=forged", f"SYSLOG_IDENTIFIER={identifier}", f"MESSAGE_ID={REFUSED}",
              "CAGED_AGENT=forged", f"CAGED_OWNER_UID={uid}", f"CAGED_INVOCATION_ID={invocation}",
              "CAGED_RECORD=2", "CAGED_REQUEST=2", "CAGED_TIME_USEC=1", "CAGED_VERDICT=refused",
              "CAGED_METHOD=GET", "CAGED_HOST=forged.example", "CAGED_PORT=80", "CAGED_ADDRESS=",
              "CAGED_RULE=", "CAGED_CODE=host-not-allowed", "CAGED_COUNT=1", "_UID=0",
              "_TRANSPORT=journal"]
    for user in ("bob", "alice", "carol"):
        fast.run(["logger", "--journald"], user=user, data="\n".join(fields).encode() + b"\n")
    assert len(fast.journal("MESSAGE=forged")) == 3, "the journal has taken them"
    for words in ([], ["forged"], ["--denied", "forged"], ["-S", "-1h"]):
        shown = fast_caged.cagectl("audit", *words)
        assert hosts(shown) == ["true"] and shown.errors == ""
    # Nor is what an agent prints, which the daemon itself writes to the journal.
    fast_caged.run("printf '%s\\n' " + " ".join(f"'{field}'" for field in fields),
                   agent_id="printing", allowed_hosts=["x.example"])
    assert hosts(fast_caged.cagectl("audit")) == ["true"]
