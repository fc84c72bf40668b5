"""Where the sources and the built programs are. CAGED_BUILD names another build directory."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("CAGED_BUILD", ROOT / "build")).resolve()


def _for_everybody(program):
    """The program, or a copy of it if the build directory lies in somebody's closed home."""
    if not program.exists() or all(path.stat().st_mode & 0o001 for path in program.parents):
        return program
    folder = Path(tempfile.mkdtemp(prefix="caged-programs-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    return Path(shutil.copy(program, folder))


CAGEDD = BUILD / "daemon" / "cagedd"
CAGED_INIT = BUILD / "daemon" / "init" / "caged-init"
CAGED_GATE = BUILD / "daemon" / "gate" / "caged-gate"
CAGED_SCAN = BUILD / "daemon" / "scan" / "caged-scan"
CAGECTL = _for_everybody(BUILD / "client" / "cagectl")
ESCAPE = BUILD / "tests" / "escape" / "escape"
SPEAK = BUILD / "tests" / "integration" / "programs" / "speak"
HOSTILE = _for_everybody(BUILD / "tests" / "integration" / "programs" / "hostile")
POLICY = ROOT / "policy"
MODEL_SERVER = ROOT / "tests" / "model-server" / "model-server"
