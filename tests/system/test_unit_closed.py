"""How closed the installed cagedd.service is: what it keeps from a daemon that was taken over, that
agents, who inherit its filters, are answered as if these were not there, and that the daemon needs each
capability which the unit leaves it."""

import json
import re
from pathlib import Path

UNISTD = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
DROP_IN = "/run/systemd/system/cagedd.service.d/{}.conf"

# In the daemon's place: attempts by number, as (name, number, arguments).
TAKEN_OVER = """
import ctypes, json, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return ctypes.get_errno()
def family(number):
    try: socket.socket(number, socket.SOCK_DGRAM, 0).close()
    except OSError as error: return error.errno
    return 0
print(json.dumps({
    "calls": {name: attempt(*words) for name, words in CALLS.items()},
    "families": {name: family(number) for name, number in FAMILIES.items()},
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapBnd")],
}))
"""
# Each is one that root may make, with arguments that do nothing; and what it says where it may.
CALLS = {"kexec_load": (246, 0, 17, 0, 0), "reboot": (169, 0, 0, 0, 0), "bpf": (321, 99, 0, 0),
         "perf_event_open": (298, 0, 0, 0, 0, 0), "ptrace": (101, 16, 0, 0, 0),
         "init_module": (175, 0, 0, 0), "clock_settime": (227, 99, 0), "swapon": (167, 0, 0),
         "io_uring_setup": (425, 0, 0), "userfaultfd": (323, 2), "process_vm_writev": (311, 1, 0, 0, 0, 0, 9),
         "open_by_handle_at": (304, -1, 0, 0), "quotactl": (179, 0, 0, 0, 0), "iopl": (172, 9),
         "fanotify_init": (300, 1 << 30, 0), "syslog": (103, 99, 0, 0)}
FAMILIES = {"AF_PACKET": 17, "AF_VSOCK": 40, "AF_ALG": 38, "AF_INET": 2, "AF_UNIX": 1}
TRACE_ME = "python3 -c 'import ctypes; print([\"done\", \"refused\"][ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0])'"
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
NO_FILTERS = "[Service]\nSystemCallFilter=\nRestrictAddressFamilies=\n"


def run_in_its_place(guest):
    """What a program meets that runs where the daemon would."""
    guest.write("/root/taken-over.py", f"CALLS = {CALLS!r}\nFAMILIES = {FAMILIES!r}\n{TAKEN_OVER}")
    guest.write(DROP_IN.format("other"), "[Service]\nType=exec\nWatchdogSec=0\nExecStart=\nRestart=no\n"
                "ExecStart=/usr/bin/python3 /root/taken-over.py\nStandardOutput=file:/root/told\n")
    guest.systemctl("daemon-reload")
    guest.run("systemctl stop cagedd.socket cagedd.service; systemctl start cagedd.service", timeout=60)
    guest.wait_state("cagedd.service", "inactive")
    return json.loads(guest.read("/root/told"))


def test_a_daemon_that_was_taken_over_is_refused_what_its_unit_closes(fast):
    told = run_in_its_place(fast)
    assert set(told["calls"].values()) == {EPERM}, told
    assert {name for name, error in told["families"].items() if error == EAFNOSUPPORT} == {
        "AF_PACKET", "AF_VSOCK", "AF_ALG"}, told
    kept = fast.show("cagedd.service", "CapabilityBoundingSet").split()
    assert bin(int(told["capabilities"][0], 16)).count("1") <= len(kept) == 12


def test_without_the_units_filter_a_daemon_that_was_taken_over_would_do_more(fast):
    """So that the test above can fail."""
    fast.write(DROP_IN.format("open"), NO_FILTERS)
    told = run_in_its_place(fast)
    let_in = {name for name, error in told["calls"].items() if error != EPERM}
    assert let_in >= {"bpf", "io_uring_setup", "process_vm_writev", "quotactl"}, told
    assert told["families"]["AF_PACKET"] != EAFNOSUPPORT, told


def test_a_profile_that_allows_more_gets_it_by_a_drop_in(machine, caged):
    """As the unit's comment tells."""
    folder = "/usr/share/caged/seccomp"
    profile = json.loads(machine.read(f"{folder}/default.json"))
    profile["syscalls"] = [{"names": ["ptrace"], "action": "SCMP_ACT_ALLOW"}, *(
        {**rule, "names": [name for name in rule["names"] if name != "ptrace"]}
        for rule in profile["syscalls"])]
    machine.write(f"{folder}/debug.json", json.dumps(profile))
    machine.write("/etc/caged/policy.json", json.dumps({"rules": [
        {"name": "all", "groups": ["caged"], "seccomp_profiles": ["debug"]}]}))

    def traced():
        machine.systemctl("restart", "cagedd.service")
        return caged.run(TRACE_ME, seccomp_profile="debug").text

    assert traced() == "refused\n"
    machine.write(DROP_IN.format("ptrace"), "[Service]\nSystemCallFilter=ptrace\n")
    machine.systemctl("daemon-reload")
    assert traced() == "done\n"


