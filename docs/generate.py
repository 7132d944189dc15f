"""Writes the pages and drawings that follow from the code: `make docs`. A test compares them with what is committed."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def main() -> None:
    """Write every file."""
    sys.path.insert(0, str(DOCS.parent))
    from docs.generating import FILES

    for name, make in FILES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
