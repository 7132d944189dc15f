"""The code of the README and of every page is executed as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXPECTED = "Ada pays 420 cents"


def executed(page: Path) -> dict[str, Any]:
    """What a page's Python blocks define, run one after the other."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    return names


@pytest.fixture(scope="module")
def readme() -> dict[str, Any]:
    """What the README defines."""
    return executed(README)


def test_every_page_runs() -> None:
    """Python blocks define and import what there is; what a page says of their results is tested beside it."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    names = {page.name: executed(page) for page in pages}

    assert {"fulfil", "charge", "main", "in_memory"} <= set(names["README.md"])


def test_a_handler_is_an_ordinary_function(readme: dict[str, Any]) -> None:
    """What the README says of unit tests."""
    assert readme["with_tax"](100) == 120


async def test_in_memory(readme: dict[str, Any]) -> None:
    """The in-memory example gives what the flow says."""
    assert await readme["in_memory"]() == EXPECTED


async def test_on_postgres(readme: dict[str, Any], empty_database_url: str) -> None:
    """The PostgreSQL example migrates, works and gives the same."""
    assert await readme["main"](empty_database_url) == EXPECTED
