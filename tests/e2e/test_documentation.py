"""What the README and the pages tell a reader to do is done, in order, and what they show comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.pages import blocks_of, pages_of
from tests.support.reader import Reader

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DONE = {"python", "console", "text"}
PAGES = [page for page in pages_of(ROOT) if any(block.language in DONE for block in blocks_of(page))]
ON_ITS_OWN = {"first-flow.md", "approval.md"}
"""Pages whose reader has no database yet."""

EXPECTED = "Ada pays 420 cents"

LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\bsrc="https?:[^"]*"|<link[^>]*\bhref="https?:[^"]*"|url\(["']?https?:[^)]*"""
)
"""What a browser fetches from elsewhere to show a page."""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that a page's code is executed in."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the reader works; what was imported from there is forgotten again."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.fault(46)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_is_true(
    page: Path,
    folder: Path,
    module: ModuleType,
    database_factory: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its files can be written, its code runs, its commands do what it shows."""
    with database_factory() as url:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment["XDG_DATA_HOME"] = str(folder.parent / "data")
        if page.name not in ON_ITS_OWN:
            environment["DATABASE_URL"] = url
            monkeypatch.setenv("DATABASE_URL", url)
        reader = Reader(folder, environment, module)
        try:
            for block in blocks_of(page):
                reader.do(block)
        finally:
            reader.leave()

    assert reader.not_shown == "", f"{page.name} does not show what its code printed"


@pytest.fixture
def readme(folder: Path, module: ModuleType) -> dict[str, Any]:
    """What the README's code defines."""
    reader = Reader(folder, {}, module)
    for block in blocks_of(README):
        reader.do(block)
    return vars(module)


def test_a_handler_is_an_ordinary_function(readme: dict[str, Any]) -> None:
    """What the README says of unit tests."""
    assert readme["with_tax"](100) == 120


async def test_in_memory(readme: dict[str, Any]) -> None:
    """The README's in-memory example gives what the flow says."""
    assert await readme["in_memory"]() == EXPECTED


async def test_on_postgres(readme: dict[str, Any], empty_database_url: str) -> None:
    """The README's PostgreSQL example migrates, works and gives the same."""
    assert await readme["main"](empty_database_url) == EXPECTED


def test_the_site(tmp_path: Path) -> None:
    """It is built without a warning, and loads nothing from elsewhere: it can be read without a network."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html", "docs", str(site)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    written = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")}

    assert (built.returncode, built.stderr) == (0, "")
    assert {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")} <= written
    foreign = [
        f"{path.relative_to(site)}: {found}"
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for found in LOADED.findall(path.read_text(encoding="utf-8"))
    ]
    assert foreign == []
