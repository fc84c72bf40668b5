"""The journal of a real systemd: every byte that agents write is in it, whatever it is and however
much, across restarts of journald and while it stands still; fields, priorities, and what the
catalog says. In the fast lane: nothing here depends on controllers."""

import hashlib

import pytest

STARTED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a01"
REFUSED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03"
NETWORK_REFUSED = "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a07"

# Lines that a journal might spoil, each as it is written, with its newline.
LINES = [
    b"\n", b"plain\n", b"\n", b"   leading and trailing \t \n", b"x" * 2047 + b"\n",
    b"x" * 2048 + b"\n", b"x" * 3000 + b"\n", b"z" * 70000 + b"\n", b"a\0b\0\n",
    b"\xff\xfe\xc3(\n", bytes(byte for byte in range(256) if byte != 10) + b"\n",
    b"MESSAGE=forged\n", b"\x1b[31mred\x1b[0m\r\n", b"<0>emergency\n", "ä€😀\n".encode(),
    b"{\"json\": true}\n", b"y" * 300000 + b"\n", b"no newline at the end"]


@pytest.fixture
def roomy(fast):
    """The fast lane, with room for the entries of a test and none of journald's own limits reached."""
    fast.write("/etc/systemd/journald.conf.d/room.conf",
               "[Journal]\nStorage=persistent\nSystemMaxUse=6G\nSystemKeepFree=64M\n"
               "SystemMaxFileSize=2G\nSystemMaxFiles=1000\n")
    fast.run("mkdir -p /var/log/journal; systemctl restart systemd-journald && journalctl --flush")
    return fast


def message(entry):
    """The message's bytes: journalctl's JSON has a list of numbers for what is not text."""
    value = entry["MESSAGE"]
    return bytes(value) if isinstance(value, list) else value.encode()


def output_of(entries, stream):
    """What the agent wrote to a stream, put together from entries."""
    return b"".join(message(entry) + (b"" if "CAGED_PARTIAL" in entry else b"\n")
                    for entry in entries if entry["CAGED_STREAM"] == stream)


def lines_of(guest, agent_id):
    """The entries of an agent's output; each line is there once, and they are in order."""
    entries = guest.journal(f"CAGED_AGENT={agent_id}", "SYSLOG_IDENTIFIER=caged-agent")
    numbers = [int(entry["CAGED_SEQUENCE"]) for entry in entries]
    assert numbers == list(range(1, len(numbers) + 1))
    return entries


def until_ended(caged, agent_id, timeout=60):
    return caged.cagectl("wait", agent_id, check=False, timeout=timeout)


def test_every_byte_of_every_line_is_there(roomy, fast_caged):
    workspace = fast_caged.workspace("alice")
    roomy.write(f"{workspace}/data", b"".join(LINES), owner="alice:alice")
    agent_id = fast_caged.spawn("cat data; tac data >&2; exit 0", workspace=workspace)
    assert until_ended(fast_caged, agent_id).status == 0
    entries = lines_of(roomy, agent_id)
    assert output_of(entries, "stdout") == b"".join(LINES)
    backwards = roomy.run(["tac", f"{workspace}/data"]).stdout
    assert output_of(entries, "stderr") == backwards
    whole = [message(entry) + b"\n" for entry in entries
             if entry["CAGED_STREAM"] == "stdout" and len(message(entry)) < 48 * 1024]
    assert [line for line in LINES[:-1] if len(line) < 48 * 1024] == \
        [line for line in whole if line in LINES], "a line is an entry"
    assert {entry["PRIORITY"] for entry in entries} == {"6"}


def test_a_million_lines_are_all_there_in_order(roomy, fast_caged):
    """Many times what journald takes of a service before it drops (10000 in 30 s)."""
    count = 1000000
    agent_id = fast_caged.spawn(f"exec seq {count}")
    assert until_ended(fast_caged, agent_id, timeout=400).status == 0
    done = roomy.run(f"journalctl --sync; journalctl --quiet --no-pager -o cat CAGED_AGENT={agent_id} "
                     f"SYSLOG_IDENTIFIER=caged-agent | sha256sum", timeout=300)
    digest = hashlib.sha256()
    for number in range(1, count + 1):
        digest.update(b"%d\n" % number)
    assert done.text.split()[0] == digest.hexdigest()
    suppressed = roomy.run("journalctl -q --no-pager -u systemd-journald | grep -c Suppressed",
                           check=False)
    assert suppressed.text.strip() == "0"


def test_a_restart_of_journald_loses_no_line_and_doubles_none(roomy, fast_caged):
    workspace = fast_caged.workspace("alice")
    agent_id = fast_caged.spawn(
        "i=0; while [ ! -e enough ]; do end=$((i+500)); while [ $i -lt $end ]; do i=$((i+1)); echo line $i; done; "
        "sleep 0.01; done; echo $i > count", workspace=workspace)
    for _ in range(4):
        roomy.systemctl("restart", "systemd-journald")
    roomy.run(["touch", f"{workspace}/enough"])
    assert until_ended(fast_caged, agent_id, timeout=120).status == 0
    lines = int(roomy.read(f"{workspace}/count"))
    assert lines > 1000
    assert [message(entry) for entry in lines_of(roomy, agent_id)] == \
        [b"line %d" % i for i in range(1, lines + 1)]


