"""Real tools in a transparent cage, none of them told of a proxy: git over ssh, redis-cli, Node's
fetch, and resolvers that read /etc/resolv.conf by themselves (c-ares, musl)."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

from harness import tls
from harness.daemon import until
from harness.gate import PRIVATE, PUBLIC, PUBLIC_2, http_server, in_world
from harness.transparent import a, names, python, run, world


@contextlib.contextmanager
def started(user, *words, port, address=PUBLIC):
    """A server, run as a user, once it takes connections."""
    log = user.home / f"server-{port}.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(user.command(*words), stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT)

    def listens():
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address, port), 5).close()
            return True
        return False

    try:
        until(listens, 30, f"{words[0]} listens; its log: {log}")
        yield process
    finally:
        process.terminate()
        process.wait(20)


def user_runs(user, *words, **options):
    return subprocess.run(user.command(*words), check=True, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(user.home)}, **options).stdout


def make_repository(user):
    """A bare repository with one commit; returns its folder and the commit."""
    work, bare = user.folder("git-work"), user.home / "project.git"
    (work / "README").write_text("from the server\n")
    os.chown(work / "README", user.uid, user.gid)
    git = ["git", "-C", work, "-c", "user.name=T", "-c", "user.email=t@example"]
    user_runs(user, *git, "init", "-q", "-b", "main")
    user_runs(user, *git, "add", "README")
    user_runs(user, *git, "commit", "-q", "-m", "first")
    user_runs(user, "git", "clone", "-q", "--bare", work, bare)
    return bare, user_runs(user, *git, "rev-parse", "HEAD").strip()


def make_sshd(user, port):
    """The words of an ssh server that lets this user in by a key, and that key."""
    folder = user.folder("sshd", 0o700)
    for name in ("host", "client"):
        user_runs(user, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    user_runs(user, "cp", folder / "client.pub", folder / "authorized")
    configuration = folder / "config"
    configuration.write_text(
        f"ListenAddress {PUBLIC}:{port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nStrictModes no\n")
    return ["/usr/sbin/sshd", "-D", "-e", "-f", configuration], folder / "client"


@in_world
def test_git_clones_and_pushes_over_ssh(a):
    user, port = a.user, 2222
    bare, commit = make_repository(user)
    words, key = make_sshd(user, port)
    with names({"git.example": [PUBLIC]}) as dns, started(user, *words, port=port):
        workspace = user.folder("git-workspace")
        shutil.copy(key, workspace / "key")
        os.chown(workspace / "key", user.uid, user.gid)
        (workspace / "key").chmod(0o600)
        url = f"ssh://{user.name}@git.example:{port}{bare}"
        script = ("export GIT_SSH_COMMAND='ssh -i /workspace/key -o StrictHostKeyChecking=accept-new "
                  "-o UserKnownHostsFile=/tmp/known'; set -e; "
                  f"git clone -q {url} copy; cd copy; git rev-parse HEAD; cat README; "
                  "echo more > NEW; git add NEW; git -c user.name=A -c user.email=a@x commit -qm two; "
                  "git push -q origin HEAD:second; git rev-parse HEAD")
        result = run(a, script, agent_id="git-ssh", workspace=str(workspace),
                     allowed_hosts=[f"git.example:{port}"])
        assert result.status == 0, result
        cloned, text, pushed = result.text.splitlines()
        assert (cloned, text) == (commit, "from the server")
        assert user_runs(user, "git", "-C", bare, "rev-parse", "second").strip() == pushed
        network = a.inspect("git-ssh")["network"]
        assert (network["allowed"], network["refused"]) == (2, 0)
        a.daemon.log_lines("git-ssh", "allowed tcp git.example:2222", PUBLIC)
        assert set(dns.queries) == {"git.example"}

        denied = run(a, "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -p 2222 x@git.example true",
                     allowed_hosts=["git.example:22"])
        assert denied.status == 255 and "reset by" in denied.errors, denied


@in_world
def test_redis_cli_speaks_to_a_server_in_a_private_network(a):
    port = 6399
    words = ["redis-server", "--port", str(port), "--bind", PRIVATE, "--protected-mode", "no",
             "--save", "", "--dir", a.user.home]
    with names({"cache.example": [PRIVATE]}), started(a.user, *words, port=port, address=PRIVATE):
        script = (f"redis-cli -h cache.example -p {port} set greeting hello; "
                  f"redis-cli -h cache.example -p {port} get greeting")
        allowed = {"allowed_hosts": [f"cache.example:{port}"]}
        result = run(a, script, private_hosts=["cache.example"], **allowed)
        assert result.text.split() == ["OK", "hello"], result
        refused = run(a, script, **allowed)
        assert "hello" not in refused.text and refused.errors, refused


NODE = """
const dns = require('node:dns').promises, net = require('node:net');
(async () => {
  const answer = await fetch('http://web.example/fetched');
  console.log(await answer.text());
  console.log((await dns.resolve4('web.example')).length);
  console.log(await dns.resolve6('web.example').catch(e => e.code));
  console.log(await dns.resolve4('evil.example').catch(e => e.code));
  console.log(await dns.lookup('evil.example').catch(e => e.code));
  console.log(await fetch('http://evil.example/').catch(e => e.cause.code));
  const socket = net.connect(81, 'web.example');
  socket.on('error', e => console.log(e.code));
})();
"""


@in_world
def test_plain_node_fetches_without_any_setting(a):
    with names({"web.example": [PUBLIC], "evil.example": [PUBLIC_2]}) as dns:
        server = http_server(b"fetched", PUBLIC, 80)
        (a.user.home / "fetch.js").write_text(NODE)
        workspace = a.user.folder("node-workspace")
        (workspace / "fetch.js").write_text(NODE)
        result = run(a, "node --version; node fetch.js", workspace=str(workspace),
                     allowed_hosts=["web.example"])
        version, *lines = result.text.splitlines()
        assert int(version.lstrip("v").split(".")[0]) >= 18, version
        assert lines == ["fetched", "1", "ENODATA", "ENOTFOUND", "ENOTFOUND", "ENOTFOUND",
                         "ECONNRESET"], result
        assert server.received[0].startswith(b"GET /fetched HTTP/1.1\r\nhost: web.example\r\n")
        assert "evil.example" not in dns.queries


@in_world
def test_python_and_bash_connect_by_name(a):
    with names({"web.example": [PUBLIC], "db": [PUBLIC]}):
        http_server(b"body", PUBLIC, 80)
        result = run(a, python("import urllib.request as u\n"
                               "print(u.urlopen('http://web.example/').read())")
                     + "; bash -c 'exec 3<>/dev/tcp/db/80; printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; "
                       "cat <&3' | tail -n 1", allowed_hosts=["web.example", "db"])
        assert result.text.split() == ["b'body'", "body"], result


@in_world
def test_java_connects_by_name(a):
    """By a program of its own runtime, which shows the certificate that a server has."""
    with names({"a.example": [PUBLIC]}) as dns:
        server = tls.echo_server(8443)
        show = "keytool -printcert -rfc -sslserver"
        result = run(a, f"{show} a.example:8443; {show} evil.example:8443",
                     allowed_hosts=["a.example:8443"])
        shown, rest = result.text.split("-----END CERTIFICATE-----")
        assert shown.split() == certificate_text().split(), result
        assert set(server.names) == {"a.example"}
        assert "No certificate from the SSL server" in rest, result
        assert "evil.example" not in dns.queries


def certificate_text():
    text = Path(tls.certificate()).read_text(encoding="ascii")
    return text[text.index("-----BEGIN CERT"):text.index("-----END CERT")]


MUSL = """
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
        int r = getaddrinfo(argv[i], "80", &hints, &found);
        if (r == 0)
            r = connect(socket(AF_INET, SOCK_STREAM, 0), found->ai_addr, found->ai_addrlen) ? 99 : 0;
        printf("%d\\n", r);
    }
}
"""
EAI_NONAME = -2


@in_world
def test_a_program_with_musls_resolver_finds_its_way(a):
    workspace = a.user.folder("musl-workspace")
    (workspace / "resolve.c").write_text(MUSL)
    subprocess.run(["musl-gcc", "-static", "-o", workspace / "resolve", workspace / "resolve.c"],
                   check=True)
    with names({"web.example": [PUBLIC]}) as dns:
        http_server(b"", PUBLIC, 80)
        result = run(a, "./resolve web.example evil.example", workspace=str(workspace),
                     allowed_hosts=["web.example"])
        assert result.text.split() == ["0", str(EAI_NONAME)], result
        assert "evil.example" not in dns.queries
