"""Output: every byte arrives, whoever reads it and however slowly."""

import hashlib
import json
import time

import pytest

from harness.daemon import JOURNAL, line_bytes

# Every byte value; lines that end and one that does not.
BINARY = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 3)"


def python(code):
    return f"exec python3 -c '{code}'"


def test_bytes_of_all_values_come_through(a):
    assert a.run(python(BINARY)).stdout == bytes(range(256)) * 3


def test_a_last_line_without_newline_gets_none(a):
    assert a.run("printf 'one\\ntwo'").stdout == b"one\ntwo"


def test_a_lone_newline_and_no_output_at_all_come_as_they_are(a):
    assert a.run("echo").stdout == b"\n"
    assert a.run("true").stdout == b""


def test_a_line_far_over_the_greatest_comes_whole(a):
    result = a.run(python('print("x" * 1000000 + "end")'))
    assert result.stdout == b"x" * 1000000 + b"end\n"


def test_a_hundred_thousand_lines_of_a_run_are_all_there(a):
    result = a.run(python('[print(f"line {i} " + "." * (i % 80)) for i in range(100000)]'))
    expected = "".join(f"line {i} " + "." * (i % 80) + "\n" for i in range(100000)).encode()
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(expected).digest()


def test_a_slow_reader_of_a_run_loses_nothing(a):
    """The agent waits for its foreground client: 8 MiB are more than any buffer on the way."""
    process, _ = a.start_run(python('[print("y" * 1023) for i in range(8192)]'))
    first = process.stdout.read(1000)
    time.sleep(1.5)
    rest = process.stdout.read()
    process.communicate(timeout=30)
    assert (len(first) + len(rest), process.returncode) == (8192 * 1024, 0)


def test_a_late_follower_gets_what_the_ring_holds_and_the_count_of_what_it_lost(a):
    agent_id = a.spawn(python('[print(f"{i:06d}" + "z" * 93) for i in range(40000)]'))
    assert a.wait(agent_id)["exit_status"] == 0
    lost, lines = 0, []
    with a.connect() as connection:
        for reply in connection.replies("Logs", {"agent_id": agent_id}):
            lost += reply["lost"]
            lines += reply["lines"]
    assert lost > 0 and lost + len(lines) == 40000
    assert [line["sequence"] for line in lines] == list(range(lost + 1, 40001))
    assert lines[-1]["text"].startswith("039999")
    shown = a.cagectl("logs", agent_id)
    in_memory = b"".join(line_bytes(line) for line in lines)
    assert shown.stdout.endswith(in_memory) and (JOURNAL.exists() or shown.stdout == in_memory)
    if not JOURNAL.exists():
        assert f"{lost} lines lost here" in shown.errors and "no journal" in shown.errors


def test_a_follower_of_a_quick_agent_that_cannot_keep_up_is_told_what_it_lost(a):
    """It never holds up the agent, which has ended before the follower reads on."""
    agent_id = a.spawn(python('import time; print("go", flush=True); time.sleep(0.5); '
                              '[print("w" * 1000) for i in range(30000)]'))
    total = lost = 0
    with a.connect() as connection:
        replies = connection.replies("Logs", {"agent_id": agent_id, "follow": True})
        total += len(next(replies)["lines"])
        assert a.wait(agent_id)["exit_status"] == 0
        for reply in replies:
            total += len(reply["lines"])
            lost += reply["lost"]
    assert lost > 0 and total + lost == 30001


def test_logs_of_the_last_lines(a):
    agent_id = a.spawn("for i in 1 2 3 4 5; do echo $i; done")
    a.wait(agent_id)
    assert a.call("Logs", agent_id=agent_id, lines=2)["lines"][0]["text"] == "4"
    assert len(a.call("Logs", agent_id=agent_id, lines=0)["lines"]) == 0


