"""caged in a guest: its users, cards, cagectl, and agents."""

import itertools
import json

GROUP = "caged"
MEMBERS = ("alice", "bob")
OTHERS = ("carol",)


def prepare(guest):
    """Does what follows an installation, and makes the users of the tests."""
    guest.run("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload", timeout=120)
    make_users(guest)
    guest.systemctl("start", "cagedd.socket")
    guest.has_users = True


def make_users(guest):
    """The users of the tests, as far as they are not there, where the group is."""
    make = [f"(id -u {name} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {name})"
            for name in MEMBERS + OTHERS]
    join = [f"usermod -aG {GROUP} {name}" for name in MEMBERS]
    guest.run(" && ".join(make + join), timeout=120)


class Caged:
    """alice and bob are in the group, carol is not."""

    def __init__(self, guest):
        self.guest = guest
        self.numbers = itertools.count(1)
        if not guest.has_users:  # it was made without prepare()
            make_users(guest)

    def workspace(self, user, name=None):
        """A new folder of the user's."""
        path = f"/home/{user}/{name or f'workspace-{next(self.numbers)}'}"
        self.guest.run(["install", "-d", "-o", user, "-g", user, path])
        return path

    def card(self, script=None, *, user="alice", **keys):
        """A card that runs a shell script; its workspace is made unless `keys` names one."""
        card = {"agent_id": f"t{next(self.numbers)}", **keys}
        if "workspace" not in card:
            card["workspace"] = self.workspace(user)
        if script is not None:
            card["command"] = ["/bin/sh", "-c", script]
        return card

    def write_card(self, card, *, user="alice", path=None):
        """Writes the card where that user can read it."""
        path = path or f"/home/{user}/{card['agent_id']}.json"
        self.guest.write(path, json.dumps(card), owner=f"{user}:{user}")
        return path

    def cagectl(self, *words, user="alice", **options):
        """Runs cagectl as that user."""
        return self.guest.run(["cagectl", *words], user=user, **options)

    def run(self, script, *, user="alice", check=True, timeout=60, **keys):
        """`cagectl run` of a shell script: the result has the agent's output and status."""
        path = self.write_card(self.card(script, user=user, **keys), user=user)
        return self.cagectl("run", path, user=user, check=check, timeout=timeout)

    def spawn(self, script, *, user="alice", **keys):
        """`cagectl spawn` of a shell script; returns the agent's id."""
        card = self.card(script, user=user, **keys)
        self.cagectl("spawn", self.write_card(card, user=user), user=user)
        return card["agent_id"]

    def inspect(self, agent_id, *, user="alice"):
        return self.cagectl("inspect", "-j", agent_id, user=user).json()

    def list(self, *words, user="alice"):
        return self.cagectl("list", "-j", *words, user=user).json()
