"""Fixtures of the system tests. `machine` is a virtual machine in which caged is installed and its
socket is active; every test finds it as the snapshot has it. README.md tells how to write one."""

import os
import re

import pytest

from harness import paths
from harness.caged import Caged
from harness.fast import FastLane
from harness.machine import KERNELS, Machine


def pytest_addoption(parser):
    parser.addoption("--kernels", default=None, metavar="LIST",
                     help="run every test with a machine on each of these kernels, as 6.1,6.12")


def pytest_configure(config):
    config.addinivalue_line("markers", "every_kernel: runs on each kernel, not only on the newest")
    if os.getuid() != 0:
        pytest.exit("the system tests need root: sudo tests/run --system", 2)
    unknown = set(chosen_kernels(config, KERNELS)) - set(KERNELS)
    if unknown:
        raise pytest.UsageError(f"--kernels: there is no {', '.join(unknown)}; there are {', '.join(KERNELS)}")


def chosen_kernels(config, default):
    chosen = config.getoption("--kernels")
    return chosen.split(",") if chosen else default


def pytest_generate_tests(metafunc):
    if "virtual_machine" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("every_kernel")
        kernels = chosen_kernels(metafunc.config, KERNELS if marked else KERNELS[:1])
        metafunc.parametrize("virtual_machine", kernels, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist takes the groups in its own
def pytest_collection_modifyitems(items):
    """What runs side by side (pytest -n): the tests of one file with one kernel stay together, and those
    with the same kernel come one after another, so that a worker seldom starts another machine."""
    items.sort(key=lambda item: kernel_of(item) == KERNELS[-1])
    for item in items:
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{kernel_of(item)}"))


def kernel_of(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("virtual_machine", KERNELS[0])


@pytest.fixture(scope="session")
def virtual_machine(request):
    """One at a time in each worker: pytest orders the tests by it."""
    machine = Machine(request.param).start()
    yield machine
    machine.stop()


@pytest.fixture
def machine(virtual_machine, request):
    """The machine as its snapshot has it."""
    if virtual_machine.dirty or virtual_machine.broken:
        virtual_machine.reset()
    yield virtual_machine
    keep_evidence(request, virtual_machine)


@pytest.fixture
def caged(machine):
    """caged in that machine, with users alice and bob in its group, and carol outside of it."""
    return Caged(machine)


@pytest.fixture(scope="session")
def fast_lane():
    lane = FastLane().start()
    yield lane
    lane.stop()


@pytest.fixture
def fast(fast_lane, request):
    """The fast lane as it is after its boot."""
    if fast_lane.dirty or fast_lane.broken:
        fast_lane.reset()
    yield fast_lane
    keep_evidence(request, fast_lane)


@pytest.fixture
def fast_caged(fast):
    """The same as `caged`, in the fast lane."""
    return Caged(fast)


# -- evidence of what failed --


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and report.when != "teardown":
        item.stash[FAILED] = True
        folder = evidence_folder(item)
        report.sections.append(("Evidence", f"journal and console: {folder}"))


FAILED = pytest.StashKey[bool]()


def evidence_folder(item):
    return paths.EVIDENCE / re.sub(r"[^\w.-]+", "_", item.nodeid.split("::", 1)[-1])


def keep_evidence(request, guest):
    if request.node.stash.get(FAILED, False):
        guest.save_evidence(evidence_folder(request.node))
