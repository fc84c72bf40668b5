"""cagectl as far as it needs no cagedd: help, usage errors, check, what it says when no daemon can
be reached, and what it does with a daemon that talks nonsense."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from harness import paths

VERBS = ["spawn", "run", "list", "inspect", "logs", "stop", "kill", "wait", "events", "check",
         "version", "help"]
NOBODY = 65534


def cagectl(*words, socket_path="/nonexistent/caged.sock", stdin="", uid=0, **options):
    """Runs it to its end and returns (status, stdout, stderr)."""
    options = {"capture_output": True, **options}
    done = subprocess.run([paths.CAGECTL, *words], input=stdin, text=True, timeout=30, user=uid,
                          env={"CAGED_SOCKET": str(socket_path), "PATH": "/usr/bin"}, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def card(tmp_path):
    def write(name="card.json", text=None, **keys):
        path = tmp_path / name
        path.write_text(text if text is not None else json.dumps(
            {"agent_id": "cli", "workspace": str(tmp_path), **keys}))
        return str(path)
    return write


class FakeDaemon:
    """Answers each message with the next of the prepared byte strings, then closes."""

    def __init__(self, path, *replies):
        self.path = path
        self.calls = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.server.settimeout(20)
        self.replies = replies
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        """A client may call on several connections; what it sends along is closed."""
        with contextlib.ExitStack() as stack, self.server:
            buffers = {}
            for reply in self.replies:
                connection = self._receive(stack, buffers)
                if not connection:
                    return
                connection.sendall(reply)

    def _receive(self, stack, buffers):
        """Takes the next call, and returns the connection that it came by, None at the end."""
        while True:
            ready, _, _ = select.select([self.server, *buffers], [], [], 20)
            if self.server in ready:
                buffers[stack.enter_context(self.server.accept()[0])] = b""
                continue
            piece = ready[0].recv(65536) if ready else b""
            data = buffers.pop(ready[0], b"") + piece if ready else b""
            if piece:
                buffers[ready[0]] = data
            if not piece and not buffers:
                return None
            if data.endswith(b"\0"):
                self.calls.append(json.loads(data[:-1]))
                buffers[ready[0]] = b""
                return ready[0]

    def done(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.calls


@pytest.fixture
def answer(tmp_path):
    """Runs cagectl against a daemon with these answers; returns its result and the calls."""
    def run(words, *replies):
        encoded = [r if isinstance(r, bytes) else json.dumps(r).encode() + b"\0" for r in replies]
        path = tmp_path / "fake.sock"
        daemon = FakeDaemon(path, *encoded)
        result = cagectl(*words, socket_path=path)
        calls = daemon.done()
        path.unlink()
        return result, calls
    return run


def agent(**keys):
    return {"agent_id": "a", "owner_uid": 0, "agent": "opencode", "workspace": "/w",
            "state": "running", "spawned_usec": 1, **keys}


# -- help and usage --

def test_help_is_printed_without_arguments():
    status, out, err = cagectl()
    assert (status, err) == (0, "")
    for verb in VERBS:
        assert f"\n  {verb} " in out
    assert cagectl("help")[1] == out == cagectl("--help")[1] == cagectl("-h")[1]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_help(verb):
    status, out, err = cagectl("help", verb)
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: cagectl {verb}")
    assert cagectl(verb, "--help") == (0, out, "")


@pytest.mark.parametrize("words, why, hint", [
    (["frob"], "there is no verb 'frob'", "help"),
    (["--json", "list"], "options come after the verb, and '--json'", "help"),
    (["help", "frob"], "there is no verb 'frob'", "help"),
    (["list", "--frob"], "unknown option '--frob' for 'list'", "help list"),
    (["list", "-Z"], "unknown option '-Z' for 'list'", "help list"),
    (["list", "x"], "unexpected argument 'x'", "help list"),
    (["spawn"], "'spawn' needs a card", "help spawn"),
    (["spawn", "a", "b"], "unexpected argument 'b'", "help spawn"),
    (["spawn", "-jf", "card"], "cannot be combined", "help spawn"),
    (["inspect"], "'inspect' needs the id of an agent", "help inspect"),
    (["stop"], "'stop' needs either ids of agents or --all", "help stop"),
    (["stop", "--all", "x"], "'stop' needs either ids of agents or --all", "help stop"),
    (["stop", "-g"], "an argument is missing after '-g'", "help stop"),
    (["kill", "-s", "NOPE", "x"], "--signal wants a signal", "help kill"),
    (["logs", "-n", "x", "y"], "--lines wants a number of lines, not 'x'", "help logs"),
    (["logs", "-o", "long", "y"], "--output wants short, json or cat, not 'long'", "help logs"),
    (["logs", "-S", "", "y"], "--since wants a time as in systemd.time(7), not ''", "help logs"),
    (["logs", "-U", "a\nb", "y"], "--until wants a time as in systemd.time(7)", "help logs"),
    (["logs", "-f", "-U", "now", "y"], "cannot be combined with --until", "help logs"),
    (["logs", "-j", "-o", "cat", "y"], "cannot be combined with another form", "help logs"),
])
def test_wrong_usage_is_named_with_a_hint(words, why, hint):
    status, out, err = cagectl(*words)
    assert (status, out) == (64, "")
    assert err.startswith("cagectl: ") and why in err
    assert f"try 'cagectl {hint}'\n" in err


def test_what_is_said_cannot_control_the_terminal():
    status, _, err = cagectl("\x1b[2J\u202e")
    assert status == 64
    assert "\\x1b[2J\\xe2\\x80\\xae" in err and "\x1b" not in err


def test_a_terminal_must_be_one(card):
    status, _, err = cagectl("run", "-t", card())
    assert status == 64 and "standard input is not a terminal" in err


# -- check --

def test_check_good_cards(card):
    first, second = card("a.json"), card("b.json", ttl_seconds=5)
    assert cagectl("check", first, second) == (0, f"{first}: ok\n{second}: ok\n", "")
    assert cagectl("check", "-q", first) == (0, "", "")
    assert json.loads(cagectl("check", "-j", first)[1]) == {"card": first, "ok": True}


def test_check_reads_standard_input():
    text = json.dumps({"agent_id": "x", "workspace": "/w"})
    assert cagectl("check", "-", stdin=text) == (0, "standard input: ok\n", "")


def test_check_goes_on_after_a_bad_card(card):
    bad, good = card("bad.json", ttl_seconds="soon"), card("good.json")
    status, out, err = cagectl("check", bad, good)
    assert (status, out) == (65, f"{good}: ok\n")
    assert err == (f"cagectl: {bad}: $.ttl_seconds: found the string \"soon\", expected an integer "
                   "from 0 to 31622400 (seconds; 0 is no end)\n")


def test_check_prints_json(card):
    bad = card("bad.json", workspace="relative")
    status, out, err = cagectl("check", "--json", bad)
    line = json.loads(out)
    assert (status, err, line["ok"], line["card"]) == (65, "", False, bad)
    assert line["path"] == "$.workspace" and "relative" in line["found"] and line["expected"]


@pytest.mark.parametrize("text, path, found", [
    ("", "$", "the end of the text"),
    ("[]", "$", "an array"),
    ('{"agent_id":"a","agent_id":"a"}', "$.agent_id", "duplicate"),
    ('{"agent_id":"a","workspace":"/w","environment":{"A":"' + "x" * 70000 + '"}}', "$",
     "more than 65536 bytes"),
])
def test_check_tells_where_text_is_broken(card, text, path, found):
    name = card("broken.json", text)
    status, _, err = cagectl("check", name)
    assert status == 65
    assert err.startswith(f"cagectl: {name}: {path}: found ") and found in err


def test_check_names_files_that_cannot_be_read(tmp_path, card):
    status, _, err = cagectl("check", str(tmp_path / "none.json"))
    assert status == 66 and "none.json: No such file or directory" in err
    status, _, err = cagectl("check", str(tmp_path))
    assert status == 66 and "Is a directory" in err
    secret = card("secret.json")
    os.chmod(secret, 0o600)
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:-2]:
        os.chmod(parent, 0o755)
    status, _, err = cagectl("check", secret, uid=NOBODY)
    assert status == 66 and "Permission denied" in err


@pytest.mark.parametrize("words", [["check"], ["policy", "check"]])
def test_nobody_waits_for_who_may_write_into_a_fifo(tmp_path, card, words):
    """But a pipe that a shell made, for <(...), has who writes."""
    os.mkfifo(tmp_path / "fifo")
    status, out, err = cagectl(*words, str(tmp_path / "fifo"))
    assert (status, out) == (65, "")
    assert re.fullmatch(r'cagectl: \S+/fifo: (\$: )?found a FIFO, expected a regular file, or "-" '
                        'for standard input\n', err), err
    text = Path(card()).read_text() if words == ["check"] else '{"rules": []}'
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "w") as file:
        writer = threading.Timer(0.2, lambda: (file.write(text), file.close()))
        writer.start()
        status, _, err = cagectl(*words, f"/dev/fd/{reading}", pass_fds=[reading])
        writer.join()
    assert (status, "FIFO" in err) == (0, False), err


def test_output_that_cannot_be_written_is_an_error(card):
    with open("/dev/full", "w") as full:
        status, _, err = cagectl("check", card(), capture_output=False, stdout=full,
                                 stderr=subprocess.PIPE)
    assert status == 74 and "No space left on device" in err


def test_a_reader_that_goes_away_is_no_error(card):
    reading, writing = os.pipe()
    os.close(reading)
    status, _, err = cagectl("check", card(), capture_output=False, stdout=writing,
                             stderr=subprocess.PIPE)
    os.close(writing)
    assert (status, err) == (128 + signal.SIGPIPE, "")


# -- what a card names --

def test_files_of_a_card_are_opened_by_the_client(tmp_path, card):
    status, _, err = cagectl("spawn", card(workspace="/nonexistent/folder"))
    assert status == 66
    assert "$.workspace: cannot open /nonexistent/folder: No such file" in err
    status, _, err = cagectl("spawn", card(workspace="/etc/passwd"))
    assert status == 66 and "Not a directory" in err and "must be a folder" in err
    status, _, err = cagectl("run", card(api_key_file="/nonexistent/key"))
    assert status == 66 and "$.api_key_file: cannot open /nonexistent/key" in err
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    status, _, err = cagectl("spawn", card(api_key_file=str(fifo)))
    assert status == 66 and "not a regular file" in err


def test_a_bad_card_needs_no_daemon(card):
    status, _, err = cagectl("spawn", card(text="{}"))
    assert status == 65 and "$.agent_id: found nothing" in err


# -- no daemon --

@pytest.mark.parametrize("words", [["list"], ["inspect", "x"], ["logs", "x"], ["stop", "--all"],
                                   ["kill", "x"], ["wait", "x"], ["events"]])
def test_a_missing_socket_is_told_with_how_to_start_the_daemon(words):
    status, out, err = cagectl(*words)
    assert (status, out) == (69, "")
    assert "/nonexistent/caged.sock does not exist" in err
    assert "systemctl start cagedd.socket" in err


def test_spawn_without_a_daemon(card):
    assert cagectl("spawn", card())[0] == 69


def test_a_socket_that_nobody_listens_to_is_told(tmp_path):
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    status, _, err = cagectl("list", socket_path=path)
    assert status == 69 and "does not listen" in err


def test_a_socket_that_is_not_for_everybody_is_told_with_the_group(tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "closed.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        status, _, err = cagectl("list", socket_path=path, uid=NOBODY)
    assert status == 77
    assert "permission denied" in err and "usermod -aG caged" in err


def test_whose_session_began_before_the_group_was_given_is_told_so(base, people):
    path = base / "of-a-group.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o660)
        shutil.chown(path, group=people["group"])
        before = ["setpriv", f"--reuid={people['a'].uid}", f"--regid={people['a'].gid}", "--clear-groups"]
        told = [subprocess.run([*words, paths.CAGECTL, "list", "--socket", path], text=True, timeout=30,
                               capture_output=True) for words in (before, people["c"].command())]
    assert [done.returncode for done in told] == [77, 77], told
    assert f"a member of the group {people['group']}, but not in this session: log in again" in told[0].stderr
    assert f"usermod -aG {people['group']} $USER" in told[1].stderr


def test_a_path_that_no_socket_can_have_is_refused():
    status, _, err = cagectl("list", socket_path="/" + "x" * 200)
    assert status == 69 and "File name too long" in err


def test_version_without_a_daemon():
    status, out, err = cagectl("version")
    assert (status, err) == (0, "")
    assert out.startswith("cagectl ") and "cagedd does not answer you at /nonexistent/caged.sock" in out
    versions = json.loads(cagectl("version", "-j")[1])
    assert versions["cagectl"] and versions["cagedd"] is None


# -- a daemon that talks nonsense --

@pytest.mark.parametrize("reply", [
    b"not json\0", b"[]\0", b'"x"\0', {"parameters": []}, {"parameters": {}, "error": 5},
    {"parameters": {"agents": {}}}, {"parameters": {"agents": [5]}}, {"parameters": {}},
    {"parameters": {"agents": [agent(owner_uid="0")]}}, {"parameters": {"agents": [agent(pid=-1)]}},
    {"error": "com.example.Unknown"},
    {"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "io.caged.List"}},
])
def test_nonsense_is_a_protocol_error(answer, reply):
    (status, out, err), calls = answer(["list"], reply)
    assert (status, out) == (76, "")
    assert err.startswith("cagectl: ") and "cagectl version" in err
    assert calls == [{"method": "io.caged.List", "parameters": {"all": False}}]


@pytest.mark.parametrize("reply", [b"", b'{"parameters":'])
def test_a_daemon_that_goes_away_is_told(answer, reply):
    (status, _, err), _ = answer(["list"], reply)
    assert status == 69 and "closed the connection" in err


@pytest.mark.parametrize("name, parameters, status, text", [
    ("InvalidCard", {"path": "$.x", "found": "1", "expected": "2"}, 65, "$.x: found 1, expected 2"),
    ("NoSuchAgent", {"agent_id": "a"}, 67, "no agent 'a'"),
    ("NotRunning", {"agent_id": "a", "state": "ended"}, 67, "does not run: it is ended"),
    ("Ambiguous", {"agent_id": "a", "owners": [1, 2]}, 64, "--owner USER"),
    ("AgentExists", {"agent_id": "a"}, 73, "cagectl stop a"),
    ("NotPermitted", {"what": "w", "reason": "r"}, 77, "not permitted: w: r"),
    ("NotPermitted", {"what": "allow[1]", "reason": 'the entry "x", of the site policy'}, 77,
     'not permitted: the entry "x", of the site policy\n  all that you may have'),
    ("NotPermitted", {"what": "workspace", "reason": "not below a root of the site policy"}, 77, "policy explain CARD"),
    ("NotPermitted", {"what": "$.max_agents", "reason": "of the site policy"}, 77, "the operator of this host"),
    ("NotPermitted", {"what": "spawn", "reason": "no site policy is in force"}, 77, "cagectl policy check FILE"),
    ("NotPermitted", {"what": "io.caged.ReloadPolicy", "reason": "r"}, 77, "sudo cagectl policy reload"),
    ("NotPermitted", {"what": "user_uid", "reason": "only root may ask about other users"}, 77, "--policy FILE --as"),
    ("NotSupported", {"what": "w", "reason": "r"}, 78, "w: r"),
    ("Busy", {"limit": "agents", "maximum": 5}, 75, "the limit of agents is reached (5)"),
    ("Busy", {"limit": "agents of one user", "maximum": 5}, 75, "end some agents (cagectl list)"),
    ("Busy", {"limit": 'total.memory_mb of one user by the rule "r"', "maximum": 5}, 75, "end some agents"),
    ("Busy", {"limit": "spawns of one user in a minute", "maximum": 5, "retry_seconds": 7}, 75,
     "try again in 7 s"),
    ("Busy", {"limit": "spawns of one user in a minute", "maximum": 5}, 75, "wait a minute"),
    ("Busy", {"limit": "histories that one user reads at once", "maximum": 8}, 75, "'cagectl audit'"),
    ("Busy", {"limit": "calls under way of one user", "maximum": 112}, 75, "'cagectl' that still run"),
    ("SpawnFailed", {"step": "s", "errno": 2, "reason": "\x1b[2J"}, 71, "s: \\x1b[2J"),
    ("NoSuchAgent", {}, 67, "no agent '?'"),
])
def test_errors_of_the_daemon_become_words_and_statuses(answer, name, parameters, status, text):
    (got, out, err), _ = answer(["inspect", "a"],
                                {"error": f"io.caged.{name}", "parameters": parameters})
    assert (got, out) == (status, "")
    assert text in err


def test_strings_of_strangers_are_made_safe_in_tables(answer):
    hostile = agent(workspace="/w\x1b]0;x\x07\u0085", reason="\x1b[2J", state="ended")
    (status, out, _), _ = answer(["list", "--all"], {"parameters": {"agents": [hostile]}})
    assert status == 0 and "/w\\x1b]0;x\\x07\\xc2\\x85" in out and "\x1b" not in out
    (status, out, _), _ = answer(["list", "-j"], {"parameters": {"agents": [hostile]}})
    assert status == 0 and "\x1b" not in out and "\u0085" not in out
    assert json.loads(out) == [hostile]


def logs_reply(*lines, lost=0):
    return {"parameters": {"invocation_id": "0123456789abcdef" * 2, "lines": [
        {"sequence": n, "time_usec": n, **line} for n, line in enumerate(lines, lost + 1)],
        "lost": lost, "next_sequence": lost + len(lines) + 1}}


def test_output_is_exact(answer):
    reply = logs_reply({"stream": "stdout", "text": "é"}, {"stream": "stderr", "text": "error"},
                       {"stream": "stdout", "data": "/wAb", "partial": True},
                       {"stream": "stdout", "text": ""}, lost=3)
    path_words = ["logs", "a"]
    no_journal = {"error": "io.caged.NotSupported",
                  "parameters": {"what": "history", "reason": "this host has no journal"}}
    (status, out, err), calls = answer(path_words, json.dumps(reply).replace("/wAb", "QRtC").encode()
                                       + b"\0", no_journal)
    assert status == 0 and out == "é\nA\x1bB\n"
    assert err == ("cagectl: 3 lines lost here: not in the daemon's memory any more, and this host "
                   "has no journal\nerror\n")
    assert calls == [{"method": "io.caged.Logs", "more": True, "parameters": {"agent_id": "a"}},
                     {"method": "io.caged.History",
                      "parameters": {"agent_id": "a", "output_fd": 0,
                                     "invocation_id": "0123456789abcdef" * 2}}]


def test_lines_in_the_other_forms(answer):
    reply = logs_reply({"stream": "stdout", "text": "half", "partial": True},
                       {"stream": "stderr", "text": "between"},
                       {"stream": "stdout", "text": "whole"},
                       {"stream": "stdout", "text": "one, ", "partial": True},
                       {"stream": "stdout", "text": "going on"})
    (status, out, err), _ = answer(["logs", "-o", "short", "a"], reply)
    heads, texts = zip(*(line.split(": ", 1) for line in out.splitlines()))
    assert (status, err) == (0, "")
    assert texts == ("half", "between", "whole", "one, going on")
    assert [head.split()[-1] for head in heads] == ["stdout", "stderr", "stdout", "stdout"]
    assert all(re.fullmatch(r"19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d\.000 \w+", head) for head in heads)
    (status, out, _), _ = answer(["logs", "-o", "json", "a"], reply)
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == [{**line, "invocation_id": "0123456789abcdef" * 2}
                     for line in reply["parameters"]["lines"]]
    assert answer(["logs", "-j", "a"], reply)[0] == (0, out, "")


def test_what_the_journal_lacks_too_is_told_in_its_place(answer):
    reply = logs_reply({"stream": "stdout", "text": "4"}, {"stream": "stdout", "text": "6"}, lost=3)
    reply["parameters"]["lines"][1]["sequence"] = 6
    reply["parameters"].update(lost=4, next_sequence=7)
    (status, out, err), _ = answer(["logs", "a"], reply, {"parameters": {}}, {"parameters": {}},
                                   {"parameters": {}})
    assert (status, out) == (0, "4\n6\n")
    assert re.findall(r"(\d+) lines? lost here: neither", err) == ["3", "1"]


@pytest.mark.parametrize("change", [{"next_sequence": 0}, {"next_sequence": 1}, {"lost": 5},
                                    {"invocation_id": "x"}, {"next_sequence": None}])
def test_replies_whose_numbers_make_no_sense_are_a_protocol_error(answer, change):
    reply = logs_reply({"stream": "stdout", "text": "x"}, lost=1)
    reply["parameters"].update(change)
    (status, _, err), _ = answer(["logs", "a"], reply)
    assert status == 76, err


@pytest.mark.parametrize("line", [{"stream": "stdout", "data": "A"}, {"stream": "stdout"},
                                  {"text": "x"}, {"stream": "stdout", "text": "x", "partial": 1}])
def test_log_lines_of_wrong_form_are_a_protocol_error(answer, line):
    (status, _, err), _ = answer(["logs", "a"], logs_reply(line))
    assert status == 76, err


def test_a_terminal_is_not_controlled_by_output(tmp_path):
    path = tmp_path / "fake.sock"
    reply = logs_reply({"stream": "stdout", "text": "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07"})
    daemon = FakeDaemon(path, json.dumps(reply).encode() + b"\0")
    master, slave = pty.openpty()
    status, _, _ = cagectl("logs", "a", socket_path=path, capture_output=False, stdout=slave,
                           stderr=subprocess.PIPE)
    os.close(slave)
    daemon.done()
    assert status == 0
    assert os.read(master, 4096) == b"\x1b[31mred\x1b[0m ^[]52;c;aGk=^G\r\n"
    os.close(master)


def test_spawn_sends_the_card_as_it_is(answer, card, tmp_path):
    words = ["spawn", "-j", card(environment={"A": "secret"}), "--", "do", "-x", "--"]
    (status, out, err), calls = answer(words, {"parameters": {"agent": agent()}})
    assert (status, err) == (0, "") and json.loads(out) == agent()
    assert calls == [{"method": "io.caged.Spawn", "parameters": {
        "card": {"agent_id": "cli", "workspace": str(tmp_path), "environment": {"A": "secret"}},
        "workspace_fd": 0, "foreground": False, "arguments": ["do", "-x", "--"]}}]


@pytest.mark.parametrize("end, status, text", [
    ({"reason": "exited", "exit_status": 7}, 7, ""),
    ({"reason": "out_of_memory", "signal": 9}, 137, "out of memory (limit 64 MiB), SIGKILL"),
    ({"reason": "ttl", "exit_status": 0}, 124, "its time to live was over (limit 9 s)"),
    ({"reason": "failed", "detail": "the disk is on fire"}, 71, "the disk is on fire"),
])
def test_the_end_becomes_the_status(answer, card, end, status, text):
    name = card(resource_limits={"memory_mb": 64}, ttl_seconds=9)
    (got, out, err), _ = answer(["spawn", "--wait", name], {"parameters": {"agent": agent()}},
                                {"parameters": {"agent": agent(state="ended", **end)}})
    assert (got, out) == (status, "a running\n")
    assert text in err if text else err == ""


def test_a_request_that_is_too_long_is_not_sent(card, tmp_path):
    path = tmp_path / "fake.sock"
    daemon = FakeDaemon(path, b"never")
    status, _, err = cagectl("spawn", card(), "--", "x" * 70000, socket_path=path)
    assert status == 65 and "too long" in err
    assert daemon.done() == []


# -- what is written elsewhere about it --

INTERFACE = (paths.ROOT / "common" / "io.caged.varlink").read_text()
MANUAL = (paths.ROOT / "client" / "cagectl.1.scd").read_text()


@pytest.mark.parametrize("name", re.findall(r"^error (\w+)", INTERFACE, re.M))
def test_every_error_of_the_interface_is_known(answer, name):
    (status, _, err), _ = answer(["inspect", "a"], {"error": f"io.caged.{name}", "parameters": {}})
    assert status not in (0, 76) and "answered with the error" not in err
    assert f"|  {status}\n" in MANUAL


@pytest.mark.parametrize("name", re.findall(r"\w+", re.search(r"type Reason \(([^)]*)\)",
                                                              INTERFACE).group(1)))
def test_every_reason_of_the_interface_is_known(answer, name):
    (status, out, _), _ = answer(["wait", "a"], {"parameters": {"agent": agent(
        state="ended", reason=name, exit_status=1)}})
    assert status == 1
    assert out.endswith("exit status 1\n")
    # One that is not in the table would be shown by its bare name; these two are plain English.
    assert name in ("stopped", "killed") or f": {name}," not in out


@pytest.mark.parametrize("verb", VERBS)
def test_the_manual_has_every_verb_and_option(verb):
    usage, _, options = cagectl("help", verb)[1].partition("Options:")
    plain = re.sub(r"(?<![A-Za-z])_|_(?![A-Za-z])|\*|\\", "", MANUAL)
    assert usage.splitlines()[0].removeprefix("Usage: cagectl ") in plain
    for option in re.findall(r"--[a-z-]+", options):
        assert re.search(rf"^\*?.*\*{option}\*", MANUAL, re.M), option
