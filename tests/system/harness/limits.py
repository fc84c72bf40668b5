"""What runs into a limit in a cage, and what the files of a cgroup and the daemon then say."""

import re

MIB = 1 << 20
ALLOCATE = "python3 -c 'x = b\"x\" * ({} << 20); print(\"have it\", flush=True)\nimport time; time.sleep(600)'"


def value(machine, path, key=None):
    """A number in a cgroup's file, by itself or behind a key."""
    text = machine.output(["cat", path])
    return int(text if key is None else re.search(rf"^{key} (\d+)$", text, re.M)[1])


def until_it_says(caged, agent_id, text, timeout=60):
    caged.guest.until(f"runuser -u alice -- cagectl logs {agent_id} | grep -q '{text}'",
                      timeout=timeout, what=f"{agent_id} says {text}")


def refused(caged, **keys):
    """Why a card is refused."""
    result = caged.cagectl("spawn", caged.write_card(caged.card("true", **keys)), check=False)
    assert result.status != 0, result
    return result.errors
