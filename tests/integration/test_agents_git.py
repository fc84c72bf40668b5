"""Real agents in a real git repository, under the shipped site policy and what protects git by
default: they read, write, run commands and commit. CAGED_AGENTS names which of the five of
tests/agents (opencode and codex by default); tests/agents/try runs all of them."""

import json
import os
import shutil
import subprocess

import pytest

from harness import leftovers, paths, real_agents
from harness.daemon import JOURNAL, Daemon, until
from harness.patience import PATIENCE

AGENTS = os.environ.get("CAGED_AGENTS", "opencode codex").split()
REFUSED = "not-allowed.example"
NOTE = "The answer is 42.\n"
WHO = {"GIT_AUTHOR_NAME": "Agent of A", "GIT_AUTHOR_EMAIL": "agent@a.example",
       "GIT_COMMITTER_NAME": "Agent of A", "GIT_COMMITTER_EMAIL": "agent@a.example"}
TURNS = [{"read": "/workspace/question.txt"},
         {"write": {"path": "/workspace/answer.txt", "content": NOTE}},
         {"shell": "git add answer.txt && git commit --quiet --message='Answer the question' &&"
                   " git log --oneline; git status --short"},
         {"shell": f"curl --silent --max-time 20 http://{REFUSED}/;"
                   " echo 'exit 1' > .git/hooks/pre-commit; git config core.fsmonitor /bin/false;"
                   " expr 6 '*' 7"},
         {"say": "The task is done."}]


def by_the_shipped_policy(base, group):
    """A daemon under policy/site.json, whose group is the one of this test run."""
    text = (paths.POLICY / "site.json").read_text().replace('"caged"', json.dumps(group))
    return Daemon(base, group, policy=text)


@pytest.fixture(scope="module")
def daemon(base, people):
    daemon = by_the_shipped_policy(base, people["group"]).start()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def model(model_server):
    return model_server(TURNS)


def git(user, folder, *words):
    """What git says to the user, who is known to it by name and address."""
    return subprocess.run(
        [*user.command("git", "-C", folder, "-c", "user.name=A", "-c", "user.email=a@a.example"), *words],
        check=True, capture_output=True, text=True).stdout


def repository(user, name):
    folder = user.folder(name)
    git(user, folder, "init", "--quiet", "--initial-branch=main")
    file = folder / "question.txt"
    file.write_text("What is the answer?\n")
    os.chown(file, user.uid, user.gid)
    git(user, folder, "add", ".")
    git(user, folder, "commit", "--quiet", "--message=Ask")
    return folder


class Audit:
    """cagectl audit -f of all of the user's agents. It has subscribed when it tells that there is no past;
    where there is a journal, what it would miss is in that."""

    def __init__(self, client):
        self.process = client.daemon.start_cagectl(client.user, "audit", "-f", "-j", bufsize=0)
        if not JOURNAL.exists():
            assert b"no journal" in self.process.stderr.readline() + self.process.stderr.readline()
        os.set_blocking(self.process.stdout.fileno(), False)
        self.seen = b""

    def until(self, enough, invocation_id):
        """The records of a run so far, once `enough` of them are there."""
        def found():
            self.seen += self.process.stdout.read() or b""
            lines = [json.loads(line) for line in self.seen.splitlines(True) if line[-1:] == b"\n"]
            records = [line for line in lines if line["invocation_id"] == invocation_id]
            return records if enough(records) else None
        return until(found, what="the records of the agent")

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def audit(a):
    audit = Audit(a)
    yield audit
    audit.close()


def complete(records):
    """The refusal is there, and whatever was allowed has come to its end."""
    allowed = {record["request"] for record in records if record.get("verdict") == "allowed"}
    ended = {record["request"] for record in records if record["kind"] == "network_ended"}
    return allowed and allowed == ended and any(record.get("verdict") == "refused" for record in records)


def run(a, name, model, folder):
    """Spawns the agent with the task as its user would, waits, and gives its output."""
    card = real_agents.card(a, name, model, environment=WHO, workspace=str(folder))
    agent_id = card["agent_id"]
    started = a.cagectl("spawn", a.cards.write(card), "--",
                        *real_agents.words(name, model, "Answer question.txt and commit."))
    assert (started.status, started.text) == (0, f"{agent_id} running\n"), started
    waited = a.cagectl("wait", agent_id, timeout=2 * PATIENCE)
    output = a.cagectl("logs", agent_id)
    assert (waited.status, waited.text, waited.errors) == \
        (0, f"{agent_id} ended: exit status 0\n", ""), (waited, output)
    assert output.status == 0 and "The task is done." in output.text, output
    return agent_id


def check_repository(user, folder):
    """The commit is there, the files are the user's, and nothing that git runs has changed."""
    assert git(user, folder, "log", "--format=%s by %an <%ae>") == \
        "Answer the question by Agent of A <agent@a.example>\nAsk by A <a@a.example>\n"
    assert git(user, folder, "status", "--porcelain") == ""
    assert git(user, folder, "show", "HEAD:answer.txt") == NOTE
    assert git(user, folder, "fsck", "--strict") == ""
    assert not (folder / ".git/hooks/pre-commit").exists()
    assert "fsmonitor" not in (folder / ".git/config").read_text()
    assert {path.lstat().st_uid for path in folder.rglob("*")} == {user.uid}


def check_conversation(model, name, agent_id):
    """What the model was told: the key, and the results of each turn."""
    last = [request for request in model.requests() if request["path"].startswith(real_agents.PATHS[name])
            and (request["authorization"] or "").endswith(real_agents.key_of(name))][-1]
    read, _, committed, tried = map(str, last["results"])
    assert "What is the answer?" in read and "Answer the question" in committed
    assert f"caged refused {REFUSED}:80" in tried and agent_id in tried
    assert "Read-only file system" in tried and "could not write config" in tried and "42" in tried


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_works_and_commits_in_a_repository_under_the_shipped_policy(a, model, audit, name):
    assert shutil.which(name), f"install it: tests/agents/install {name}"
    folder = repository(a.user, f"repository-{name}")
    before = leftovers.idle(a.daemon)
    agent_id = run(a, name, model, folder)
    check_repository(a.user, folder)
    check_conversation(model, name, agent_id)
    ended = a.inspect(agent_id)
    assert ended["agent"]["planted"] == [] and "planted_incomplete" not in ended["agent"], ended
    records = audit.until(complete, ended["agent"]["invocation_id"])
    assert {(record["agent_id"], record["host"]) for record in records if record.get("verdict") == "allowed"} \
        == {(agent_id, "127.0.0.1")}, records
    assert [(record["host"], record["code"]) for record in records if record.get("verdict") == "refused"] == \
        [(REFUSED, "host-not-allowed")], "a quiet agent asks for nothing else"
    leftovers.until_as(a.daemon, before)
