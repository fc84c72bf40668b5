"""The log when nobody takes it: the daemon serves on, who writes too much is held up alone, and
nothing is lost. The journal is a socket of the test's (harness/journal.py), or none and stderr a
pipe."""

import contextlib
import fcntl
import os
import re
import subprocess
import threading
import time

import pytest

from harness import leftovers, paths
from harness.daemon import Client, Daemon, until
from harness.journal import JournaledDaemon
from harness.varlink import VarlinkError

PAUSE = 256 * 1024  # LOG_UNSENT_PAUSE
NOISE = "x" * 1000
FLUSH_TIMEOUT = 5
REFUSED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a07"
ENDED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a02"
REFUSED_CARD = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03"
LOST = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a09"
RELOADED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a10"
FLOOD = 20000  # refusals, more than LOG_UNSENT_MAX
AGENTS_PER_UID_MAX = 256


def noisy(lines):
    """Writes numbered lines of 1 KB."""
    return f"exec python3 -c '[print(i, \"{NOISE}\") for i in range({lines})]'"


def noise(lines):
    return [f"{i} {NOISE}".encode() for i in range(lines)]


@pytest.fixture
def stuck(base, people):
    """A daemon whose journal is read only when the test does so."""
    daemon = JournaledDaemon(base, people["group"]).start()
    yield daemon
    daemon.close()
    assert leftovers.cgroups(daemon.name) == []


@pytest.fixture
def journal(stuck):
    return stuck.journal


@pytest.fixture
def a(stuck, people):
    return Client(stuck, people["a"])


@pytest.fixture
def b(stuck, people):
    return Client(stuck, people["b"])


def start(client, script, **keys):
    """Spawns by cagectl, which goes to where the daemon is."""
    card = client.card(script, **keys)
    result = client.cagectl("spawn", client.cards.write(card))
    assert result.status == 0, result
    return card["agent_id"]


def count_lines(client, agent_id):
    return max([line["sequence"] for line in client.call("Logs", agent_id=agent_id)["lines"]] or [0])


def stands_still(count):
    """Waits until the number does not grow any more, and returns it."""
    def stood_still():
        before = count()
        time.sleep(0.3)
        return before > 0 and before == count()

    until(stood_still, timeout=30, what="it is held up")
    return count()


def test_a_journal_that_stands_still_holds_up_who_writes_and_nobody_else(a, b, journal):
    """And when it goes on every line is there, once, in order."""
    agent_id = start(a, noisy(5000))
    written = stands_still(lambda: count_lines(a, agent_id))
    assert PAUSE / 1200 < written < 2 * PAUSE / 1000, written
    assert a.inspect(agent_id)["agent"]["state"] == "running"

    begin = time.monotonic()
    result = b.run("echo hello; exit 3")
    assert (result.stdout, result.status) == (b"hello\n", 3)
    assert time.monotonic() - begin < 5

    ended = threading.Thread(target=a.wait, args=[agent_id])
    ended.start()
    journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    ended.join()
    assert journal.lines(agent_id) == noise(5000)
    (other,) = {entry["CAGED_AGENT"] for entry in journal.entries if "CAGED_AGENT" in entry} \
        - {agent_id.encode()}
    assert journal.lines(other.decode()) == [b"hello"]


def test_turns_are_taken(a, b, journal):
    """Who waits behind a noisy agent does not wait for all of its lines."""
    agent_id = start(a, noisy(5000))
    stands_still(lambda: count_lines(a, agent_id))
    other = start(b, "echo hello")
    b.wait(other)
    journal.take_until(CAGED_AGENT=other, CAGED_REASON="exited")
    assert len(journal.lines(agent_id)) < 100


