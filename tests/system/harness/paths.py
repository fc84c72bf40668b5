"""Where things are. CAGED_BUILD names another build directory, CAGED_SYSTEM another folder for the
machines' image (it can be shared between clones)."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("CAGED_BUILD", ROOT / "build")).resolve()
SYSTEM = Path(os.environ.get("CAGED_SYSTEM", BUILD / "system")).resolve()
LOGS = BUILD / "tests-logs"
EVIDENCE = LOGS / "system"
IMAGE_SCRIPTS = ROOT / "tests" / "system" / "image"
# caged as it is installed by a distribution: prefix /usr, no tests.
PRODUCT_BUILD = BUILD / "system-build"
# Each worker of a parallel run has its own.
PRODUCT_TREE = BUILD / f"system-tree{os.environ.get('PYTEST_XDIST_WORKER', '')}"
