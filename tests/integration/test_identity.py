"""Who a caller is: the kernel's word about who connected and about who sent each message. Connections
that come to other hands, setuid programs, namespaces, cages, and processes that are gone."""

import array
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
from types import SimpleNamespace

import pytest

from harness import paths
from harness.daemon import Daemon, until
from harness.patience import PATIENCE
from harness.users import acting_as
from harness.varlink import Connection, Disconnected, VarlinkError

LIST = "io.caged.List"
INFO = "org.varlink.service.GetInfo"


@pytest.fixture(scope="module")
def speak(base):
    """The program, where everybody can execute it."""
    return shutil.copy(paths.SPEAK, base / "speak")


def answer(text):
    """What `speak` printed: the parameters of a reply, or the exception that it stands for."""
    if text.strip() in ("ended", b"ended"):
        return Disconnected()
    reply = json.loads(text)
    if "error" in reply:
        return VarlinkError(reply["error"], reply["parameters"])
    return reply["parameters"]


def run(words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, timeout=PATIENCE, **options)
    assert done.returncode == 0, done.stderr.decode()
    return answer(done.stdout)


def refused(reply, *words, what=LIST):
    assert isinstance(reply, VarlinkError) and reply.name == "NotPermitted", reply
    assert reply.parameters["what"] == what, reply
    for word in words:
        assert str(word) in reply.parameters["reason"], reply


def served(reply):
    assert isinstance(reply, dict) and "agents" in reply, reply


def ended(connection):
    with pytest.raises(Disconnected):
        while True:
            connection.receive()


@pytest.fixture
def agent(a):
    agent_id = a.spawn("sleep 600")
    yield agent_id
    assert a.inspect(agent_id)["agent"]["state"] == "running"
    a.call("Kill", agent_id=agent_id)
    a.wait(agent_id)


# -- connections in other hands --

def send_as(user, connection, speak, method=LIST):
    """A process of that user's sends by a connection that was made before."""
    return run(user.command(speak, "given", "-", method), stdin=connection.socket)


def test_a_connection_in_another_users_hands_gives_nothing_and_ends(a, b, people, root, speak):
    for other in (b.user, people["c"], root.user):
        with a.connect() as connection:
            assert connection.call("List")
            refused(send_as(other, connection, speak), f"uid {a.user.uid}", f"uid {other.uid}",
                    what="connection")
            ended(connection)


def test_what_root_leaks_gives_nothing(a, root, speak):
    with root.connect() as connection:
        assert connection.call("List")
        refused(send_as(a.user, connection, speak), "uid 0", f"uid {a.user.uid}",
                what="connection")
        ended(connection)


def test_even_what_anybody_may_ask_is_refused_to_a_stranger(a, b, speak):
    with a.connect() as connection:
        refused(send_as(b.user, connection, speak, INFO), what="connection")


def test_a_connection_that_was_only_lent_goes_on(a, b, people):
    """It came to another user by SCM_RIGHTS, and back; nobody else has sent anything."""
    script = ("import socket\n"
              "s = socket.socket(fileno=0)\n"
              "_, fds, _, _ = socket.recv_fds(s, 1, 1)\n"
              "socket.send_fds(s, [b'x'], fds)\n")
    ours, theirs = socket.socketpair()
    with a.connect() as connection, ours, theirs:
        process = subprocess.Popen(b.user.command("/usr/bin/python3", "-c", script), stdin=theirs)
        socket.send_fds(ours, [b"x"], [connection.socket.fileno()])
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        assert process.wait(PATIENCE) == 0
        connection.socket.close()
        connection.socket = socket.socket(fileno=fds[0])
        connection.socket.settimeout(PATIENCE)
        assert connection.call("List") is not None


def test_another_process_of_the_same_user_may_go_on_with_it(a, speak):
    with a.connect() as connection:
        assert connection.call("List") is not None
        served(send_as(a.user, connection, speak))
        assert connection.call("List") is not None


def test_a_process_that_became_another_user_has_a_connection_of_no_use(a, root, daemon):
    """The connection was root's when it was made; its child is a user now."""
    script = ("import os, socket, sys\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(sys.argv[1])\n"
              "if os.fork() == 0:\n"
              "    os.setgroups([])\n"
              f"    os.setgid({a.user.gid})\n"
              f"    os.setuid({a.user.uid})\n"
              f"    s.send(b'{{\"method\": \"{LIST}\"}}\\0')\n"
              "    sys.stdout.write(s.recv(65536).rstrip(b'\\0').decode())\n"
              "    sys.stdout.flush()\n"
              "    os._exit(0)\n"
              "os.wait()\n")
    refused(run(["/usr/bin/python3", "-c", script, daemon.socket]), f"uid {a.user.uid}",
            what="connection")


