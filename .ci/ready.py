"""Whether a build can work here: names every Debian package that is missing, before pip fails."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

LEAST = (3, 11)


def missing() -> list[str]:
    checks = {
        "python3-venv": importlib.util.find_spec("ensurepip") is not None,
        "python3-dev": Path(sysconfig.get_path("include"), "Python.h").exists(),
        "g++": shutil.which("g++") is not None or shutil.which("c++") is not None,
    }
    return [package for package, here in checks.items() if not here]


if sys.version_info < LEAST:
    found = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        f"farthing needs Python 3.11 or newer, this is {found}; try: make PYTHON=python3.12 ..."
    )
if packages := missing():
    sys.exit(f"farthing cannot be built yet; run: sudo apt install {' '.join(packages)}")
