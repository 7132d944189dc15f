"""The environments of the peers: each has one of its own, made from its pinned requirements when it is first needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..processes import ROOT

FOLDER = ROOT / ".venv" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"


def interpreter(peer: str, *, folder: Path = FOLDER) -> Path:
    """The Python of a peer's environment, which is made anew where its requirements have changed since."""
    environment, requirements = folder / peer, REQUIREMENTS / f"{peer}.txt"
    python, installed = environment / "bin" / "python", environment / "installed.txt"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        print(f"installing {peer} into {environment} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True)
        installed.write_bytes(requirements.read_bytes())
    return python
