"""Fixtures of the integration tests: they run as root, with real users, a real daemon and real
agents. Everything that a fixture makes goes away with it."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness import leftovers, users
from harness.daemon import Client, Daemon, until
from harness.folders import Mounts
from harness.models import ModelServer
from harness.repository import Repository
from harness.tunnels import Echo
from harness.varlink import VarlinkError


@pytest.fixture(scope="session")
def base():
    """A folder on a real file system (a tmpfs might not take an idmapped mount), open to all."""
    if os.getuid() != 0:
        pytest.exit("the integration tests need root: sudo tests/run --integration", 2)
    path = Path(tempfile.mkdtemp(prefix="caged-tests-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def people(base):
    """Users a and b are members of the daemon's group, c is not."""
    users.remove_stale()
    try:
        group = users.make_group()
        made = {"a": users.make("a", base, group), "b": users.make("b", base, group),
                "c": users.make("c", base)}
        yield {**made, "root": users.root_user(), "group": group}
    finally:
        users.remove_all(os.getpid())


@pytest.fixture(scope="module")
def daemon(base, people):
    """One cagedd for the tests of a file; when it is told to end it ends well and leaves nothing."""
    daemon = Daemon(base, people["group"]).start()
    yield daemon
    assert daemon.process.poll() is None, f"cagedd died:\n{daemon.log()[-4000:]}"
    pid = daemon.pid
    assert daemon.stop() == 0, daemon.log()[-4000:]
    assert until(lambda: not leftovers.processes(pid, daemon.name), what="no process is left")
    assert leftovers.cgroups(daemon.name) == []


@pytest.fixture
def own_daemon(base, people):
    """A cagedd for one test that ends or kills it."""
    daemon = Daemon(base, people["group"]).start()
    yield daemon
    if daemon.process and daemon.process.poll() is None:
        daemon.stop()


@pytest.fixture
def a(daemon, people):
    return Client(daemon, people["a"])


@pytest.fixture
def b(daemon, people):
    return Client(daemon, people["b"])


@pytest.fixture
def root(daemon, people):
    return Client(daemon, people["root"])


@pytest.fixture(scope="session")
def model_server(base):
    """Starts scripted model servers: model_server(turns) gives one."""
    started = []

    def start(turns):
        started.append(ModelServer(base, turns))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def mounts():
    """mounts(*words, at=FOLDER) runs mount(8); what is mounted in the end is unmounted."""
    mounts = Mounts()
    yield mounts
    mounts.close()


@pytest.fixture
def echoes():
    servers = [Echo(), Echo(), Echo()]
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def agent(a):
    """Spawns an agent that sleeps; gives its card. Ends all of them."""
    made = []

    def spawn(ask_seconds=None, **keys):
        card = a.card("sleep 600", **keys)
        a.daemon.spawn(a.user, card, ask_seconds=ask_seconds)
        made.append(card["agent_id"])
        return card
    yield spawn
    for agent_id in made:
        try:
            a.call("Kill", agent_id=agent_id)
        except VarlinkError as error:
            assert error.name == "NotRunning"
        a.wait(agent_id)


@pytest.fixture
def made(a):
    """Makes repositories at or below a new workspace."""
    numbers = iter(range(100))

    def make(*below, **options):
        if not hasattr(make, "workspace") or options.pop("new", False):
            make.workspace = a.user.folder(f"git-{os.urandom(3).hex()}-{next(numbers)}")
        path = make.workspace
        for name in below:
            path = path / name
            if not path.exists():
                path.mkdir()
                os.chown(path, a.user.uid, a.user.gid)
        return Repository(a.user, path, **options)
    return make
