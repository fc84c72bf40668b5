"""cagectl policy with files alone: what `check` says of a policy and of the names in it, and what
`explain --policy` says of a card, for real users and groups. No daemon runs here."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.paths import CAGECTL, POLICY, ROOT

CARD = {"agent_id": "a", "workspace": "/w", "allowed_hosts": ["a.example:443"]}


@pytest.fixture
def write(base):
    folder = Path(tempfile.mkdtemp(dir=base))
    folder.chmod(0o755)

    def write_file(name, document):
        path = folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write_file


def policy(*words, user=None, stdin=None):
    command = [CAGECTL, "policy", *words]
    return subprocess.run(user.command(*command) if user else command, capture_output=True,
                          text=True, timeout=60, input=stdin)


def explain(write, rules, *words, card=None, user=None):
    done = policy("explain", "-j", "--policy", write("policy.json", {"rules": rules}), *words,
                  write("card.json", {**CARD, **(card or {})}), user=user)
    assert done.returncode in (0, 77), done
    reply = json.loads(done.stdout)
    return {**reply, "status": done.returncode,
            "ceilings": {row.pop("key"): row for row in reply["ceilings"]}}


# -- check --


def test_a_good_policy_is_ok(people, write):
    path = write("p.json", {"rules": [{"users": [people["a"].name], "groups": [people["group"]]}]})
    done = policy("check", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok\n", "")
    done = policy("check", "-q", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = policy("check", "-", stdin='{"rules": []}')
    assert (done.returncode, done.stdout) == (0, "standard input: ok\n")


def test_names_that_nobody_has_are_told_with_their_rule(write):
    path = write("p.json", {"rules": [{"name": "first", "users": ["root", "no-such-user-x"]}, {
        "users": ["*"], "access": [{"groups": ["no-such-group-x"], "may": ["see"]}]}]})
    done = policy("check", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: ok\n")
    assert done.stderr.splitlines() == [
        f'cagectl: {path}: warning: rule "first": there is no user "no-such-user-x" on this host: it '
        "matches nobody",
        f'cagectl: {path}: warning: rule "rule 2": there is no group "no-such-group-x" on this host: it '
        "matches nobody"]
    done = policy("check", "-j", path)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"policy": path, "ok": True, "rules": 2, "unknown": [
        {"rule": "first", "what": "user", "name": "no-such-user-x"},
        {"rule": "rule 2", "what": "group", "name": "no-such-group-x"}], "missing": [], "doubts": []}


def test_what_is_no_fault_and_hardly_meant_is_told(base, write):
    link = base / "a-link"
    link.symlink_to("/")
    (base / "a-file").touch()
    everybody = {"name": "all", "users": ["*"], "workspace_roots": ["/", str(base), f"{base}/none"],
                 "mount_roots": [str(link)], "writable_mount_roots": [f"{base}/a-file"]}
    path = write("p.json", {"rules": [{"name": "before", "groups": ["root"]}, everybody,
                                      {"name": "late", "groups": ["root"]},
                                      {"name": "roots", "users": ["root"]}]})
    told = [
        'the rule "late" never decides: the rule "all" before it is for everybody',
        f'the rule "all" lets nothing in by "{base}/none" of its workspace_roots, which is not there',
        f'the rule "all" lets nothing in by "{link}" of its mount_roots, which has a symbolic link in '
        "its path: write where it leads",
        f'the rule "all" lets nothing in by "{base}/a-file" of its writable_mount_roots, which is no '
        "folder"]
    done = policy("check", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: ok\n")
    assert done.stderr.splitlines() == [f"cagectl: {path}: warning: {text}" for text in told]
    done = policy("check", "-j", path)
    assert done.stderr == "" and json.loads(done.stdout)["doubts"] == told
    done = policy("check", write("empty.json", {"rules": []}))
    assert done.returncode == 0 and "no rule, so nobody but root may run" in done.stderr


def test_presets_and_profiles_that_are_not_installed_are_told_with_their_place(base, write):
    path = write("p.json", """{"rules": [
  {"name": "one", "users": ["root"], "presets": ["codex", "codexx",
    "claude", "my-own", "*"]},
  {"users": ["0"], "seccomp_profiles": ["default", "strict"]}
]}""")
    done = policy("check", "--data-dir", str(POLICY), path)
    assert (done.returncode, done.stdout) == (0, f"{path}: ok\n")
    assert done.stderr.splitlines() == [
        f'cagectl: {path}:2:59: warning: $.rules[0].presets[1]: found "codexx": there is no such preset in '
        f"{POLICY}/agents",
        f'cagectl: {path}:3:15: warning: $.rules[0].presets[3]: found "my-own": there is no such preset in '
        f"{POLICY}/agents",
        f'cagectl: {path}:4:52: warning: $.rules[1].seccomp_profiles[1]: found "strict": there is no such '
        f"seccomp profile in {POLICY}/seccomp"]
    done = policy("check", "-j", "--data-dir", str(POLICY), path)
    assert done.stderr == "" and json.loads(done.stdout)["missing"][1:] == [
        {"rule": "one", "path": "$.rules[0].presets[3]", "line": 3, "column": 15, "what": "preset", "name": "my-own"},
        {"rule": "rule 2", "path": "$.rules[1].seccomp_profiles[1]", "line": 4, "column": 52,
         "what": "seccomp profile", "name": "strict"}]
    # Where there is nothing to look into, that is told once; nobody asks where nothing is named.
    done = policy("check", "--data-dir", f"{base}/none", path)
    assert done.returncode == 0 and done.stderr == (
        f"cagectl: {path}: warning: whether there is what it names in {base}/none/agents was not looked at: No "
        "such file or directory\n")
    every = write("every.json", {"rules": [{"users": ["root"], "seccomp_profiles": ["*"]}]})
    assert policy("check", "--data-dir", f"{base}/none", every).stderr == ""


# Its own /etc, in which the daemon's policy is as the words make it; the caller's name service stays.
PRIVATE_ETC = """
set -e
etc=$1 prepare=$2; shift 2
mount -t tmpfs -o mode=755 none "$etc"
for file in passwd group nsswitch.conf ld.so.cache; do
    if test -e "/etc/$file"; then cp "/etc/$file" "$etc"; fi
