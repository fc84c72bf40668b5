"""Past output, from a real journal, for owners who have no right to read it."""

import json
import re
import shlex

# A call to History whose pipe nobody reads, or many of them; runs in the guest as some user.
CALLER = r"""
import array, contextlib, json, os, socket, sys
def call(parameters):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("/run/caged/caged.sock")
    reader, writer = os.pipe()
    message = json.dumps({"method": "io.caged.History", "parameters": {"output_fd": 0, **parameters}})
    with contextlib.suppress(BrokenPipeError):  # one too many: refused already, the answer is there
        connection.sendmsg([message.encode() + b"\0"],
                           [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))])
    os.close(writer)
    return connection, reader
def reply(connection):
    data = b""
    while not data.endswith(b"\0"):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError
        data += piece
    return json.loads(data[:-1])
def read(reader):
    with open(reader, "rb") as file:
        return file.read()
"""


def script(*words):
    return "exec python3 -c " + shlex.quote("\n".join(words))


def numbers(first, last):
    return f"seq -f '%06.0f' {first} {last}"


def found(result):
    return [int(line) for line in result.lines]


def ended(caged, agent_id, **options):
    caged.cagectl("wait", agent_id, check=False, timeout=200, **options)
    return agent_id


def as_python(guest, user, code, **options):
    return guest.run(["python3", "-c", CALLER + code], user=user, **options)


def journalctls(guest):
    """Those that History started, besides what tests run themselves."""
    return guest.run("grep -lazE '^--output$' /proc/[0-9]*/cmdline || true").lines


def test_what_left_the_daemons_memory_comes_from_the_journal_once_and_in_order(fast, fast_caged):
    assert fast.run("journalctl -n 1 --quiet", user="alice", check=False).text == ""
    agent = ended(fast_caged, fast_caged.spawn(numbers(1, 200000)))
    shown = fast_caged.cagectl("logs", agent, timeout=200)
    assert found(shown) == list(range(1, 200001)) and shown.errors == ""
    shown = fast_caged.cagectl("logs", "-n", "150000", agent, timeout=200)
    assert found(shown) == list(range(50001, 200001)) and shown.errors == ""
    assert found(fast_caged.cagectl("logs", "-n", "3", agent)) == [199998, 199999, 200000]


def test_a_follower_of_a_flood_misses_nothing(fast_caged):
    """It begins when much has left the daemon's memory already, and reads slowly at first."""
    agent = fast_caged.spawn(numbers(1, 150000) + f"; sleep 1; {numbers(150001, 200000)}")
    follower = "cagectl logs -f " + agent + " | (head -c 70000; sleep 3; cat)"
    shown = fast_caged.guest.run(follower, user="alice", timeout=250)
    assert found(shown) == list(range(1, 200001)) and shown.errors == ""


def test_the_past_outlives_the_daemon_that_saw_it(fast, fast_caged):
    first = fast_caged.card(numbers(1, 5), agent_id="again")
    path = fast_caged.write_card(first)
    fast_caged.cagectl("run", path)
    fast_caged.write_card({**first, "command": ["/bin/sh", "-c", numbers(6, 9)]})
    fast_caged.cagectl("run", path)
    fast.systemctl("restart", "cagedd.service")
    assert fast_caged.cagectl("list", "-j", "--all").json() == []
    assert found(fast_caged.cagectl("logs", "again")) == [6, 7, 8, 9]
    assert found(fast_caged.cagectl("logs", "-f", "-n", "2", "again")) == [8, 9]
    assert found(fast_caged.cagectl("logs", "-S", "-1h", "again")) == list(range(1, 10))
    assert found(fast_caged.cagectl("logs", "-S", "-1h", "-n", "5", "again")) == [5, 6, 7, 8, 9]


def test_a_daemon_that_is_nice_shows_the_past_too(fast, fast_caged):
    fast.write("/run/systemd/system/cagedd.service.d/nice.conf", "[Service]\nNice=15\n")
    fast.systemctl("daemon-reload")
    fast.systemctl("restart", "cagedd.service")
    fast_caged.cagectl("run", fast_caged.write_card(fast_caged.card(numbers(1, 3), agent_id="nice")))
    assert found(fast_caged.cagectl("logs", "-S", "-1h", "nice")) == [1, 2, 3]