def test_fields_of_entries(a, journal):
    workspace = a.user.folder("fields")
    agent_id = start(a, "while [ ! -e go ]; do sleep 0.05; done; "
                        "echo out; echo err >&2; printf 'a\\0b\\nno newline'; exit 7",
                     workspace=str(workspace))
    agent = a.inspect(agent_id)["agent"]
    invocation = agent["invocation_id"].encode()
    started = journal.take_until(MESSAGE_ID="8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a01")
    (workspace / "go").touch()
    ended = journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    lines = [entry for entry in journal.of(agent_id) if "CAGED_STREAM" in entry]
    for entry in (started, ended, *lines):
        assert entry["CAGED_OWNER_UID"] == str(a.user.uid).encode()
        assert entry["CAGED_INVOCATION_ID"] == invocation
        assert 0 <= time.time() - int(entry["CAGED_TIME_USEC"]) / 1e6 < 60
        assert "OBJECT_SYSTEMD_UNIT" not in entry
    assert (started["PRIORITY"], ended["PRIORITY"]) == (b"5", b"5")
    assert int(started["OBJECT_PID"]) == agent["pid"] and "OBJECT_PID" not in ended
    assert started["CAGED_WORKSPACE"] == str(workspace).encode()
    assert ended["CAGED_EXIT_STATUS"] == b"7" and "CAGED_SIGNAL" not in ended
    told = {(line["MESSAGE"], line["CAGED_STREAM"], line.get("CAGED_PARTIAL")) for line in lines}
    assert told == {(b"out", b"stdout", None), (b"err", b"stderr", None),
                    (b"a\0b", b"stdout", None), (b"no newline", b"stdout", b"1")}
    assert {line["PRIORITY"] for line in lines} == {b"6"}
    assert {line["SYSLOG_IDENTIFIER"] for line in lines} == {b"caged-agent"}
    numbered = {line["sequence"]: line["stream"].encode()
                for line in a.call("Logs", agent_id=agent_id)["lines"]}
    assert {int(line["CAGED_SEQUENCE"]): line["CAGED_STREAM"] for line in lines} == numbered


def test_the_end_by_a_signal_has_its_number(a, journal):
    agent_id = start(a, "kill -USR1 $$")
    ended = journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="signaled")
    assert ended["CAGED_SIGNAL"] == b"10" and "CAGED_EXIT_STATUS" not in ended


def test_a_refusal_is_a_warning_that_says_why(a, journal):
    result = a.cagectl("spawn", a.cards.write(a.card("true", agent="no-such-agent")))
    assert result.status != 0
    entry = journal.take_until(MESSAGE_ID="8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03")
    assert (entry["PRIORITY"], entry["CAGED_OWNER_UID"]) == (b"4", str(a.user.uid).encode())
    assert entry["CAGED_DETAIL"].startswith(b"$.agent: ")


def test_the_catalogs_fields_carry_nothing_to_the_operators_terminal(a, journal):
    """journalctl -x writes them as they are."""
    escape = "\x1b[31m\x9b\n"
    a.refused(**{escape: 1})
    refused = journal.take_until(MESSAGE_ID="8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03")
    card = a.card(command=[f"/usr/bin/{escape}"])
    a.cagectl("spawn", a.cards.write(card))
    failed = journal.take_until(CAGED_REASON="failed")
    assert b"\\x1b[31m" in failed["CAGED_DETAIL"]
    for entry in (refused, failed):
        assert b"[31m" in entry["CAGED_DETAIL"]
        assert re.fullmatch(rb"[ -~]+", entry["CAGED_DETAIL"]), entry


def test_a_line_of_every_size_arrives_whole_or_in_marked_pieces(a, journal):
    sizes = [0, 1, 2047, 2048, 4095, 4096, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, 1000000]
    agent_id = start(a, f"exec python3 -c '[print(\"y\" * n) for n in {sizes}]'")
    journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    lines, unfinished = [], b""
    for entry in journal.of(agent_id, CAGED_STREAM="stdout"):
        unfinished += entry["MESSAGE"]
        if entry.get("CAGED_PARTIAL") is None:
            lines.append(unfinished)
            unfinished = b""
    assert unfinished == b"" and [len(line) for line in lines] == sizes
    assert all(set(line) <= {ord("y")} for line in lines)


def test_decisions_of_the_gate_wait_and_none_is_lost(a, journal):
    """An agent whose output fills the log, and that is refused without end: its gate is not heard
    while the journal takes nothing, and then each request is counted."""
    requests = 10000
    workspace = a.user.folder("asking")
    agent_id = start(a, f"""exec python3 -c '
import os, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
def ask(i):
    with socket.create_connection((proxy.hostname, proxy.port)) as s:
        s.sendall(b"GET http://h%d.refused.example/ HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n"
                  % i)
        while s.recv(4096): pass
    with open("/workspace/new", "w") as file: file.write(str(i))
    os.rename("/workspace/new", "/workspace/asked")
ask(0)
for i in range(280):  # the log is full, and its pipe not
    print(i, "{NOISE}", flush=True)
for i in range(1, {requests}): ask(i)
'""", allowed_hosts=["allowed.example"], workspace=str(workspace))
    until((workspace / "asked").exists, what="it was refused")
    assert stands_still(lambda: int((workspace / "asked").read_text())) < requests - 1
    assert a.inspect(agent_id)["network"]["refused"] < requests / 2
    journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    refused = journal.of(agent_id, MESSAGE_ID=REFUSED)
    assert sum(int(entry["CAGED_COUNT"]) for entry in refused) == requests
    alone = [entry["CAGED_HOST"] for entry in refused if "CAGED_REQUEST" in entry]
    assert alone[:100] == [f"h{i}.refused.example".encode() for i in range(100)]
    assert {entry["PRIORITY"] for entry in refused} == {b"4"}
    numbers = [int(entry["CAGED_RECORD"]) for entry in refused]
    assert numbers == list(range(1, len(refused) + 1))