done
mkdir "$etc/caged"
cd "$etc/caged"
echo '{"rules": [{"users": ["root"]}]}' >policy.json
eval "$prepare"
mount --bind "$etc" /etc
exec "$@"
"""


@pytest.fixture
def check_installed(base):
    """`cagectl policy check` of files with this content of /etc/caged."""
    def run(prepare, *files, options=()):
        etc = Path(tempfile.mkdtemp(dir=base))
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", PRIVATE_ETC, "sh", etc, prepare,
             CAGECTL, "policy", "check", *options, *files], capture_output=True, text=True, timeout=60)

    return run


# Each row: what is made of the daemon's file, and what of it is not as it must be.
REFUSED_FILES = {
    "another's": ("chown 1234 policy.json", "a file of uid 1234 with mode 0644"),
    "a group's": ("chmod 664 policy.json", "a file of uid 0 with mode 0664"),
    "everybody's": ("chmod 666 policy.json", "a file of uid 0 with mode 0666"),
    "in another's folder": ("chown 1234 .", "a folder of uid 1234 with mode 0755"),
    "in everybody's folder": ("chmod 777 .", "a folder of uid 0 with mode 0777"),
    "a link": ("mv policy.json p; ln -s p policy.json", "a symbolic link"),
}


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_of_the_daemons_own_file_is_told_what_the_daemon_would_refuse(check_installed, name):
    prepare, found = REFUSED_FILES[name]
    installed = "/etc/caged/policy.json"
    done = check_installed(prepare, installed)
    assert (done.returncode, done.stdout) == (65, ""), done
    first, hint = done.stderr.splitlines()
    assert first.startswith(f"cagectl: {installed}: found {found}, expected ") and "the daemon would refuse" in hint
    done = check_installed(prepare, "/etc/../etc/caged/policy.json", options=["-j"])
    verdict = json.loads(done.stdout)
    assert (done.returncode, done.stderr, verdict["ok"], verdict["found"]) == (65, "", False, found)


def test_the_daemons_own_file_as_it_must_be_is_ok_and_of_others_that_is_not_asked(check_installed):
    done = check_installed("chmod 1777 .; cp policy.json draft.json; chmod 666 draft.json",
                           "/etc/caged/policy.json", "/etc/caged/draft.json")
    assert (done.returncode, done.stderr) == (0, ""), done


def test_a_bad_policy_is_told_with_its_place(write):
    good, bad = write("good.json", {"rules": [{"users": ["root"]}]}), write("bad.json", {"rules": [
        {"users": ["a"]}, {"users": ["b"], "max_agent": 3}]})
    done = policy("check", bad, good)
    assert done.returncode == 65
    assert done.stdout == f"{good}: ok\n"
    assert done.stderr == (f"cagectl: {bad}:1:47: $.rules[1].max_agent: found an unknown key, expected a "
                           'key of the policy: did you mean "max_agents"?\n')


def test_text_that_is_no_json_is_told_with_line_and_column(write):
    path = write("p.json", '{\n  "rules": [\n    {"users": ["a"]},\n  ]\n}\n')
    done = policy("check", path)
    assert done.returncode == 65
    assert f"cagectl: {path}:4:3: $.rules[1]: found the character ']'" in done.stderr
    verdict = json.loads(policy("check", "-j", path).stdout)
    assert (verdict["line"], verdict["column"]) == (4, 3)


def test_a_policy_that_cannot_be_read_is_told(base, write):
    done = policy("check", str(base / "none.json"))
    assert done.returncode == 66 and "No such file or directory" in done.stderr
    done = policy("check", write("big.json", '{"rules": []}' + " " * 262144))
    assert done.returncode == 65 and "262144 bytes at most" in done.stderr


# -- explain --


def test_the_first_rule_for_a_user_decides(people, write):
    a, b, c = people["a"], people["b"], people["c"]
    rules = [{"name": "one", "users": [a.name]}, {"name": "two", "users": [str(c.uid)]},
             {"name": "many", "groups": [people["group"]], "max_agents": 3}]
    assert [explain(write, rules, "--as", user.name)["rule"] for user in (a, b, c)] == [
        "one", "many", "two"]
    assert explain(write, rules, "--as", str(b.uid))["index"] == 2
    assert explain(write, rules, user=b)["rule"] == "many"
    assert explain(write, rules, user=b)["ceilings"]["max_agents"]["ceiling"] == "3"
    root = explain(write, rules)
    assert (root["rule"], "index" in root, root["status"]) == ("root", False, 0)
    assert explain(write, [{"name": "r", "users": ["root"]}])["rule"] == "r"
    assert explain(write, [{"name": "all", "users": ["*"], "groups": ["root"]}])["rule"] == "root"


def test_who_has_no_rule_may_run_nothing(people, write):
    rules = [{"users": [people["a"].name]}]
    reply = explain(write, rules, "--as", people["c"].name)
    assert reply == {"ceilings": {}, "status": 77}  # as the daemon says it
    done = policy("explain", "--policy", write("p.json", {"rules": rules}), "--as",
                  people["c"].name, write("card.json", CARD))
    assert done.returncode == 77
    assert done.stdout.endswith("is for this user: nothing may be run.\n")


def test_each_ceiling_stands_beside_what_the_card_asks_for(write):
    rule = {"users": ["root"], "resource_limits": {"memory_mb": 1024, "cpu_quota_percent": 50},
            "max_ttl_seconds": 60, "total": {"memory_percent": 25}, "presets": ["codex"]}
    reply = explain(write, [rule], card={"resource_limits": {"memory_mb": 2048}, "agent": "codex",
                                         "environment": {"A": "hidden-value"}})
    assert reply["status"] == 77
    rows = reply["ceilings"]
    assert rows["resource_limits.memory_mb"] == {
        "ceiling": "1024", "asked": "2048", "effective": "refused", "ok": False,
        "reason": "found 2048, expected at most 1024"}
    assert rows["resource_limits.cpu_quota_percent"] == {
        "ceiling": "50", "asked": "none", "effective": "50", "ok": True}
    assert rows["ttl_seconds"] == {"ceiling": "60", "asked": "none", "effective": "60", "ok": True}
    assert rows["agent"] == {"ceiling": "codex", "asked": "codex", "effective": "codex", "ok": True}
    assert rows["total.memory_mb"]["ceiling"] == "25% of the host's"
    assert rows["allowed_hosts"]["asked"] == "a.example:443"
    assert rows["environment"]["asked"] == "A"
    assert "hidden-value" not in json.dumps(rows)
    assert [key for key, row in rows.items() if not row["ok"]] == ["resource_limits.memory_mb"]


def test_every_ceiling_of_a_rule_and_every_such_key_of_a_card_is_explained(write):
    """But for what is not of a card: who it is, from where, and what others may do."""
    schema = json.loads((POLICY / "policy.schema.json").read_text())
    rule = schema["properties"]["rules"]["items"]["properties"]
    named = {"presets": "agent", "workspace_roots": "workspace", "mount_roots": "mounts",
             "writable_mount_roots": "mounts", "parent_proxies": "proxy",
             "max_ttl_seconds": "ttl_seconds", "unprotected": "protect",
             "seccomp_profiles": "seccomp_profile", "excluded_file_systems": "workspace"}
    wanted = set()
    for key in set(rule) - {"name", "users", "groups", "access", "namespaced_peers"}:
        if key == "total":
            wanted |= {"total.memory_mb", "total.max_processes"}
        elif key == "resource_limits":
            wanted |= {f"{key}.{limit}" for limit in rule[key]["properties"]}
        else:
            wanted.add(named.get(key, key))
    assert set(explain(write, [])["ceilings"]) == wanted


def test_the_table_marks_what_is_refused(write):
    path = write("p.json", {"rules": [{"name": "tight", "users": ["root"],
                                       "allowed_hosts": ["*.example.com"]}]})
    done = policy("explain", "--policy", path, write("card.json", CARD))
    lines = done.stdout.splitlines()
    assert done.returncode == 77
    assert lines[0] == f'The rule "tight" decides, number 1 of {path}.'
    assert lines[2].split() == ["KEY", "THE", "CARD", "IN", "FORCE", "CEILING"]
    marked = [i for i, line in enumerate(lines) if line.startswith("!")]
    assert len(marked) == 1
    assert lines[marked[0]].split() == ["!", "allowed_hosts", "a.example:443", "refused",
                                        "*.example.com"]
    assert lines[marked[0] + 1] == (
        '    found the entry "a.example:443", expected what is within allowed_hosts of the rule '
        "(*.example.com)")
    done = policy("explain", "--policy", path,
                  write("card.json", {**CARD, "allowed_hosts": ["b.example.com"]}))
    assert done.returncode == 0 and "!" not in done.stdout


def test_what_an_agent_has_of_a_total_is_what_its_limits_were_lowered_to(write):
    rows = explain(write, [{"users": ["root"], "resource_limits": {"memory_mb": 256, "max_processes": 9},
                            "total": {"memory_mb": 900, "max_processes": 99}}])["ceilings"]
    assert [rows[f"total.{key}"]["effective"] for key in ("memory_mb", "max_processes")] == ["256", "9"]


def test_a_rule_that_gives_no_agents_permits_no_card(people, write):
    reply = explain(write, [{"users": [people["a"].name], "max_agents": 0}], user=people["a"])
    assert reply["status"] == 77
    assert [key for key, row in reply["ceilings"].items() if not row["ok"]] == ["max_agents"]


def test_the_readmes_policy_permits_the_readmes_card(people, write):
    """Both are copied, and then one refuses the other."""
    readme = (ROOT / "README.md").read_text()

    def example(heading):
        below = readme[readme.index(f"\n## {heading}\n"):]
        return json.loads(re.search(r"^    \{\n(?:    .*\n)+", below, re.M).group())

    rules = example("The site policy")["rules"]
    rules[0]["groups"], rules[1]["groups"] = ["root"], [people["group"]]
    reply = explain(write, rules, card=example("The card"), user=people["a"])
    assert (reply["rule"], reply["status"]) == ("developers", 0), reply


def test_by_the_shipped_policy_the_metadata_of_clouds_is_out_of_reach(people, write):
    text = (POLICY / "site.json").read_text().replace('"caged"', json.dumps(people["group"]))
    rules = json.loads(text)["rules"]
    for host, ok in (("localhost:11434", True), ("127.0.0.1:8080", True), ("[::1]", True),
                     ("10.1.2.3:22", True), ("192.168.1.0/24:*", True), ("[fd00::1]:22", True),
                     ("api.openai.com:443", True), ("*.github.com;sni=any", True),
                     ("169.254.0.0/16", True), ("198.51.100.1:8080", True),
                     ("169.254.169.254", False), ("169.254.170.2:80", False),
                     ("[fd00:ec2::254]", False), ("100.100.100.200", False),
                     ("168.63.129.16", False),
                     ("[64:ff9b::a9fe:a9fe]", False), ("[2002:a9fe:a9fe::1]", False)):
        reply = explain(write, rules, "--as", people["a"].name, card={"allowed_hosts": [host]})
        assert reply["ceilings"]["allowed_hosts"]["ok"] is ok, host
    reply = explain(write, rules, "--as", people["a"].name,
                    card={"allowed_hosts": ["db.corp.example:5432"],
                          "private_hosts": ["db.corp.example"]})
    assert reply["ceilings"]["private_hosts"]["ok"] is True


@pytest.mark.parametrize("words, told", [
    ([], "'policy' needs"), (["chek"], "there is no 'policy chek'"),
    (["check"], "'policy check' needs the file of a policy"),
    (["explain", "--policy", "p"], "'policy explain' needs a card"),
    (["explain", "--policy", "p", "c", "d"], "unexpected argument 'd'"),
    (["check", "--as", "root", "p"], "--as is not for 'policy check'"),
    (["reload", "--data-dir", "d"], "--data-dir is not for 'policy reload'"),
    (["explain", "--data-dir", "d", "c"], "--data-dir goes with --policy"),
    (["check", "--data-dir", "", "p"], "--data-dir wants a folder"),
    (["explain", "--policy", "", "c"], "--policy wants the file of a policy"),
    (["explain", "--as", "", "c"], "--as wants a user")])
def test_a_bad_command_line_is_told(words, told):
    done = policy(*words)
    assert done.returncode == 64 and told in done.stderr


def test_a_user_or_card_that_is_none_is_told(write):
    path, card = write("p.json", {"rules": []}), write("card.json", CARD)
    done = policy("explain", "--policy", path, "--as", "no-such-user-x", card)
    assert done.returncode == 64 and "there is no user 'no-such-user-x'" in done.stderr
    done = policy("explain", "--policy", path, write("bad.json", {**CARD, "workspace": 1}))
    assert done.returncode == 65 and "$.workspace" in done.stderr
    done = policy("explain", "--policy", write("bad.json", "[]"), card)
    assert done.returncode == 65 and "an object: the policy" in done.stderr