def test_the_second_half_of_a_message_must_be_the_same_users(a, b, agent, speak):
    """What a stranger sends completes nothing that was begun."""
    text = json.dumps({"method": "io.caged.Kill", "parameters": {"agent_id": agent}}).encode()
    with a.connect() as connection:
        connection.send_bytes(text[:-1])
        process = subprocess.run(b.user.command("sh", "-c", "printf '}\\0' >&0"),
                                 stdin=connection.socket)
        assert process.returncode == 0
        with pytest.raises(VarlinkError) as error:
            connection.reply()
        refused(error.value, what="connection")
        ended(connection)


def test_calls_before_a_strangers_are_answered(a, b, agent, stopped):
    call = json.dumps({"method": "io.caged.Kill", "parameters": {"agent_id": agent}})
    with a.connect() as connection:
        connection.send("List")
        connection.send("Inspect", {"agent_id": "nothing"})
        subprocess.run(b.user.command("sh", "-c", f"printf '%s\\0' '{call}' >&0"),
                       stdin=connection.socket, check=True)
        connection.send("Kill", {"agent_id": agent})
        stopped()
        assert connection.reply()["agents"]
        names = []
        for _ in range(2):
            with pytest.raises(VarlinkError) as error:
                connection.reply()
            names.append(error.value.name)
        assert names == ["NoSuchAgent", "NotPermitted"]
        ended(connection)


def test_nobody_can_say_to_be_somebody_else(a, b, root):
    """A process may name itself by any of its ids, and no other (SCM_CREDENTIALS, unix(7))."""
    script = ("import os, socket, struct, sys\n"
              "s = socket.socket(fileno=0)\n"
              "pid, uid, gid = map(int, sys.argv[1:])\n"
              "try:\n"
              "    s.sendmsg([b'x'], [(1, 2, struct.pack('iII', pid or os.getpid(), uid, gid))])\n"
              "except PermissionError:\n"
              "    print('no')\n")
    user = a.user
    for who, claim in ((root.user, (0, 0, 0)), (b.user, (0, b.user.uid, b.user.gid)),
                       (user, (0, user.uid, b.user.gid)), (user, (os.getpid(), user.uid, user.gid))):
        for prefix in ([], namespaces("--user", "--map-current-user")):
            with Connection(a.daemon.socket, who) as connection:
                words = [*prefix, "/usr/bin/python3", "-c", script, *map(str, claim)]
                done = subprocess.run(user.command(*words), stdin=connection.socket,
                                      capture_output=True)
                # What is not mapped in a namespace cannot even be named there.
                assert done.stdout == b"no\n" or b"Invalid argument" in done.stderr, done
                assert connection.call("List") is not None


# -- setuid programs --

@pytest.fixture
def helper(base, speak):
    """A copy of `speak` that is setuid or setgid to somebody."""
    made = []

    def make(uid, gid, mode):
        path = base / f"helper-{os.urandom(4).hex()}"
        shutil.copy(speak, path)
        os.chown(path, uid, gid)
        path.chmod(mode)
        made.append(path)
        return path
    yield make
    for path in made:
        path.unlink()


@pytest.mark.parametrize("how", ["plain", "drop"])
@pytest.mark.parametrize("whose", ["root", "b"])
def test_what_a_setuid_program_connects_is_of_no_use_to_its_caller(a, daemon, people, helper, how,
                                                                   whose):
    program = helper(people[whose].uid, people[whose].gid, 0o4755)
    refused(run(a.user.command(program, how, daemon.socket, LIST)),
            f"uid {people[whose].uid}", f"uid {a.user.uid}", what="connection")


@pytest.mark.parametrize("whose", ["root", "b"])
def test_a_setuid_program_writes_to_its_callers_connection_as_its_caller(a, people, helper, agent,
                                                                         whose):
    """It gets what its caller gets, and nothing of its own user's."""
    program = helper(people[whose].uid, people[whose].gid, 0o4755)
    other = people["b"]
    with a.connect() as connection:
        reply = run(a.user.command(program, "given", "-", LIST), stdin=connection.socket)
        assert [one["owner_uid"] for one in reply["agents"]] == [a.user.uid]
    with Connection(a.daemon.socket, other) as connection:
        refused(run(a.user.command(program, "given", "-", LIST), stdin=connection.socket),
                what="connection")


