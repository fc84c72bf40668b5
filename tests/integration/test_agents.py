"""Real agents at work in a cage: OpenCode and codex do a scripted task to its end, write a file,
try a host that is not allowed, and report."""

import os
import shutil
import termios
import time

import pytest

from harness.terminal import Terminal

HELLO = "Hello from inside a cage.\n"
TRY = "curl --silent --show-error --max-time 20 http://not-allowed.example/"


def turns():
    return [{"write": {"path": "/workspace/hello.txt", "content": HELLO}},
            {"shell": f"cat hello.txt; id -un; {TRY}"},
            {"say": "The task is done."}]


@pytest.fixture(scope="module")
def model(model_server):
    return model_server(turns())


def check(a, workspace, result, model, path, agent_id):
    assert result.status == 0, result
    assert "The task is done." in result.text, result
    file = workspace / "hello.txt"
    assert file.read_text() == HELLO and file.stat().st_uid == a.user.uid
    last = [request for request in model.requests() if request["path"] == path][-1]
    told = str(last["results"][-1])
    assert HELLO.strip() in told and "agent" in told
    assert "not-allowed.example" in told and agent_id in told, told
    a.daemon.log_lines("not-allowed.example", agent_id)


def test_opencode_does_its_task(a, model):
    assert shutil.which("opencode"), "install it: tests/agents/install opencode"
    workspace = a.user.folder("opencode")
    card = a.card(agent="opencode", agent_id="real-opencode", workspace=str(workspace),
                  command=["opencode", "run", "Write hello.txt"],
                  allowed_hosts=[f"127.0.0.1:{model.port}"],
                  environment={"OPENCODE_CONFIG_CONTENT": model.opencode_configuration()})
    result = a.cagectl("run", a.cards.write(card), timeout=120)
    check(a, workspace, result, model, "/v1/chat/completions", "real-opencode")
    network = a.inspect("real-opencode")["network"]
    assert network["refused"] == 1, "a quiet agent asks for nothing else"


def test_opencode_by_its_preset_and_arguments(a, model):
    workspace = a.user.folder("opencode-preset")
    card = a.card(agent="opencode", agent_id="preset-opencode", workspace=str(workspace),
                  allowed_hosts=[f"127.0.0.1:{model.port}"],
                  environment={"OPENCODE_CONFIG_CONTENT": model.opencode_configuration()})
    result = a.cagectl("run", a.cards.write(card), "--", "Write hello.txt", timeout=120)
    check(a, workspace, result, model, "/v1/chat/completions", "preset-opencode")


def test_codex_does_its_task(a, model):
    assert shutil.which("codex"), "install it: tests/agents/install codex"
    workspace = a.user.folder("codex")
    key = a.user.home / "codex-key"
    key.write_text("sk-codex-test\n")
    os.chown(key, a.user.uid, a.user.gid)
    key.chmod(0o600)
    card = a.card(agent="codex", agent_id="real-codex", workspace=str(workspace),
                  api_provider="openai", api_key_file=str(key),
                  allowed_hosts=[f"127.0.0.1:{model.port}"])
    result = a.cagectl("run", a.cards.write(card), "--", *model.codex_words(), "Write hello.txt",
                       timeout=120)
    check(a, workspace, result, model, "/v1/responses", "real-codex")
    assert {request["authorization"] for request in model.requests()
            if request["path"] == "/v1/responses"} == {"Bearer sk-codex-test"}


def test_agents_of_two_users_work_side_by_side(a, b, model):
    processes = []
    for client in (a, b):
        card = client.card(agent="opencode", allowed_hosts=[f"127.0.0.1:{model.port}"],
                           agent_id="side-by-side", command=["opencode", "run", "Write hello.txt"],
                           environment={"OPENCODE_CONFIG_CONTENT": model.opencode_configuration()})
        processes.append((client, card, client.daemon.start_cagectl(
            client.user, "run", client.cards.write(card))))
    for client, card, process in processes:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0 and b"The task is done." in stdout, stderr
        assert os.stat(card["workspace"] + "/hello.txt").st_uid == client.user.uid


def test_opencode_in_a_terminal_with_a_person_at_it(a, model):
    """Its full-screen form: a task is typed, done, and control-C leaves it."""
    card = a.card(agent="opencode", allowed_hosts=[f"127.0.0.1:{model.port}"],
                  environment={"OPENCODE_CONFIG_CONTENT": model.opencode_configuration()})
    session = Terminal(a, card, rows=40, columns=120)
    try:
        session.until(b"Ask anything", timeout=60)
        time.sleep(2)  # it draws before it listens
        for character in b"Write hello.txt\r":
            time.sleep(0.05)
            session.type(bytes([character]))
        session.until(b"The task is done.", timeout=60)
        session.type(b"\x03")
        time.sleep(1)
        if session.process.poll() is None:
            session.type(b"\x03")
        assert session.finish() == 0
        assert termios.tcgetattr(session.slave) == session.before
    finally:
        session.close()
    assert os.stat(card["workspace"] + "/hello.txt").st_uid == a.user.uid
