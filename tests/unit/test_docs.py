"""The documentation: generated pages are those of this code, and what it links to exists."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the tests run beside an installed wheel")


def pages() -> Mapping[str, Callable[[], str]]:
    """What `docs/generate.py` writes."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Mapping[str, Callable[[], str]]", module.PAGES)


@pytest.mark.parametrize("name", ["options.md", "statuses.md", "cli.md"])
def test_generated_pages_are_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes an option, a status or a command runs `make docs`; the terminal makes no difference."""
    monkeypatch.setenv("COLUMNS", "40")

    assert pages()[name]() == (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def test_every_page_is_checked() -> None:
    """The test above names all that there are."""
    assert set(pages()) == {"options.md", "statuses.md", "cli.md"}


def test_links_lead_somewhere() -> None:
    """Every relative link of every page is that of a file."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_every_make_target_is_documented() -> None:
    """`make` lists each command that a person may give; files have a slash in their names."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))

    assert targets == set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert set(phony.split()) == targets