def test_replies_leave_no_doubt_about_which_lines_they_are(a):
    agent_id = a.spawn(python('[print(f"{i:06d}" + "z" * 93) for i in range(40000)]'))
    run = a.wait(agent_id)["invocation_id"]
    for lines, start in ((None, 1), (30000, 10001), (5, 39996), (0, 40001)):
        parameters = {"agent_id": agent_id, **({} if lines is None else {"lines": lines})}
        following = start
        with a.connect() as connection:
            for reply in connection.replies("Logs", parameters):
                assert reply["invocation_id"] == run
                following += reply["lost"]
                assert [line["sequence"] for line in reply["lines"]] == \
                    list(range(following, following + len(reply["lines"])))
                following += len(reply["lines"])
                assert reply["next_sequence"] == following
        assert following == 40001


def test_a_follower_is_told_at_once_where_it_begins(a):
    agent_id = a.spawn("echo one; echo two; exec sleep 100")
    a.until_output(agent_id, "two")
    with a.connect() as connection:
        first = next(connection.replies("Logs", {"agent_id": agent_id, "follow": True, "lines": 0}))
    assert (first["lines"], first["lost"], first["next_sequence"]) == ([], 0, 3)


@pytest.mark.skipif(JOURNAL.exists(), reason="this machine has a journal: tests/system tries it")
def test_without_a_journal_there_is_what_the_daemon_has_in_memory(a):
    agent_id = a.spawn("echo x")
    a.wait(agent_id)
    assert a.cagectl("logs", agent_id).stdout == b"x\n"
    for words in (["--since", "-1h"], ["--until", "now"], ["-f", "--since", "-1h"]):
        shown = a.cagectl("logs", *words, agent_id)
        assert (shown.status, shown.stdout) == (78, b"") and "no journal" in shown.errors
    assert a.cagectl("logs", "never-was").status == 67


def test_logs_follow_ends_with_the_agent(a):
    agent_id = a.spawn("echo first; sleep 0.7; echo last")
    shown = a.cagectl("logs", "-f", agent_id)
    assert (shown.stdout, shown.status) == (b"first\nlast\n", 0)


def test_the_two_streams_are_told_apart(a):
    agent_id = a.spawn("echo out; echo err >&2; printf tail")
    a.wait(agent_id)
    assert a.output(agent_id) == (b"out\ntail", b"err\n")


def test_bytes_that_are_not_text_come_in_base64(a):
    agent_id = a.spawn("printf 'a\\377b\\nplain\\n'")
    a.wait(agent_id)
    first, second = a.call("Logs", agent_id=agent_id)["lines"]
    assert "text" not in first and line_bytes(first) == b"a\xffb\n"
    assert "data" not in second and second["text"] == "plain"


def test_control_characters_and_nul_survive_the_json(a):
    agent_id = a.spawn("printf 'x\\000y\\033[31m\\t\\r\\n'")
    a.wait(agent_id)
    assert a.output(agent_id)[0] == b"x\0y\x1b[31m\t\r\n"


def test_output_of_what_the_agent_left_behind_is_not_waited_for(a):
    """A process that the agent left dies with the cage; the run does not hang on its pipe."""
    result = a.run("(sleep 600; echo never) & echo done", timeout=20)
    assert (result.stdout, result.status) == (b"done\n", 0)


def test_output_written_just_before_the_end_is_there(a):
    for _ in range(5):
        assert a.run("echo last words; kill -KILL $$").stdout == b"last words\n"


def test_output_goes_to_the_log_with_its_fields(a, daemon):
    agent_id = a.spawn("echo needle-in-the-log")
    a.wait(agent_id)
    lines = daemon.log_lines("needle-in-the-log")
    assert len(lines) == 1 and f"{agent_id}" in lines[0] and "stdout" in lines[0], lines


def test_cagectl_logs_as_json(a):
    agent_id = a.spawn("echo hi")
    a.wait(agent_id)
    line = json.loads(a.cagectl("logs", "-j", agent_id).stdout.splitlines()[0])
    assert "hi" in json.dumps(line)