def test_a_setgid_program_does_not_bring_its_caller_into_the_group(daemon, people, helper):
    members = int(subprocess.run(["getent", "group", people["group"]], capture_output=True,
                                 check=True).stdout.split(b":")[2])
    program = helper(0, members, 0o2755)
    outsider = people["c"]
    for how in ("plain", "drop"):
        refused(run(outsider.command(program, how, daemon.socket, LIST)), f"gid {members}",
                f"gid {outsider.gid}", what="connection")


def test_a_program_that_became_its_user_is_that_user(a, daemon, people, helper):
    """As sudo does it: it is not its caller any more, and its caller has no hand in it."""
    served(run(a.user.command(helper(0, 0, 0o4755), "become", daemon.socket, LIST)))


# -- namespaces --

def namespaces(*options):
    return ["unshare", *options, "--"]


@pytest.mark.parametrize("options", [["--user"], ["--user", "--map-root-user"],
                                     ["--user", "--map-current-user"],
                                     ["--user", "--map-root-user", "--pid", "--fork"]])
def test_a_user_namespace_is_recognised(a, daemon, speak, options):
    refused(run(a.user.command(*namespaces(*options), speak, "plain", daemon.socket, LIST)),
            "user namespace")


def test_who_is_refused_for_a_namespace_is_told_what_to_do(a, daemon):
    done = subprocess.run(a.user.command(*namespaces("--user"), paths.CAGECTL, "list", "--socket", daemon.socket),
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 77, done
    assert "call it from outside of there; or a rule with namespaced_peers" in done.stderr, done


def test_a_pid_namespace_is_recognised_even_of_root(a, root, daemon, speak):
    for user in (root.user, a.user):
        refused(run([*namespaces("--pid", "--fork"),
                     *user.command(speak, "plain", daemon.socket, LIST)]), "PID namespace")


def test_roots_user_namespace_with_all_uids_is_one_too(daemon, speak):
    """Its root is the host's by number: that alone would not tell."""
    words = namespaces("--user", "--map-users=0,0,1000000", "--map-groups=0,0,1000000")
    done = subprocess.run([*words, "true"], capture_output=True)
    if done.returncode != 0:  # by hand, where unshare(1) cannot yet
        words = ["/usr/bin/python3", "-c", UNSHARE_ALL]
    refused(run([*words, speak, "plain", daemon.socket, LIST]), "user namespace")


UNSHARE_ALL = """
import ctypes, os, sys
read, write = os.pipe()
child = os.fork()
if child == 0:
    parent = os.getppid()
    os.read(read, 1)
    for kind in ("uid_map", "gid_map"):
        with open(f"/proc/{parent}/{kind}", "w") as file:
            file.write("0 0 1000000")
    os._exit(0)
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(write, b"x")
os.waitpid(child, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_anybody_may_ask_is_answered_in_namespaces_too(a, daemon, speak):
    reply = run(a.user.command(*namespaces("--user"), speak, "plain", daemon.socket, INFO))
    assert reply["product"] == "cagedd"


def test_a_connection_from_outside_serves_nobody_inside_of_a_namespace(a, speak):
    with a.connect() as connection:
        served(send_as(a.user, connection, speak))
        reply = run(a.user.command(*namespaces("--user"), speak, "given", "-", LIST),
                    stdin=connection.socket)
        refused(reply, "user namespace")


AS_NUMBER = """
import os, socket, subprocess, sys
number, speak, method = int(sys.argv[1]), *sys.argv[2:]
for _ in range(2000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(number - 1))
    child = os.fork()
    if child == 0:
        if os.getpid() != number:
            os._exit(1)
        os.setgroups([])
        os.setresgid(*3 * [int(os.environ["GID"])])
        os.setresuid(*3 * [int(os.environ["UID"])])
        os.execvp("unshare", ["unshare", "--user", speak, "given", "-", method])
    if os.waitpid(child, 0)[1] == 0:
        sys.exit(0)
sys.exit("others were quicker each time")
"""


def test_a_number_that_is_used_again_is_not_taken_for_who_connected(a, daemon, speak):
    """A process in a namespace has the number of the one that connected, and its connection."""
    script = ("import os, socket, sys\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(sys.argv[1])\n"
              f"s.send(b'{{\"method\": \"{INFO}\"}}\\0')\n"
              "while not s.recv(65536).endswith(b'\\0'):\n"
              "    pass\n"
              "socket.send_fds(socket.socket(fileno=0), [b'%d' % os.getpid()], [s.fileno()])\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(a.user.command("/usr/bin/python3", "-c", script, daemon.socket),
                       stdin=theirs, check=True)
        number, fds, _, _ = socket.recv_fds(ours, 16, 1)
    environment = {**os.environ, "UID": str(a.user.uid), "GID": str(a.user.gid)}
    with socket.socket(fileno=fds[0]) as connection:
        served(send_as(a.user, SimpleNamespace(socket=connection), speak))
        refused(run(["/usr/bin/python3", "-c", AS_NUMBER, number.decode(), speak, LIST],
                    stdin=connection, env=environment), "user namespace")


def test_other_namespaces_are_no_matter(a, root, daemon, speak):
    """A service with a mount or network namespace of its own is still on the host."""
    served(run([*namespaces("--mount", "--net", "--ipc", "--uts", "--cgroup"),
                *a.user.command(speak, "plain", daemon.socket, LIST)]))


# -- subordinate uids --

@pytest.fixture
def subordinate(people):
    """A uid that user a has in /etc/subuid."""
    uid = 1_900_000_000
    assert not any(entry.pw_uid == uid for entry in pwd.getpwall())
    subprocess.run(["usermod", "--add-subuids", f"{uid}-{uid + 9}", people["a"].name], check=True)
    yield uid
    subprocess.run(["usermod", "--del-subuids", f"{uid}-{uid + 9}", people["a"].name], check=True)


def as_uid(uid, people, *words):
    return ["setpriv", f"--reuid={uid}", f"--regid={people['a'].gid}",
            f"--groups={people['group']}", "--", *words]


def test_a_subordinate_uid_is_no_user_of_its_own(a, daemon, people, speak, subordinate):
    refused(run(as_uid(subordinate + 9, people, speak, "plain", daemon.socket, LIST)),
            "subordinate")
    served(run(as_uid(subordinate + 10, people, speak, "plain", daemon.socket, LIST)))
    served(run(a.user.command(speak, "plain", daemon.socket, LIST)))


def test_a_setuid_file_of_a_subordinate_uid_makes_no_user(a, daemon, helper, subordinate):
    """Its owner could have made it in a namespace; run outside, it is in the host's, with its
    caller's groups."""
    program = helper(subordinate, a.user.gid, 0o4755)
    refused(run(a.user.command(program, "become", daemon.socket, LIST)), "subordinate")


def test_who_loses_the_uid_from_subuid_is_served_at_once(daemon, people, speak):
    uid = 1_900_000_100
    words = as_uid(uid, people, speak, "plain", daemon.socket, LIST)
    served(run(words))
    spans = f"{uid}-{uid}"
    subprocess.run(["usermod", "--add-subuids", spans, people["a"].name], check=True)
    try:
        refused(run(words), "subordinate")
    finally:
        subprocess.run(["usermod", "--del-subuids", spans, people["a"].name], check=True)
    served(run(words))


# -- cages --

def test_an_agent_that_gets_at_the_socket_is_refused(a, daemon, speak):
    """By a link in its workspace, as if the socket were its user's."""
    folder = a.user.folder("with-socket-" + os.urandom(4).hex())
    shutil.copy(speak, folder / "speak")
    os.link(daemon.socket, folder / "caged.sock")
    status = daemon.socket.stat()
    os.chown(daemon.socket, a.user.uid, a.user.gid)  # what is root's cannot be touched in there
    try:
        result = a.run(f"./speak plain caged.sock {LIST}; ./speak plain caged.sock {INFO}",
                       workspace=str(folder))
    finally:
        os.chown(daemon.socket, status.st_uid, status.st_gid)
    assert result.status == 0, result.errors
    first, second = result.text.splitlines()
    refused(answer(first), "in a cage")
    assert answer(second)["product"] == "cagedd"


def test_a_process_in_the_cgroup_of_cages_is_in_a_cage(a, root, daemon, speak):
    """Whoever put it there, and whatever its namespaces."""
    with open("/proc/self/mountinfo") as file:
        mount = next(line.split()[4] for line in file if " - cgroup2 " in line)
    folder = os.path.join(mount, daemon.name, "owner-4000000000")
    os.mkdir(folder)
    try:
        for user in (a.user, root.user):
            words = user.command(speak, "plain", daemon.socket, LIST)
            refused(run(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder, *words]),
                    "in a cage")
            served(run(words))
    finally:
        until(lambda: not open(f"{folder}/cgroup.procs").read())
        os.rmdir(folder)


