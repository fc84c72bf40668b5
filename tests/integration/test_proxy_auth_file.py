"""proxy_auth_file: the parent proxy hears the card's user from the gate, and nobody else hears of it."""

import base64
import json
import os
import signal
from pathlib import Path

import pytest

from harness.daemon import until
from harness.servers import ParentProxy, serving
from harness.varlink import VarlinkError

USER = "agents:hidden-4711 and more%41"
BASIC = "Basic " + base64.b64encode(USER.encode()).decode()
CURL = "curl --silent --show-error --max-time 30"


@pytest.fixture
def parent():
    with serving(ParentProxy()) as server:
        yield server


def user_file(a, text=USER + "\n", name="proxy-user"):
    path = a.user.home / name
    path.write_text(text)
    os.chown(path, a.user.uid, a.user.gid)
    path.chmod(0o600)
    return str(path)


def test_the_parent_hears_the_user_of_the_file(a, parent):
    """With a key beside it, so that neither descriptor is taken for the other."""
    key = user_file(a, "some-key", "key")
    result = a.run(f"{CURL} http://x.example/a; {CURL} --proxytunnel http://x.example/b; "
                   f"{CURL} -U own:word http://x.example/c; echo $ANTHROPIC_API_KEY",
                   allowed_hosts=["x.example"], proxy=parent.uri, proxy_auth_file=user_file(a),
                   api_key_file=key)
    assert result.text == "by the parent\n" * 3 + "some-key\n", result
    assert parent.users() == [[BASIC]] * 3


def test_the_user_is_nowhere_else(a, daemon, parent):
    """Not in an argv or an environment, nor in what is told or logged, nor in the cage."""
    card = a.card(f"env; {CURL} http://x.example/; echo ready; sleep 60",
                  allowed_hosts=["x.example"], proxy=parent.uri, proxy_auth_file=user_file(a))
    process = daemon.start_cagectl(a.user, "run", a.cards.write(card))
    told = b""
    while not told.endswith(b"ready\n"):
        line = process.stdout.readline()
        assert line, told
        told += line
    for entry in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        try:
            told += entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    inspected = a.cagectl("inspect", "-j", card["agent_id"])
    network = json.loads(inspected.stdout)["network"]
    assert network["parent_proxy"] == parent.uri and network["gate_pid"]
    assert json.loads(inspected.stdout)["card"]["proxy_auth_file"] == card["proxy_auth_file"]
    told += inspected.stdout + a.cagectl("inspect", card["agent_id"]).stdout + \
        a.cagectl("list", "-j").stdout
    a.call("Kill", agent_id=card["agent_id"])
    told += b"".join(process.communicate(timeout=20)) + daemon.log().encode()
    assert parent.users() == [[BASIC]]
    for secret in (b"hidden-4711", BASIC.split()[1].encode()):
        assert secret not in told


def test_it_outlives_a_reload_and_the_gate(a, parent):
    """Each gate has it: the one that took other hosts, and the one after that."""
    path = user_file(a)
    ask = f"while ! test -e /workspace/$1; do sleep 0.05; done; {CURL} http://$1.example/; echo $1"
    card = a.card(f"f() {{ {ask}; }}; f one; f two; f three; f four; sleep 60",
                  allowed_hosts=["one.example"], proxy=parent.uri, proxy_auth_file=path)
    workspace = Path(card["workspace"])
    assert a.cagectl("spawn", a.cards.write(card)).status == 0
    (workspace / "one").touch()
    a.until_output(card["agent_id"], "one")
    reply = a.call("Reload", card={**card, "allowed_hosts": ["two.example", "three.example"],
                                   "proxy_auth_file": path + "-moved"})
    assert reply["ignored"] == ["$.proxy_auth_file"]
    (workspace / "two").touch()
    a.until_output(card["agent_id"], "two")
    gate = a.inspect(card["agent_id"])["network"]["gate_pid"]
    os.kill(gate, signal.SIGKILL)
    until(lambda: a.inspect(card["agent_id"])["network"].get("gate_pid") != gate)
    (workspace / "three").touch()
    a.until_output(card["agent_id"], "three")
    assert a.cagectl("allow", card["agent_id"], "four.example").status == 0
    (workspace / "four").touch()
    a.until_output(card["agent_id"], "four")
    assert parent.users() == [[BASIC]] * 4
    a.call("Kill", agent_id=card["agent_id"])
    a.wait(card["agent_id"])


