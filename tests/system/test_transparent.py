"""A card with `transparent` on Debian's kernels, under the daemon's unit as it is installed: the
kernel loads the modules for it, and an allowed name leads to its host through the gate."""

import json
import re

import pytest

pytestmark = pytest.mark.every_kernel
ADDRESS = "11.22.33.44"  # public in form; the machine has it itself
# The shipped one lets no name lead to the host's own addresses.
POLICY = {"rules": [{"name": "members", "groups": ["caged"], "private_hosts": ["web.example:*"]}]}


def test_names_lead_to_their_hosts_and_other_names_nowhere(caged, machine):
    machine.write("/etc/caged/policy.json", json.dumps(POLICY))
    machine.run(f"ip address add {ADDRESS}/32 dev lo; echo '{ADDRESS} web.example evil.example' >> /etc/hosts")
    machine.run(f"systemd-run --quiet --unit=web python3 -m http.server --bind {ADDRESS} "
                "--directory /usr/share 80")
    machine.until(f"curl -sf -o /dev/null http://{ADDRESS}/", timeout=60)
    result = caged.run(
        "unset http_proxy https_proxy; getent ahostsv4 web.example | head -n 1; "
        "curl -s -o /dev/null -w '%{http_code}\\n' http://web.example/; "
        "getent hosts evil.example || echo no such name; "
        "curl -s http://web.example:443/ || echo $?", transparent=True,
        allowed_hosts=["web.example:80", "web.example:81"], private_hosts=["web.example"])
    address, code, none, refused = result.lines
    assert re.match(r"198\.1[89]\.", address) and code == "200", result
    assert none == "no such name", result
    assert refused in ("7", "55", "56"), result  # reset, as early as while it connects
    assert "nft_tproxy" in machine.output("lsmod"), "a module of the kernel's, loaded on demand"


def test_the_hosts_own_rules_and_routes_stay_as_they_are(caged, machine):
    def found():
        return machine.output("ip route show table all; ip -br link; cat /proc/net/nf_conntrack 2>&1 || true")

    before = found()
    caged.run("true", transparent=True, allowed_hosts=["web.example"])
    assert found() == before
