"""The documentation: generated pages are those of this code, every page can be reached, and links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from docs.generating import FILES
from docs.site.state_chart import NotAStateChart, draw_state_chart, read_state_chart
from fairlead.kernel.transitions import RUN_TRANSITIONS, STEP_TRANSITIONS, TASK_TRANSITIONS
from tests.support.pages import blocks_of, pages_of
from tests.support.shown import Ids, unlike

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PLACE = re.compile(r"`((?:adapters|docs|hosts|kernel|ports|tests)/[\w/.*-]*)`")
DOTTED = re.compile(r"`(fairlead\.(?:adapters|hosts|kernel|ports)(?:\.\w+)*)`")
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_files_are_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes what a file follows from runs `make docs`; the terminal makes no difference."""
    monkeypatch.setenv("COLUMNS", "40")

    assert FILES[name]() == (DOCS / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What links into a page can name: its headings, as code hosts and the site write them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Every relative link of a page: as it is written, its file, its anchor."""
    for found in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        target, anchor = found[1], found[2]
        yield found[0], (page.parent / target if target else page), anchor or ""


def test_what_a_command_leaves_in_a_checkout_is_no_page(tmp_path: Path) -> None:
    """`make demo` writes its report beside the README; nobody promises that its links lead somewhere."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/index.md", "fairlead-survey.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    found = [page.relative_to(tmp_path).as_posix() for page in pages_of(tmp_path)]

    assert found == ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/index.md"]


def test_links_lead_somewhere() -> None:
    """Every relative link of every page is that of a file, and its anchor one of its headings."""
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages_of(ROOT)
        for link, target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]

    assert broken == []


def test_every_page_can_be_reached() -> None:
    """The navigation of the site, which stands in the first page, names each other page once, and no other."""
    entries = "\n".join(TOCTREE.findall((DOCS / "index.md").read_text(encoding="utf-8"))).splitlines()
    named = [entry for entry in entries if entry and not entry.startswith(":")]

    there = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(named) == sorted(there - {"index"})


def test_reasons_are_those_of_the_code() -> None:
    """The page names what is recorded as a reason, and nothing that is not."""
    page = (DOCS / "reference" / "reasons.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)`", page, flags=re.MULTILINE))
    sources = [path.read_text(encoding="utf-8") for name in ("kernel", "hosts") for path in (ROOT / name).rglob("*.py")]

    recorded = {found for source in sources for found in re.findall(r"\breason=\"(\w+)\"", source)}
    assert recorded - named == set()
    assert {word for word in named if not any(f'"{word}"' in source for source in sources)} == set()


def test_places_that_pages_name_are_there() -> None:
    """Files and folders of the repository, and modules and what is in them; `…` and `*` stand for anything."""
    missing: list[str] = []
    for page in pages_of(ROOT):
        for place in PLACE.findall(page.read_text(encoding="utf-8")):
            if not any(ROOT.glob(place.rstrip("/"))):
                missing.append(f"{page.relative_to(ROOT)}: {place}")
        for dotted in DOTTED.findall(page.read_text(encoding="utf-8")):
            if not is_importable(dotted):
                missing.append(f"{page.relative_to(ROOT)}: {dotted}")

    assert missing == []


def is_importable(dotted: str) -> bool:
    """Whether this is a module, or what stands in one."""
    module, _, name = dotted.rpartition(".")
    try:
        import_module(dotted)
    except ModuleNotFoundError:
        try:
            return hasattr(import_module(module), name)
        except ModuleNotFoundError:
            return False
    return True


def test_every_make_target_is_documented() -> None:
    """`make` lists each command that a person may give; files have a slash in their names."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))

    assert targets == set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert set(phony.split()) == targets


@pytest.mark.parametrize("table", [RUN_TRANSITIONS, STEP_TRANSITIONS, TASK_TRANSITIONS], ids=["run", "step", "task"])
def test_a_chart_shows_every_transition(table: Mapping[tuple[Any, Any], Any]) -> None:
    """Each table's chart, drawn as the site draws it, has every status and every trigger where it leads from and to."""
    page = (DOCS / "reference" / "statuses.md").read_text(encoding="utf-8")
    charts = [read_state_chart(text) for text in re.findall(r"```mermaid\n(.*?)```", page, flags=re.DOTALL)]
    wanted = {(str(before), str(trigger), str(after)) for (before, trigger), after in table.items()}
    chart = next(each for each in charts if wanted == {(a.before, t, a.after) for a in each.arrows for t in a.triggers})

    drawn = draw_state_chart(chart, "chart")

    assert {name for name in chart.states if f">{name}</text>" in drawn} == set(chart.states)
    triggers = [trigger for each in chart.arrows for trigger in each.triggers]
    assert re.findall(r'<text class="trigger"[^>]*>([^<]*)</text>', drawn) == triggers
    assert drawn.count('<path class="arrow"') == len(chart.arrows) + 1


@pytest.mark.parametrize("text", ["flowchart LR\n  a --> b", "stateDiagram-v2\n  [*] --> a\n  note right of a"])
def test_what_is_no_state_chart_is_refused(text: str) -> None:
    """Other diagrams, and lines that are no transitions, are not drawn wrongly."""
    with pytest.raises(NotAStateChart):
        read_state_chart(text)


@pytest.mark.parametrize("page", pages_of(ROOT), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_is_read(page: Path) -> None:
    """A fence that the rules of pages do not see would never be run; a note that they do not know says nothing."""
    blocks = blocks_of(page)

    assert 2 * len(blocks) == len(re.findall(r"^\s*```", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    notes = [block.note for block in blocks if block.note]
    assert [note for note in notes if not re.match(r"(not run|exit code|terminal): \S", note)] == []


ONE, OTHER = "01a21987-3fe4-70f5-b35b-53ec7d469cef", "01a21988-0c28-733f-9b1a-fdd823972e0c"


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        (["took 0.25 s at 20:23:44Z"], ["took 12 s at 07:00:01Z"]),
        (["first", "…", "last"], ["first", "2", "3", "last"]),
        (["worker … is lost", "…"], ["worker vm-1-9f is lost", "and more"]),
        (["STEP  STATUS"], ["STEP       STATUS"]),
        ([f"run {ONE}", f"again {ONE}"], [f"run {OTHER}", f"again {OTHER}"]),
    ],
)
def test_what_differs_each_time_may_differ(shown: list[str], came: list[str]) -> None:
    """Ids, times and durations, what a page leaves out, and how wide a column is."""
    assert unlike(shown, came, Ids()) is None


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        (["completed"], ["failed"]),
        (["first", "last"], ["first", "2", "last"]),
        (["first"], ["first", "more"]),
        (["first", "…", "last"], ["first", "2"]),
        (["took 0.25 s"], ["took long"]),
        ([f"run {ONE}", f"again {ONE}"], [f"run {ONE}", f"again {OTHER}"]),
    ],
)
def test_what_a_page_shows_wrongly_is_noticed(shown: list[str], came: list[str]) -> None:
    """Everything else must come as it is shown, and an id stands for one thing."""
    assert unlike(shown, came, Ids()) is not None


def test_commands_name_what_really_came() -> None:
    """A command that has a page's id is given with the id that came in its place."""
    ids = Ids()
    unlike([f"run {ONE}"], [f"run {OTHER}"], ids)

    assert ids.in_command(f"show {ONE}") == f"show {OTHER}"
