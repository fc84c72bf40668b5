"""The measurements: one after the other, and in each the contestants in turn, so that whatever else
the machine does meets all alike."""

import json
import statistics
import subprocess

from .contestants import PROGRAMS, SERVER_AT

LANES = 16          # tunnels that are set up, or pages that are fetched, at a time
HELD = 1000


class Loads:
    """bench-load in the client's namespace."""

    def __init__(self, world):
        self.world = world

    def start(self, what, contestant, seconds, number):
        return subprocess.Popen(
            [PROGRAMS / "bench-load", what, contestant.address, SERVER_AT, str(seconds),
             str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=self.world.as_client)

    def run(self, what, contestant, seconds, number):
        """What it found, and the processor seconds that the contestant had for it."""
        before = contestant.processor_seconds() if contestant.pid else 0
        out, _ = self.start(what, contestant, seconds, number).communicate(timeout=seconds + 30)
        if not out:
            raise RuntimeError(f"{what} through {contestant.name} went wrong")
        after = contestant.processor_seconds() if contestant.pid else 0
        return json.loads(out), after - before


def _tunnels(loads, contestant, seconds):
    found, cost = loads.run("tunnels", contestant, seconds, LANES)
    yield "tunnels", found["count"] / found["seconds"]
    if contestant.pid:
        yield "processor/tunnels", cost / found["count"] * 1000


def _setup(loads, contestant, seconds):
    found, _ = loads.run("setup", contestant, seconds, 1)
    yield "setup p50", found["p50"]
    yield "setup p99", found["p99"]


def _echo(loads, contestant, seconds):
    found, _ = loads.run("echo", contestant, seconds, 1)
    yield "echo p50", found["p50"]
    yield "echo p99", found["p99"]


def _bulk(loads, contestant, seconds):
    moved = spent = 0
    for number in (1, 16):
        found, cost = loads.run("bulk", contestant, seconds, number)
        yield f"bulk {number}", found["count"] / found["seconds"] / 1e9
        moved += found["count"]
        spent += cost
    if contestant.pid:
        yield "processor/GB", spent / moved * 1e9


def _http(loads, contestant, seconds):
    found, _ = loads.run("http", contestant, seconds, LANES)
    yield "http", found["count"] / found["seconds"]


def _held(loads, contestant, seconds):
    if not contestant.pid:
        return
    load = loads.start("hold", contestant, 0, HELD)
    try:
        held = json.loads(load.stdout.readline() or "{}").get("count", 0)
        if held != HELD:
            raise RuntimeError(f"{contestant.name} holds {held} tunnels and not {HELD}")
        yield "memory held", contestant.private_memory() / 2**20
    finally:
        load.communicate(timeout=60)


MEASUREMENTS = (_tunnels, _setup, _echo, _bulk, _http, _held)


def run(world, contestants, rounds, seconds):
    """{key: {contestant: median}}"""
    loads = Loads(world)
    values = {}
    for contestant in contestants:
        if contestant.pid:
            values.setdefault("memory idle", {})[contestant.name] = [
                contestant.private_memory() / 2**20]
    for number in range(rounds):
        for measurement in MEASUREMENTS:
            turn = number % len(contestants)
            for contestant in contestants[turn:] + contestants[:turn]:
                for key, value in measurement(loads, contestant, seconds):
                    values.setdefault(key, {}).setdefault(contestant.name, []).append(value)
    return {key: {name: statistics.median(found) for name, found in row.items()}
            for key, row in values.items()}
