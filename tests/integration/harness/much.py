"""What an agent's owner can do to make the daemon say a lot: more than it keeps, or than fits into the
socket of who does not read."""

from harness.daemon import until
from harness.varlink import VarlinkError

NAMES = ["n%03d%s.example" % (i, ".".join([""] + ["y" * 60] * 3)) for i in range(200)]


def change_much(client, agent_id):
    """Changes the agent's hosts forty times: events of about 1.5 MB."""
    for i in range(40):
        def changed():
            lists = {("allow", "deny")[i % 2]: NAMES}
            try:
                return client.call("ChangeHosts", agent_id=agent_id, **lists)
            except VarlinkError as error:  # the log has to take it first
                assert error.name == "ReloadFailed"
                return None
        until(changed, timeout=30)