def test_times_cut_the_past_across_runs(fast, fast_caged):
    card = fast_caged.card(numbers(1, 3), agent_id="timed")
    path = fast_caged.write_card(card)
    fast_caged.cagectl("run", path)
    middle = fast.output("date +%s.%N; sleep 1")
    fast_caged.write_card({**card, "command": ["/bin/sh", "-c", numbers(4, 6)]})
    fast_caged.cagectl("run", path)
    assert found(fast_caged.cagectl("logs", "--since", "@" + middle[:-3], "timed")) == [4, 5, 6]
    assert found(fast_caged.cagectl("logs", "--until", "@" + middle[:-3], "timed")) == [1, 2, 3]
    assert found(fast_caged.cagectl("logs", "-U", "@" + middle[:-3], "-n", "1", "timed")) == [3]
    both = fast_caged.cagectl("logs", "-S", "2020-01-01 Europe/Berlin", "-U", "now", "timed")
    assert found(both) == [1, 2, 3, 4, 5, 6]
    nothing = fast_caged.cagectl("logs", "--since", "tomorrow", "timed")
    assert (nothing.text, nothing.errors) == ("", "")


def test_history_goes_over_into_what_is_live(fast, fast_caged):
    card = fast_caged.card(numbers(1, 3), agent_id="both")
    path = fast_caged.write_card(card)
    fast_caged.cagectl("run", path)
    fast_caged.write_card({**card, "command": [
        "/bin/sh", "-c", f"{numbers(4, 60000)}; until [ -e go ]; do sleep 0.1; done; "
                         f"{numbers(60001, 60003)}"]})
    fast_caged.cagectl("spawn", path)
    follower = fast_caged.guest.start_command(
        "cagectl logs -f --since=-1h both | tee /home/alice/shown", user="alice", timeout=120)
    fast.until("grep -qs 060000 /home/alice/shown", timeout=60)
    fast.run(f"touch {card['workspace']}/go")
    shown = follower.wait()
    assert found(shown) == list(range(1, 60004)) and shown.errors == ""


def test_times_that_are_none_are_refused_with_what_they_are(fast_caged):
    agent = ended(fast_caged, fast_caged.spawn("echo x"))
    for words, why in (
            (["--since", "gaga"], "Failed to parse timestamp: gaga"),
            (["--until", "25:61"], "Failed to parse timestamp: 25:61"),
            (["--since", "tomorrow", "--until", "yesterday"], "--since= must be before --until=")):
        result = fast_caged.cagectl("logs", *words, agent, check=False)
        assert (result.status, result.text) == (64, "") and why in result.errors
        assert "systemd.time(7)" in result.errors


def test_others_see_nothing_of_it(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn("echo secret", agent_id="mine"))
    fast_caged.cagectl("logs", "--since=-1h", agent)
    for words in (["logs", agent], ["logs", "--since=-1h", agent], ["logs", "-n", "1", agent],
                  ["logs", "--since=-1h", "-u", "alice", agent], ["logs", "-u", "root", agent]):
        result = fast_caged.cagectl(*words, user="bob", check=False)
        assert (result.status, result.text) == (67, ""), words
        assert "you have no agent 'mine'" in result.errors
    never = fast_caged.cagectl("logs", "--since=-1h", "never-was", check=False)
    assert never.status == 67 and "you have no agent 'never-was'" in never.errors
    ended(fast_caged, fast_caged.spawn("echo of bob", user="bob", agent_id="mine"), user="bob")
    assert fast_caged.cagectl("logs", "--since=-1h", "mine", user="bob").text == "of bob\n"
    assert fast_caged.cagectl("logs", "--since=-1h", "mine").text == "secret\n"
    assert fast.run("cagectl logs --since=-1h -u bob mine").text == "of bob\n"
    refused = fast_caged.cagectl("logs", "mine", user="carol", check=False)
    assert (refused.status, refused.text) == (77, "")


def test_entries_that_users_forge_are_not_shown(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn("echo true words"))
    invocation = fast_caged.inspect(agent)["agent"]["invocation_id"]
    uid = fast.output("id -u alice")
    fields = ["MESSAGE=forged", "SYSLOG_IDENTIFIER=caged-agent", f"CAGED_AGENT={agent}",
              f"CAGED_OWNER_UID={uid}", f"CAGED_INVOCATION_ID={invocation}", "CAGED_SEQUENCE=2",
              "CAGED_STREAM=stdout", "CAGED_TIME_USEC=1", "_UID=0", "_TRANSPORT=journal"]
    for user in ("bob", "alice", "carol"):
        fast.run(["logger", "--journald"], user=user, data="\n".join(fields).encode() + b"\n")
        fast.run(["logger", "-t", "caged-agent", "forged"], user=user)
    assert len(fast.journal("MESSAGE=forged")) == 6, "the journal has taken them"
    fast.systemctl("restart", "cagedd.service")
    for words in (["--since=-1h"], []):
        shown = fast_caged.cagectl("logs", *words, agent)
        assert (shown.text, shown.errors) == ("true words\n", "")


