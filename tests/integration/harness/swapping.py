"""Changes folders under the daemon's feet while agents are spawned in them."""

import ctypes
import multiprocessing
import os
import time

from .varlink import VarlinkError

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2


class Swapping:
    """A process of root's that does something over and over. (A thread would be whom the test acts
    as, from one moment to the next.)"""

    def __init__(self, *steps):
        fork = multiprocessing.get_context("fork")
        self.steps, self.over, self.count = steps, fork.Event(), fork.Value("Q", 0)
        self.process = fork.Process(target=self._run)

    @property
    def rounds(self):
        return self.count.value

    def _run(self):
        while not self.over.is_set():
            for step in self.steps:
                step()
            self.count.value += 1

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.process.join(60)
        assert self.process.exitcode == 0


def exchange(one, other):
    assert LIBC.renameat2(AT_FDCWD, str(one).encode(), AT_FDCWD, str(other).encode(),
                          RENAME_EXCHANGE) == 0


def _spawn(client, fd, script):
    card = client.card(script, workspace="/elsewhere")
    with client.connect() as connection:
        connection.call("Spawn", {"card": card, "workspace_fd": 0}, [fd])
    return card["agent_id"]


def spawns_while(swapping, client, open_workspace, script, rounds=200):
    """Spawns again and again until enough was swapped; (how many ran, outputs, reasons)."""
    ran, outputs, reasons, tried = 0, set(), set(), 0
    end = time.monotonic() + 60
    with swapping:
        while tried < 40 or swapping.rounds < rounds or ran == 0:
            assert time.monotonic() < end, (tried, swapping.rounds, ran, reasons)
            tried += 1
            try:
                fd = open_workspace()
            except OSError:
                continue
            try:
                agent_id = _spawn(client, fd, script)
            except VarlinkError as error:
                reasons.add(error.parameters.get("reason", str(error)))
                continue
            finally:
                os.close(fd)
            client.wait(agent_id)
            outputs.add(client.output(agent_id)[0].decode())
            ran += 1
    return ran, outputs, reasons