RECEIVE = """python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/workspace/meet")
_, fds, _, _ = socket.recv_fds(s, 1, 1)
os.dup2(fds[0], 0)
os.execv("/workspace/speak", ["speak", "given", "-", "%s"])
'""" % LIST


def test_a_connection_that_is_handed_into_a_cage_gives_nothing(a, root, speak):
    for user in (a.user, root.user):
        folder = a.user.folder("meeting-" + os.urandom(4).hex())
        shutil.copy(speak, folder / "speak")
        with socket.socket(socket.AF_UNIX) as listener, Connection(a.daemon.socket, user) as own:
            with acting_as(a.user):
                listener.bind(str(folder / "meet"))
            listener.listen()
            listener.settimeout(PATIENCE)
            agent_id = a.spawn(RECEIVE, workspace=str(folder))
            peer, _ = listener.accept()
            socket.send_fds(peer, [b"x"], [own.socket.fileno()])
            a.wait(agent_id)
            peer.close()
        text, errors = a.output(agent_id)
        assert text, errors
        refused(answer(text), f"uid {user.uid}", what="connection")


# -- processes that are gone --

@pytest.fixture
def stopped(daemon):
    """cagedd takes no connection until it is told to go on."""
    daemon.process.send_signal(signal.SIGSTOP)
    yield lambda: daemon.process.send_signal(signal.SIGCONT)
    daemon.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("method", [LIST, INFO])