def test_a_running_agent_keeps_its_user_and_reload_says_so(a, daemon, parent):
    path = user_file(a)
    card = a.card("echo ready; sleep 60", allowed_hosts=["x.example"], proxy=parent.uri,
                  proxy_auth_file=path)
    assert a.cagectl("spawn", a.cards.write(card)).status == 0
    result = a.cagectl("reload", a.cards.write({**card, "proxy_auth_file": path + "-other"}))
    assert result.status == 0 and "$.proxy_auth_file" in result.text + result.errors
    a.call("Kill", agent_id=card["agent_id"])
    a.wait(card["agent_id"])


# -- bad files --


@pytest.mark.parametrize("text, why", [
    ("", "is empty"), (" \n\n", "is empty"), ("hidden-4711", "does not hold user:password"),
    (":hidden-4711", "does not hold user:password"),
    ("u:hidden-4711\nsecond", "not one line"), ("u:hidden-4711\0", "not one line"),
    ("u:hidden-4711\u00e4", "not one line"), ("u:\x1b[2Jhidden-4711", "not one line"),
    ("u:hidden-4711" + "x" * 1012, "longer than 1024 bytes"),
    ("u:hidden-4711" + "x" * 9999, "longer than 1024 bytes")])
def test_a_file_that_holds_no_user_is_refused_and_not_shown(a, parent, text, why):
    result = a.run("true", allowed_hosts=["x.example"], proxy=parent.uri,
                   proxy_auth_file=user_file(a, text, "bad-user"))
    assert result.status != 0 and "proxy_auth_file" in result.errors and why in result.errors
    assert "hidden-4711" not in result.errors + a.daemon.log()


def test_the_longest_user_fits(a, parent):
    longest = "u:" + "x" * 1022
    result = a.run(f"{CURL} --proxytunnel http://x.example/", allowed_hosts=["x.example"],
                   proxy=parent.uri, proxy_auth_file=user_file(a, f"{longest}\n"))
    assert result.text == "by the parent\n", result
    assert parent.users() == [["Basic " + base64.b64encode(longest.encode()).decode()]]


def test_a_file_that_cannot_be_opened_is_named(a, parent):
    roots = a.user.home / "roots-user"
    roots.write_text(USER)
    roots.chmod(0o600)
    fifo = a.user.home / "fifo-user"
    os.mkfifo(fifo)
    os.chown(fifo, a.user.uid, a.user.gid)
    for path, why in ((str(roots), "Permission denied"), ("/nonexistent/user", "No such file"),
                      (str(fifo), "not a regular file"), (str(a.user.home), "not a regular file")):
        result = a.run("true", proxy=parent.uri, proxy_auth_file=path)
        assert result.status == 66, result
        assert f"$.proxy_auth_file: cannot open {path}: {why}" in result.errors


# -- the descriptor --


def test_a_path_without_a_descriptor_is_opened_for_root_alone(a, root, parent):
    error = a.refused(proxy=parent.uri, proxy_auth_file="/etc/shadow")
    assert (error.name, error.parameters["what"]) == ("NotPermitted", "proxy_auth_file")
    path = user_file(a)
    workspace = str(a.user.folder("root-proxy"))
    agent_id = root.spawn(f"{CURL} http://x.example/", workspace=workspace, proxy=parent.uri,
                          proxy_auth_file=path, allowed_hosts=["x.example"])
    root.wait(agent_id)
    assert parent.users() == [[BASIC]]


def test_a_descriptor_for_no_file_is_refused(a, parent):
    with pytest.raises(VarlinkError) as error:
        a.daemon.spawn(a.user, a.card("true", proxy=parent.uri), proxy_auth_fd=0)
    assert error.value.name == "InvalidCard"
    assert error.value.parameters["path"] == "$.proxy_auth_file"


@pytest.mark.parametrize("index", [1, 7, 2**40])
def test_a_descriptor_that_was_not_sent_is_refused(a, parent, index):
    with pytest.raises(VarlinkError) as error:
        a.daemon.spawn(a.user, a.card("true", proxy=parent.uri, proxy_auth_file="/x"),
                       proxy_auth_fd=index)
    assert (error.value.name, error.value.parameters["what"]) == ("NotPermitted", "proxy_auth_file")