def test_the_end_of_an_agent_waits_for_its_last_output(a, journal):
    """What lies in its pipe when it ends is more than the log takes now."""
    agent_id = start(a, noisy(450))
    pid = a.inspect(agent_id)["agent"]["pid"]
    until(lambda: not os.path.exists(f"/proc/{pid}"), what="its process is gone")
    assert stands_still(lambda: count_lines(a, agent_id)) < 450
    assert a.inspect(agent_id)["agent"]["state"] != "ended"
    journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    assert journal.lines(agent_id) == noise(450)
    assert a.wait(agent_id)["exit_status"] == 0


def test_two_reasons_to_wait_do_not_undo_each_other(a, stuck, journal):
    """A foreground client that reads lets the agent go on, but not while the log is behind; and the
    log lets it go on, but not while the client does not read."""
    process, agent_id = a.start_run(noisy(8000))
    until(lambda: a.call("List")["agents"], what="it is there")
    written = stands_still(lambda: count_lines(a, agent_id))
    first = os.read(process.stdout.fileno(), 65536)
    assert stands_still(lambda: count_lines(a, agent_id)) == written < 1000
    taken = []

    def take():
        journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
        taken.append(True)

    reader = threading.Thread(target=take)
    reader.start()
    held = stands_still(lambda: count_lines(a, agent_id))  # the ring is full, and the pipes
    assert written < held < 8000 and not taken
    rest, errors = process.communicate(timeout=60)
    reader.join()
    assert process.returncode == 0, errors
    assert (first + rest).splitlines() == noise(8000)
    assert journal.lines(agent_id) == noise(8000)


def test_a_journal_that_goes_and_comes_back_gets_everything(a, journal):
    workspace = a.user.folder("coming-and-going")
    agent_id = start(a, f"echo one; while [ ! -e go ]; do sleep 0.05; done; {noisy(1000)}",
                     workspace=str(workspace))
    journal.take_until(CAGED_AGENT=agent_id, MESSAGE="one")
    journal.close()
    before = len(journal.entries)
    (workspace / "go").touch()
    stands_still(lambda: count_lines(a, agent_id))
    journal.open()
    journal.take_until(CAGED_AGENT=agent_id, CAGED_REASON="exited")
    # The daemon cannot know of the last one whether it was taken before the socket went.
    if journal.entries[before] == journal.entries[before - 1]:
        del journal.entries[before]
    assert journal.lines(agent_id) == [b"one", *noise(1000)]


def test_ended_agents_count_until_their_entries_are_written(a, b, journal):
    """Else one after the other would fill the daemon's memory."""
    cards = [a.cards.write(a.card("echo")) for _ in range(AGENTS_PER_UID_MAX + 20)]
    script = f"for card in {' '.join(map(str, cards))}; do $0 spawn $card || exit; done"
    words = a.user.command("env", f"CAGED_SOCKET={a.daemon.socket}", "sh", "-c", script,
                           paths.CAGECTL)
    done = subprocess.run([*a.daemon.entry, *words], capture_output=True, text=True)
    assert "agents of one user" in done.stderr and str(AGENTS_PER_UID_MAX) in done.stderr, done
    assert b.run("echo hello").stdout == b"hello\n"
    journal.take_until(MESSAGE_ID="8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03")
    until(lambda: a.run("true").status == 0, what="there is room again")


def test_no_host_is_changed_that_the_log_cannot_tell_of(a, journal):
    """However many reloads come while the journal stands still."""
    card = a.card("sleep 600", allowed_hosts=[])
    assert a.cagectl("spawn", a.cards.write(card)).status == 0
    taken = []
    with pytest.raises(VarlinkError, match="ReloadFailed.*log"):
        for n in range(100):
            hosts = [f"{n}.{i}.{'x' * 63}.{'y' * 63}.{'z' * 63}" for i in range(240)]
            a.call("Reload", card={**card, "allowed_hosts": hosts})
            taken.append(hosts)
    assert a.inspect(card["agent_id"])["card"]["allowed_hosts"] == taken[-1]
    a.call("Kill", agent_id=card["agent_id"])
    journal.take_until(CAGED_AGENT=card["agent_id"], CAGED_REASON="killed", MESSAGE_ID=ENDED)
    told = journal.of(card["agent_id"], MESSAGE_ID=RELOADED)
    assert [entry["CAGED_ADDED"].decode().split(" ") for entry in told] == taken
    assert journal.of(card["agent_id"], MESSAGE_ID=LOST) == []


