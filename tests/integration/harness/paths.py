"""Where the sources and the built programs are. CAGED_BUILD names another build directory."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("CAGED_BUILD", ROOT / "build")).resolve()

CAGEDD = BUILD / "daemon" / "cagedd"
CAGED_INIT = BUILD / "daemon" / "init" / "caged-init"
CAGED_GATE = BUILD / "daemon" / "gate" / "caged-gate"
CAGECTL = BUILD / "client" / "cagectl"
ESCAPE = BUILD / "tests" / "escape" / "escape"
POLICY = ROOT / "policy"
MODEL_SERVER = ROOT / "tests" / "model-server" / "model-server"