def test_bytes_streams_and_pieces_are_as_they_were(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn(script(
        "import sys", "out, err = sys.stdout.buffer, sys.stderr.buffer",
        "out.write(bytes(range(256)) * 3 + b'\\n\\n'); out.flush()",
        "err.write(b'wrong \\xff\\n'); err.flush()",
        "out.write(b'y' * 200000 + b'\\nlast without end')")))
    live = fast_caged.cagectl("logs", agent)
    as_json = fast_caged.cagectl("logs", "-j", agent)
    short = fast_caged.cagectl("logs", "-o", "short", agent)
    assert live.stdout == bytes(range(256)) * 3 + b"\n\n" + b"y" * 200000 + b"\nlast without end"
    assert live.stderr == b"wrong \xff\n"
    fast.systemctl("restart", "cagedd.service")
    past = fast_caged.cagectl("logs", agent)
    assert (past.stdout, past.stderr) == (live.stdout, live.stderr)
    assert fast_caged.cagectl("logs", "-o", "json", agent).stdout == as_json.stdout
    assert fast_caged.cagectl("logs", "-o", "short", agent).stdout == short.stdout
    assert re.search(rb"^\d{4}-\d\d-\d\d [\d:.]+ stderr: wrong \xff$", short.stdout, re.M)
    lines = [json.loads(line) for line in as_json.lines]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))


def test_clients_that_never_read_are_few_and_end_with_their_connection(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn(numbers(1, 30000)))
    hostile = fast.start_command(["python3", "-c", CALLER + f"""
import select, time
calls = dict(call({{"agent_id": "{agent}"}}) for _ in range(100))
waiting = set(calls)
while len(waiting) > 8:
    for connection in select.select(list(waiting), [], [])[0]:
        assert reply(connection)["error"] == "io.caged.Busy"
        waiting.remove(connection)
with open("/home/alice/said", "w") as file:
    file.write("92 were told to wait")
time.sleep(600)
"""], user="alice", timeout=700)
    fast.until("[ -s /home/alice/said ]", timeout=120)
    fast.until("[ $(grep -lazE '^--output$' /proc/[0-9]*/cmdline | wc -l) = 8 ]")
    running = journalctls(fast)
    for path in running:
        status = fast.read(path.replace("cmdline", "status")).decode()
        for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert re.search(rf"^{name}:\t0+$", status, re.M), status
        assert "NoNewPrivs:\t1" in status and not re.search(r"^Groups:\t.*\d", status, re.M)
        assert int(re.search(r"^Uid:\t(\d+)", status, re.M)[1]) >= 0x60000000
    # Neither the daemon nor another user is held up.
    assert fast_caged.run("echo well", user="bob").text == "well\n"
    fast_caged.spawn("echo bob", user="bob", agent_id="other")
    ended(fast_caged, "other", user="bob")
    assert fast_caged.cagectl("logs", "--since=-1h", "other", user="bob").text == "bob\n"
    fast.run("pkill -KILL -u alice python3")
    hostile.wait()
    fast.until("! grep -qlazE '^--output$' /proc/[0-9]*/cmdline", what="no journalctl is left")
    assert len(found(fast_caged.cagectl("logs", agent))) == 30000


def test_no_journalctl_outlives_a_killed_daemon(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn(numbers(1, 30000)))
    fast.start_command(["python3", "-c", CALLER + f"""
import time
kept = call({{"agent_id": "{agent}"}})
time.sleep(600)
"""], user="alice", timeout=700)
    fast.until("grep -qlazE '^--output$' /proc/[0-9]*/cmdline", what="journalctl runs")
    fast.run("kill -KILL $(systemctl show -P MainPID cagedd.service)")
    fast.until("! grep -qlazE '^--output$' /proc/[0-9]*/cmdline", what="no journalctl is left")


