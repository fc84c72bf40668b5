"""What the agent finds around it: its variables, its files, its key, and nothing more."""

import os
import shutil
from pathlib import Path

import pytest

KEY = "sk-test-5f3a9c0d7e21"  # in the output of an agent that prints its environment
HIDDEN_KEY = "sk-test-never-to-be-seen-8b1d"
PROXY_NAMES = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"}
ALWAYS = {"PATH", "HOME", "USER", "TERM", "LANG", "TMPDIR", "AGENT_ID", "NODE_USE_ENV_PROXY"}
CA_NAMES = {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"}


def variables(a, **keys):
    # cat adds nothing, a shell would.
    result = a.run(None, command=["cat", "/proc/self/environ"], **keys)
    assert result.status == 0, result.errors
    return dict(entry.split("=", 1) for entry in result.text.split("\0") if entry)


def test_the_environment_is_what_is_listed(a):
    found = variables(a, agent_id="environment", environment={"MINE": "a b=c", "EMPTY": ""})
    assert found.pop("MINE") == "a b=c" and found.pop("EMPTY") == ""
    assert ALWAYS | PROXY_NAMES <= found.keys()
    assert found.keys() <= ALWAYS | PROXY_NAMES | CA_NAMES
    assert (found["HOME"], found["USER"], found["AGENT_ID"]) == ("/home/agent", "agent", "environment")
    assert found["NO_PROXY"] == found["no_proxy"] == "localhost,127.0.0.1,::1"
    assert found["http_proxy"] == found["HTTPS_PROXY"]
    assert found["http_proxy"].startswith("http://") and ":3128" in found["http_proxy"]
    assert found["NODE_USE_ENV_PROXY"] == "1"


def key_file(a, text, name="key"):
    path = a.user.home / name
    path.write_text(text)
    os.chown(path, a.user.uid, a.user.gid)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("provider, name", [
    ("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")])
def test_the_key_is_in_the_providers_variable(a, provider, name):
    found = variables(a, api_provider=provider, api_key_file=str(key_file(a, KEY + "\n")))
    assert found[name] == KEY


def test_a_custom_providers_key_is_in_the_presets_variable(a):
    card = {"api_provider": "custom", "api_key_file": str(key_file(a, KEY))}
    assert variables(a, **card)["API_KEY"] == KEY
    found = variables(a, agent="gemini", **card)
    assert found["GEMINI_API_KEY"] == KEY and "API_KEY" not in found


@pytest.mark.parametrize("card, preset", [
    ({"command": ["/usr/bin/env"]}, ""), ({"command": ["env"], "agent": "codex"}, "codex"),
    ({"command": ["/workspace/codex"]}, "codex"), ({"command": ["/workspace/Codex"]}, ""),
    ({"agent": "codex"}, "codex"), ({}, "opencode")])
def test_which_preset_a_card_has(a, card, preset):
    """The one it names, else that of its program if there is one; the default without a command."""
    workspace = a.user.folder(f"preset-{preset}-{len(str(card))}")
    for name in ("codex", "Codex"):
        script = workspace / name
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
    agent_id = a.spawn(workspace=str(workspace), **card)
    assert a.inspect(agent_id)["agent"]["agent"] == preset
    assert a.cagectl("kill", agent_id).status in (0, 67)
    a.wait(agent_id)


def test_the_key_is_nowhere_else(a, daemon):
    """Not in an argv, a record, the log or a file; only in the agent's own environment."""
    path = key_file(a, HIDDEN_KEY)
    card = a.card("echo ready; sleep 60", api_provider="openai", api_key_file=str(path),
                  environment={"SECRET_OF_MINE": "hidden-c0ffee"})
    process = daemon.start_cagectl(a.user, "run", a.cards.write(card))
    assert process.stdout.readline() == b"ready\n"
    argvs = b""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            argvs += entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    inspected = a.cagectl("inspect", "-j", card["agent_id"])
    assert inspected.status == 0
    told = argvs + inspected.stdout + a.cagectl("inspect", card["agent_id"]).stdout + \
        a.cagectl("list", "-j").stdout
    a.call("Kill", agent_id=card["agent_id"])
    told += b"".join(process.communicate(timeout=20)) + daemon.log().encode()
    assert HIDDEN_KEY.encode() not in told and b"hidden-c0ffee" not in told
    for file in daemon.folder.rglob("*"):
        if file.is_file():
            assert HIDDEN_KEY.encode() not in file.read_bytes(), file


def test_errors_about_a_key_do_not_hold_it(a):
    path = key_file(a, HIDDEN_KEY + "\nsecond line\0", "bad-key")
    result = a.run("true", api_provider="openai", api_key_file=str(path))
    assert result.status != 0 and HIDDEN_KEY not in result.errors + a.daemon.log()
    assert "key" in result.errors


def test_a_key_file_that_its_user_cannot_read_is_refused(a, people):
    path = a.user.home / "roots-key"
    path.write_text(KEY)
    path.chmod(0o600)
    result = a.run("true", api_provider="openai", api_key_file=str(path))
    assert result.status != 0 and str(path) in result.errors


def test_a_path_to_a_key_without_its_descriptor_is_not_opened_for_a_user(a):
    error = a.refused(api_provider="openai", api_key_file="/etc/shadow")
    assert error.name in ("NotPermitted", "org.varlink.service.InvalidParameter"), error


def test_home_and_tmp_are_private_writable_and_executable(a):
    script = ("set -e; cd ~; printf '#!/bin/sh\\necho ran' > x; chmod +x x; ./x; "
              "cp x /tmp/y; /tmp/y; stat -c '%U %a' ~ /tmp; touch /workspace/z")
    result = a.run(script)
    assert result.text.split("\n")[:2] == ["ran", "ran"], result.errors
    assert a.run("ls -A /tmp; ls -A ~ | grep -x x; true").stdout == b""


def test_the_preset_s_configuration_is_in_place_but_not_the_agents(a):
    result = a.run("find / -user 0 -writable -not -type l -not -path '/proc/*' 2>/dev/null; ls -A ~",
                   agent="opencode")
    found = result.text.split()
    assert set(found) - {"/tmp", "/dev/shm", "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                         "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts/ptmx"} == {".config"}


def test_names_in_the_cage_are_its_own(a):
    result = a.run("id -un; id -u; id -g; hostname; cat /proc/1/comm; getent hosts localhost",
                   agent_id="names")
    lines = result.text.splitlines()
    assert lines[:4] == ["agent", "1000", "1000", "names"], result.text
    assert "localhost" in lines[-1]


def test_usr_is_roots_inside_and_read_only(a):
    result = a.run("stat -c %u /usr /usr/bin/env /; touch /usr/x; touch /x")
    assert result.text.split() == ["0", "0", "0"]
    assert result.errors.count("Read-only file system") + \
        result.errors.count("Permission denied") == 2


def test_a_setuid_program_gives_nothing(a):
    result = a.run("grep -E '^(NoNewPrivs|Seccomp|Cap...):' /proc/self/status")
    told = dict(line.split(":\t") for line in result.text.splitlines())
    assert told.pop("NoNewPrivs") == "1" and told.pop("Seccomp") == "2"
    assert set(told.values()) == {"0" * 16} and len(told) == 5
    folder = a.user.folder("setuid")
    for name, owner in (("roots", 0), ("own", a.user.uid)):
        shutil.copy("/usr/bin/id", folder / name)
        os.chown(folder / name, owner, owner)
        (folder / name).chmod(0o6755)
    result = a.run("./roots -u; ./roots -g; ./own -u; ./own -g", workspace=str(folder))
    assert result.text.split() == ["1000"] * 4, result


def test_only_the_cages_processes_are_seen(a):
    result = a.run("ls /proc | grep -c '^[0-9]*$'")
    assert int(result.text) <= 6


def test_only_the_three_descriptors_are_open(a):
    result = a.run(None, command=["python3", "-c", "import os\nfor i in range(64):\n"
                                  " try: print(i, os.readlink(f'/proc/self/fd/{i}'))\n"
                                  " except OSError: pass"])
    assert [line.split()[0] for line in result.text.splitlines()] == ["0", "1", "2"], result.text
