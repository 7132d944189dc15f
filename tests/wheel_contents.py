"""What the installed wheel consists of: `python wheel_contents.py CHECKOUT WHEEL`, run where it is installed.

Every file of the checkout's four folders must be in the wheel, and every module must import.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import zipfile
from pathlib import Path

import fairlead

FOLDERS = ("kernel", "ports", "adapters", "hosts")


def main(checkout: Path, wheel: Path) -> str:
    """Check both; returns what was found, and raises where something is missing."""
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if name.startswith("fairlead/")}
    wanted = {
        f"fairlead/{path.relative_to(checkout).as_posix()}"
        for folder in FOLDERS
        for path in (checkout / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == wanted, f"missing: {sorted(wanted - there)}; surplus: {sorted(there - wanted)}"
    modules = [module.name for module in pkgutil.walk_packages(fairlead.__path__, "fairlead.", onerror=_raise)]
    for name in modules:
        found = importlib.import_module(name)
        assert found.__file__ is not None, name
        assert checkout not in Path(found.__file__).parents, f"{name} comes from the checkout"
    return f"{len(there)} files, {len(modules)} modules"


def _raise(name: str) -> None:
    raise ImportError(f"{name} cannot be imported", name=name)


if __name__ == "__main__":
    print(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2])))