def test_while_journald_stands_still_the_daemon_serves_and_nothing_is_lost(roomy, fast_caged):
    lines = 20000
    roomy.systemctl("kill", "--signal=STOP", "systemd-journald")
    try:
        agent_id = fast_caged.spawn(f"exec seq -f '%010.0f {'x' * 200}' {lines}")
        result = fast_caged.run("echo hello; exit 3", user="bob", check=False, timeout=20)
        assert (result.status, result.text) == (3, "hello\n")
        held = fast_caged.inspect(agent_id)
        assert held["agent"]["state"] == "running"
    finally:
        roomy.systemctl("kill", "--signal=CONT", "systemd-journald")
    assert until_ended(fast_caged, agent_id).status == 0
    assert [message(entry) for entry in lines_of(roomy, agent_id)] == \
        [b"%010d %s" % (i, b"x" * 200) for i in range(1, lines + 1)]


def test_fields_and_priorities(fast, fast_caged):
    fast.run("journalctl --update-catalog")  # as the package's installation makes dpkg do
    workspace = fast_caged.workspace("alice")
    agent_id = fast_caged.spawn(
        "while [ ! -e go ]; do sleep 0.1; done; curl -s http://refused.example/ >/dev/null; kill -9 $$",
        workspace=workspace, allowed_hosts=["allowed.example"])
    agent = fast_caged.inspect(agent_id)["agent"]
    fast.until(f"journalctl -q CAGED_AGENT={agent_id} MESSAGE_ID={STARTED} | grep -q .")
    fast.run(["touch", f"{workspace}/go"])
    until_ended(fast_caged, agent_id)

    uid = fast.output("id -u alice")
    entries = fast.journal(f"CAGED_INVOCATION_ID={agent['invocation_id']}")
    for entry in entries:
        assert (entry["CAGED_AGENT"], entry["CAGED_OWNER_UID"]) == (agent_id, uid)
        assert entry["_SYSTEMD_UNIT"] == "cagedd.service" and entry["_UID"] == "0"
    started, ended = entries[0], entries[-1]
    assert started["MESSAGE_ID"] == STARTED and started["OBJECT_PID"] == str(agent["pid"])
    assert started["OBJECT_COMM"] == "sh" and started["CAGED_WORKSPACE"] == workspace
    assert (ended["CAGED_REASON"], ended["CAGED_SIGNAL"]) == ("signaled", "9")

    shown = fast.run(f"journalctl -q --no-pager -x CAGED_AGENT={agent_id}").text
    assert f"Subject: Agent {agent_id} runs" in shown
    assert f"Subject: Agent {agent_id} ended: signaled" in shown
    assert "Defined-By: caged" in shown and "@CAGED" not in shown
    (refused,) = fast.journal("-p", "warning", f"CAGED_AGENT={agent_id}")
    assert refused["MESSAGE_ID"] == NETWORK_REFUSED and refused["CAGED_HOST"] == "refused.example"
    assert (refused["PRIORITY"], refused["CAGED_VERDICT"]) == ("4", "refused")


def test_a_refused_spawn_is_explained(fast, fast_caged):
    fast.run("journalctl --update-catalog")
    path = fast_caged.write_card(fast_caged.card("true", agent_id="too-much", agent="nonsense"))
    assert fast_caged.cagectl("spawn", path, check=False).status != 0
    (entry,) = fast.journal(f"MESSAGE_ID={REFUSED}")
    assert (entry["PRIORITY"], entry["CAGED_AGENT"]) == ("4", "too-much")
    shown = fast.run(f"journalctl -q --no-pager -x MESSAGE_ID={REFUSED}").text
    assert "Subject: Agent too-much was not started" in shown and entry["CAGED_DETAIL"] in shown


def test_the_catalog_is_found_where_it_is_installed(fast):
    fast.run("journalctl --update-catalog")
    listed = [line for line in fast.run("journalctl --list-catalog").lines if " caged: " in line]
    assert len(listed) >= 9 and listed[0].startswith(STARTED)


def test_a_daemon_that_starts_before_the_journal_waits_for_it(fast):
    """Also when the socket is not there, which the library calls a success."""
    fast.systemctl("stop", "cagedd.service", "cagedd.socket")
    fast.systemctl("stop", "systemd-journald.socket", "systemd-journald-dev-log.socket",
                   "systemd-journald-audit.socket", "systemd-journald.service", check=False)
    fast.run("rm -f /run/systemd/journal/socket")
    fast.systemctl("start", "--no-block", "cagedd.socket")
    fast.until("cagectl list", what="it serves")
    fast.systemctl("start", "systemd-journald.socket", "systemd-journald.service")
    fast.until("journalctl --sync; journalctl -q -t cagedd -b | grep -q 'is ready'")


def test_what_a_user_forges_is_not_found_by_what_the_manual_says(fast):
    """carol writes to the journal what looks like an entry of the daemon's about a unit's agent."""
    fast.run(["logger", "--journald"], user="carol",
             data=(f"MESSAGE=forged\nMESSAGE_ID={NETWORK_REFUSED}\nCAGED_AGENT=quick\n"
                   "OBJECT_SYSTEMD_UNIT=caged-agent@quick.service\n"
                   "UNIT=caged-agent@quick.service\n").encode())
    assert [entry["MESSAGE"] for entry in fast.journal("CAGED_AGENT=quick")] == ["forged"]
    for search in ("_UID=0 CAGED_AGENT=quick", f"_UID=0 MESSAGE_ID={NETWORK_REFUSED}",
                   "-u caged-agent@quick"):
        assert "forged" not in fast.run(f"journalctl --no-pager {search}", check=False).text
