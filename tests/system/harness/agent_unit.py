"""caged-agent@ID.service in a guest: its card, drop-ins, state, processes."""

import json

CARDS = "/etc/caged/agents"


class AgentUnit:
    """The unit of one agent. Its agent's workspace is alice's, unless the card names another."""

    def __init__(self, guest, caged, agent_id="alpha"):
        self.guest, self.caged, self.agent_id = guest, caged, agent_id
        self.name = f"caged-agent@{agent_id}.service"
        self.card_path = f"{CARDS}/{agent_id}.json"
        self.folder = f"/sys/fs/cgroup/caged.slice/{self.name}"
        self.workspace = None

    def card(self, script, **keys):
        """Writes a card that runs a shell script; `keys` are the card's, `user` too."""
        user = {"user": keys.pop("user")} if "user" in keys else {}
        card = {**self.caged.card(script, **{"agent_id": self.agent_id, **keys}), **user}
        self.workspace = card["workspace"]
        self.guest.write(self.card_path, json.dumps(card))
        return card

    def drop_in(self, *lines, name="test"):
        """Lines that begin with "[" open a section; others before that are for [Service]."""
        text = "\n".join(["[Service]", *lines]) + "\n"
        self.guest.write(f"/etc/systemd/system/{self.name}.d/{name}.conf", text)
        self.guest.systemctl("daemon-reload")

    def start(self, script=None, check=True, **keys):
        if script is not None:
            self.card(script, **keys)
        return self.guest.systemctl("start", self.name, check=check, timeout=120)

    def stop(self):
        return self.guest.systemctl("stop", self.name, timeout=120)

    def show(self, *properties):
        return self.guest.show(self.name, *properties)

    def wait_state(self, state, timeout=30):
        self.guest.wait_state(self.name, state, timeout)

    def wait_file(self, name, timeout=20):
        """Waits until the agent has made a file in its workspace; returns what is in it."""
        return self.guest.until(f"cat {self.workspace}/{name}", timeout=timeout,
                                what=f"the agent makes {name}").text

    def wait_count(self, name, count, timeout=60):
        """Waits until a file in the workspace has so many lines."""
        self.guest.until(f'[ "$(wc -l <{self.workspace}/{name})" -ge {count} ]', timeout=timeout,
                         what=f"{name} has {count} lines")

    def agent(self):
        """The agent as the daemon tells of it; of several runs the last."""
        return self.caged.cagectl("inspect", "-j", self.agent_id, user=None).json()["agent"]

    def said(self):
        """What cagectl and systemd said of the unit."""
        entries = self.guest.journal(f"_SYSTEMD_UNIT={self.name}", "+", f"UNIT={self.name}")
        return "\n".join(str(entry.get("MESSAGE")) for entry in entries)