# In a cage: all calls that the unit refuses, and what else its filters might change. Nothing is done by
# any: the arguments are none.
IN_A_CAGE = """
import ctypes, json, socket
libc = ctypes.CDLL(None, use_errno=True)
def answer(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return ctypes.get_errno()
def family(number, kind):
    try: socket.socket(number, kind, 0).close()
    except OSError as error: return error.errno
    return 0
parameter = ctypes.c_int(0)
told = {name: answer(number, -1, 0, 0, 0, 0) for name, number in NUMBERS.items()}
told.update({f"family {f} {k}": family(f, k) for f in range(46) for k in (1, 2, 3)})
told.update({f"personality {p:#x}": answer(135, p) for p in (8, 0x20000, 0x40000, 0)})
told.update({f"policy {p:#x}": answer(144, 0, p, ctypes.addressof(parameter)) for p in (0x40000000, 1)})
told["x32"] = answer(0x40000027)
told["filters"] = int([line.split()[1] for line in open("/proc/self/status")
                       if line.startswith("Seccomp_filters")][0])
print(json.dumps(told))
"""


def answers(guest, caged, numbers):
    guest.systemctl("restart", "cagedd.service", timeout=60)
    script = f"NUMBERS = {numbers!r}\n{IN_A_CAGE}"
    return json.loads(caged.run(f"cat > it.py <<'END'\n{script}END\npython3 it.py").stdout)


def test_agents_are_answered_the_same_with_and_without_the_units_filters(fast, fast_caged):
    known = dict(re.findall(r"^#define __NR_(\w+) (\d+)$", UNISTD.read_text(), re.M))
    refused = fast.show("cagedd.service", "SystemCallFilter").lstrip("~").split()
    numbers = {name: int(known[name]) for name in refused if name in known}
    assert len(numbers) > 40 and {"ptrace", "bpf", "reboot", "quotactl_fd"} <= numbers.keys()
    closed = answers(fast, fast_caged, numbers)
    fast.write(DROP_IN.format("open"), NO_FILTERS)
    fast.systemctl("daemon-reload")
    opened = answers(fast, fast_caged, numbers)
    assert closed.pop("filters") > opened.pop("filters") == 1  # its own, and what it inherits
    assert closed == opened
    assert closed["x32"] == ENOSYS and closed["personality 0x8"] == closed["policy 0x40000000"] == 0


# -- capabilities --

ASK_THE_GATE = """python3 -c '
import os, socket
gate = os.environ["http_proxy"].split("/")[2].split(":")
s = socket.create_connection((gate[0], int(gate[1])), 30)
s.sendall(b"CONNECT other.example:443 HTTP/1.1\\r\\n\\r\\n")
print(s.recv(12).decode())'"""


def plain(caged):
    return caged.run("echo started", check=False).text == "started\n"


def root_in_a_closed_folder(caged):
    workspace = caged.workspace("alice")
    caged.guest.run(["chmod", "700", workspace])
    return caged.run("pwd", user="root", workspace=workspace, check=False).text == "/workspace\n"


def preset(caged):
    return "README" in caged.run("ls ~/.config", agent="opencode", check=False).text


def low_port(caged):
    return caged.run("echo started", allowed_hosts=["localhost:80"], check=False).text == "started\n"


def gate(caged):
    return caged.run(ASK_THE_GATE, check=False).text == "HTTP/1.1 403\n"


def told_to_end(caged):
    """By root, since it cannot be told of another where it is either."""
    workspace = caged.workspace("alice")
    agent_id = caged.spawn("trap 'exit 7' TERM; touch ready; while :; do sleep 0.05; done",
                           workspace=workspace, user="root")
    caged.guest.until(["test", "-e", f"{workspace}/ready"])
    caged.cagectl("stop", "--grace=2", agent_id, user="root", check=False)
    return caged.cagectl("wait", agent_id, user="root", check=False).status == 7


def many_open_files(caged):
    limits = {"max_open_files": 100000}
    return caged.run("ulimit -n", resource_limits=limits, check=False).text == "100000\n"


# What does not work without: as the table in the unit's comment has it.
NEEDED_FOR = {
    "CAP_SYS_ADMIN": plain, "CAP_NET_ADMIN": plain, "CAP_SYS_PTRACE": plain, "CAP_SETUID": plain,
    "CAP_SETGID": plain, "CAP_SETPCAP": plain, "CAP_DAC_OVERRIDE": root_in_a_closed_folder,
    "CAP_CHOWN": preset, "CAP_NET_BIND_SERVICE": low_port, "CAP_SYS_CHROOT": gate, "CAP_KILL": told_to_end}


def with_capabilities(guest, names):
    guest.write(DROP_IN.format("capabilities"), "[Service]\nRestart=no\nCapabilityBoundingSet=\n"
                f"CapabilityBoundingSet={' '.join(names)}\n")
    guest.systemctl("daemon-reload")
    guest.run("systemctl stop cagedd.service; systemctl reset-failed; systemctl start cagedd.socket")


def capabilities(guest):
    return {name.upper() for name in guest.show("cagedd.service", "CapabilityBoundingSet").split()}


def test_each_capability_that_the_daemon_has_is_needed(fast, fast_caged):
    kept = capabilities(fast)
    assert kept == NEEDED_FOR.keys() | {"CAP_SYS_RESOURCE"}
    for name, works in NEEDED_FOR.items():
        with_capabilities(fast, kept)
        assert works(fast_caged), name
        with_capabilities(fast, kept - {name})
        assert not works(fast_caged), f"{name} can go"


def test_more_open_files_than_the_daemon_may_have_need_a_capability(machine, caged):
    assert many_open_files(caged)
    with_capabilities(machine, capabilities(machine) - {"CAP_SYS_RESOURCE"})
    assert not many_open_files(caged) and plain(caged)