NO_SENSE = [
    ({"agent_id": "x", "since": "now; reboot"}, "InvalidParameter since"),
    ({"agent_id": "x", "since": "a" * 200}, "InvalidParameter since"),
    ({"agent_id": "x", "until": ""}, "InvalidParameter until"),
    ({"agent_id": "x", "lines": 1 << 40}, "InvalidParameter lines"),
    ({"agent_id": "x", "lines": -1}, "InvalidParameter lines"),
    ({"agent_id": "x", "lines": 1, "since": "today"}, "InvalidParameter lines"),
    ({"agent_id": "x", "invocation_id": "+"}, "InvalidParameter invocation_id"),
    ({"agent_id": "x", "output_fd": 1}, "InvalidParameter output_fd"),
    ({"agent_id": "x + _UID=0"}, "NoSuchAgent x + _UID=0"),
    ({"agent_id": "x", "owner_uid": 0}, "NoSuchAgent x"),
]


def test_what_makes_no_sense_is_refused(fast):
    calls = [parameters for parameters, _ in NO_SENSE]
    said = as_python(fast, "alice", f"""
for parameters in {calls!r}:
    print(json.dumps(reply(call(parameters)[0])))
""")
    for line, (_, error) in zip(said.lines, NO_SENSE, strict=True):
        name, value = error.split(" ", 1)
        assert json.loads(line)["error"].split(".")[-1] == name
        assert list(json.loads(line)["parameters"].values()) == [value]


def test_output_goes_into_pipes_alone(fast):
    said = as_python(fast, "alice", """
pipe = os.pipe
for made in (os.open("/home/alice/file", os.O_RDWR | os.O_CREAT), os.open("/dev/null", os.O_WRONLY),
             socket.socketpair()[0].detach(), pipe()[0], os.open("/", os.O_PATH)):
    os.pipe = lambda: (0, made)
    print(json.dumps(reply(call({"agent_id": "x"})[0])))
""")
    assert [json.loads(line) for line in said.lines] == 5 * [
        {"error": "org.varlink.service.InvalidParameter", "parameters": {"parameter": "output_fd"}}]


def test_a_journald_that_hangs_is_an_error_and_not_an_end(fast, fast_caged):
    agent = ended(fast_caged, fast_caged.spawn("echo x"))
    fast.run("systemctl kill --signal=STOP systemd-journald")
    try:
        result = fast_caged.cagectl("logs", "--since=-1h", agent, check=False, timeout=90)
        assert result.status == 74 and "journald did not take in" in result.errors
        assert fast_caged.cagectl("logs", agent).text == "x\n"
    finally:
        fast.run("systemctl kill --signal=CONT systemd-journald")
    assert fast_caged.cagectl("logs", "--since=-1h", agent).text == "x\n"


def test_who_may_see_an_agent_may_read_its_past_while_the_daemon_knows_it(fast, fast_caged):
    """By the rule of its owner; of an owner whose agents are forgotten there is none to ask."""
    agent = ended(fast_caged, fast_caged.spawn("echo words of alice"))
    as_bob = {"user": "bob", "check": False}
    for options in ([], ["--owner", "alice"]):
        said = fast_caged.cagectl("logs", "--since", "yesterday", *options, agent, **as_bob)
        assert "words" not in said.text and f"no agent '{agent}'" in said.errors, said

    rule = {"groups": ["caged"], "access": [{"users": ["bob"], "may": ["see"]}]}
    fast.write("/etc/caged/policy.json", json.dumps({"rules": [rule]}))
    fast.systemctl("restart", "cagedd.service")
    agent = ended(fast_caged, fast_caged.spawn("echo words of alice"))
    for options in ([], ["--owner", "alice"]):
        said = fast_caged.cagectl("logs", "--since", "yesterday", *options, agent, **as_bob)
        assert said.lines == ["words of alice"], said
        assert fast_caged.cagectl("audit", *options, agent, **as_bob).status == 0
    said = fast_caged.cagectl("audit", "--owner", "alice", **as_bob)
    assert "only root" in said.errors, said

    fast.systemctl("restart", "cagedd.service")
    said = fast_caged.cagectl("logs", "--since", "yesterday", "--owner", "alice", agent, **as_bob)
    assert "words" not in said.text and f"no agent '{agent}'" in said.errors, said
    said = fast_caged.cagectl("logs", "--since", "yesterday", agent)
    assert said.lines == ["words of alice"], said