def test_who_has_ended_before_anybody_looked_is_nobody(a, daemon, speak, stopped, method):
    process = subprocess.Popen(a.user.command(speak, "orphan", daemon.socket, method),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"gone\n"
    process.stdin.write(b"x")
    process.stdin.flush()
    stopped()
    reply = answer(process.stdout.readline())
    assert process.wait(PATIENCE) == 0
    if method == INFO:
        assert reply["product"] == "cagedd"
    else:
        refused(reply, "has ended")


def send_and_go(user, daemon, agent_id):
    script = ("import json, socket, sys\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(sys.argv[1])\n"
              "s.send(json.dumps({'method': 'io.caged.Kill', 'oneway': True,\n"
              "    'parameters': {'agent_id': sys.argv[2]}}).encode() + b'\\0')\n"
              "if sys.argv[3:]:\n"
              "    sys.stdin.read()\n")
    return user.command("/usr/bin/python3", "-c", script, daemon.socket, agent_id)


def test_a_client_that_sends_and_goes_at_once_has_nothing_done(a, daemon, agent, stopped):
    """What it sent is there, but nobody can tell any more where it came from."""
    subprocess.run(send_and_go(a.user, daemon, agent), check=True, timeout=PATIENCE)
    stopped()
    with a.connect() as connection:  # taken after the other one
        assert connection.call("Inspect", {"agent_id": agent})["agent"]["state"] == "running"
    # `agent` looks once more.


def test_a_client_that_sends_and_stays_needs_no_answer(a, daemon):
    agent_id = a.spawn("sleep 600")
    process = subprocess.Popen([*send_and_go(a.user, daemon, agent_id), "stay"],
                               stdin=subprocess.PIPE)
    assert a.wait(agent_id)["reason"] == "killed"
    process.communicate()
    assert process.returncode == 0


# -- where the policy says otherwise --

@pytest.fixture(scope="module")
def liberal(base, people):
    """A daemon whose policy has one rule for namespaces too, and one without."""
    policy = {"rules": [{"users": [people["a"].name], "namespaced_peers": True},
                        {"users": ["*"], "namespaced_peers": False}]}
    daemon = Daemon(base, people["group"], policy=policy).start()
    yield daemon
    assert daemon.stop() == 0


def test_a_rule_may_let_its_users_come_from_namespaces(liberal, people, speak):
    words = [speak, "plain", liberal.socket, LIST]
    for options in (["--user"], ["--user", "--map-root-user", "--pid", "--fork"]):
        served(run(people["a"].command(*namespaces(*options), *words)))
        refused(run(people["b"].command(*namespaces(*options), *words)), "user namespace")


def test_even_so_a_connection_serves_nobody_but_who_made_it(liberal, people, speak):
    with Connection(liberal.socket, people["a"]) as connection:
        refused(run(people["b"].command(*namespaces("--user"), speak, "given", "-", LIST),
                    stdin=connection.socket), what="connection")