def test_a_flood_of_refused_cards_hides_nobody_elses_refusal(a, b, journal):
    with a.connect() as flood:
        for _ in range(FLOOD // 100):
            for _ in range(100):
                flood.send("Spawn", {"card": {"agent_id": "x" * 500}})
            for _ in range(100):
                with pytest.raises(VarlinkError):
                    flood.reply()
    assert b.cagectl("spawn", b.cards.write(b.card("true", agent="no-such-agent"))).status != 0
    entry = journal.take_until(MESSAGE_ID=REFUSED_CARD, CAGED_OWNER_UID=str(b.user.uid))
    assert entry["CAGED_DETAIL"].startswith(b"$.agent: ")
    journal.take_until(MESSAGE_ID=LOST, CAGED_OWNER_UID=str(a.user.uid))


def test_a_daemon_with_a_dead_journal_ends_in_time_and_says_what_is_not_written(a, stuck):
    agent_id = start(a, noisy(5000))
    stands_still(lambda: count_lines(a, agent_id))
    begin = time.monotonic()
    assert stuck.stop() == 0
    assert FLUSH_TIMEOUT <= time.monotonic() - begin < FLUSH_TIMEOUT + 5
    text = stuck.log_path.read_text()
    (lost,) = re.findall(r"^cagedd: (\d+) log entries could not be written", text, re.M)
    assert int(lost) > PAUSE / 1200


# -- without a journal --


def test_a_pipe_that_nobody_reads_stops_nobody_but_who_fills_it(base, people):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    daemon = Daemon(base, people["group"]).start(stderr=writing)
    os.close(writing)
    a, b = Client(daemon, people["a"]), Client(daemon, people["b"])
    agent_id = a.spawn(noisy(2000))
    written = stands_still(lambda: count_lines(a, agent_id))
    assert written < 1000 and a.inspect(agent_id)["agent"]["state"] == "running"
    assert b.run("echo hello").stdout == b"hello\n"

    text = []

    def read():
        with open(reading, "rb") as file:
            text.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    assert a.wait(agent_id)["exit_status"] == 0
    assert daemon.stop() == 0
    reader.join()
    marker = f"agent {agent_id} of uid {a.user.uid}, stdout: ".encode()
    lines = [line.split(marker)[1] for line in text[0].splitlines() if marker in line]
    assert lines == noise(2000)
    assert b"hello" in text[0]


@pytest.fixture
def small_disk(base):
    folder = base / "small-disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_who_waits_for_a_log_on_a_full_disk_is_told_why(base, people, small_disk):
    """And the log says it once, when it can. Nothing is lost."""
    path, why = small_disk / "log", "No space left on device"
    with open(path, "ab") as log:
        daemon = Daemon(base, people["group"]).start(stderr=log)
    a, b = Client(daemon, people["a"]), Client(daemon, people["b"])
    before = a.spawn("true")
    a.wait(before)
    fill(small_disk / "filler")
    noisy_id = a.spawn(noisy(2000))  # it takes what is left of the log's last page

    def held(client, agent_id):
        return client.inspect(agent_id)["agent"].get("log_held")

    until(lambda: held(a, noisy_id) == why, what="the noisy one's state tells why")
    quiet_id = b.spawn("echo hello")
    assert b.wait(quiet_id)["exit_status"] == 0
    assert held(b, quiet_id) == why
    a.call("Stop", agent_id=noisy_id)
    assert a.inspect(noisy_id)["agent"]["state"] == "stopping"
    assert held(a, noisy_id) == why and "log_held" not in a.inspect(before)["agent"]
    line, = (line for line in a.cagectl("list", "--all").text.splitlines() if line.startswith(noisy_id))
    assert f", waits for the log: {why}" in line
    shown = a.cagectl("inspect", noisy_id).text
    assert re.search(rf"^  waits for the log +{why}$", shown, re.M), shown

    (small_disk / "filler").unlink()
    assert a.wait(noisy_id)["reason"] == "stopped"
    until(lambda: held(a, noisy_id) is None and held(b, quiet_id) is None, what="all is written")
    assert daemon.stop() == 0
    text = path.read_text()
    assert text.count(f"cagedd: error: the log cannot be written: {why}") == 1
    marker = f"agent {noisy_id} of uid {a.user.uid}, stdout: "
    lines = [line.split(marker)[1].encode() for line in text.splitlines() if marker in line]
    assert len(lines) > PAUSE // 2 // len(NOISE) and lines[:-1] == noise(2000)[:len(lines) - 1]
    assert noise(2000)[len(lines) - 1].startswith(lines[-1]) and "hello" in text
