"""The numbers of common/caged-limits.h by name, so that tests go one over whatever they are."""

import re

from . import paths

_TEXT = (paths.ROOT / "common" / "caged-limits.h").read_text()
_DEFINE = re.compile(r"^#define (\w+)\s+([\d()*+ ]*[\d)])\s*(?:/\*.*)?$", re.M)
LIMITS = {name: eval(value) for name, value in _DEFINE.findall(_TEXT)}  # numbers, *, + and ()
