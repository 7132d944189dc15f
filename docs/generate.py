"""Writes the reference pages that follow from the code: `make docs`. A test compares them with what is committed."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def main() -> None:
    """Write every page."""
    sys.path.insert(0, str(DOCS.parent))
    from docs.generating import PAGES

    for name, page in PAGES.items():
        (DOCS / "reference" / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
