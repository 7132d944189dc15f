"""The SVG: well-formed, self-contained, accessible, and escaped whatever a flow is called."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from fairlead.hosts.drawing import chart_of, draw_svg
from fairlead.kernel.plan import Plan, StepPlan
from tests.support.drawn_plans import INGEST, MAIL, plan, random_plan, when

SVG = "{http://www.w3.org/2000/svg}"


def parsed(flow: Plan) -> ElementTree.Element:
    """The drawing as a tree; what is no XML raises."""
    return ElementTree.fromstring(draw_svg(chart_of(flow)))


def words(root: ElementTree.Element) -> list[str]:
    """All text that is seen."""
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def test_everything_is_said() -> None:
    """Title, steps, conditions, sources and policies."""
    found = words(parsed(INGEST))

    assert found[:2] == ["ingest_document", "version 2 · 6 steps"]
    expected = {
        "input",
        "each of fetch.pages",
        "10 % may fail",
        'unless judge.verdict = "good"',
        "unmet: the run fails",
    }
    assert {*INGEST.steps, *expected} <= set(found)


def test_what_waits_looks_its_own_way() -> None:
    """Signals and sleeps are groups of their own kinds, for which there is a style on light and on dark."""
    root = parsed(MAIL)
    kinds = [each.get("class") for each in root.iter(f"{SVG}g") if each.find(f"{SVG}title") is not None]
    style = root.find(f"{SVG}style")

    assert kinds.count("signal") == 1
    assert kinds.count("sleep") == 2
    assert style is not None
    assert (style.text or "").count(".signal .card") == 2
    assert {"waits for a signal", "sleeps until draft.send_at", "within 3 d, else skipped"} <= set(words(root))


def test_it_needs_nothing_from_elsewhere() -> None:
    """No script, link, picture, font or style sheet of another file, and colours for dark surroundings."""
    text = draw_svg(chart_of(INGEST))
    tags = {each.tag.removeprefix(SVG) for each in parsed(INGEST).iter()}

    assert tags == {"svg", "title", "desc", "style", "rect", "text", "g", "path"}
    assert re.findall(r"href|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert "prefers-color-scheme: dark" in text


def test_it_can_be_read_aloud() -> None:
    """It is an image with a name and a description, whose ids are its own on a page with several."""
    root = parsed(INGEST)
    name = "fairlead-ingest_document"
    by_id = {each.get("id"): each for each in root.iter() if each.get("id")}

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{name}-title {name}-description"
    assert by_id[f"{name}-title"].text == "Flow ingest_document, version 2 · 6 steps"
    assert by_id[f"{name}-description"].text == chart_of(INGEST).description
    style = root.find(f"{SVG}style")
    assert style is not None
    rules = re.findall(r"^ *([^@{}\n]+) \{", style.text or "", flags=re.MULTILINE)
    assert all(part.strip().startswith(f"#{name}") for rule in rules for part in rule.split(","))


def test_hostile_words_are_only_words() -> None:
    """Markup, quotes, ampersands and characters that XML cannot carry come out as text."""
    hostile = "</text><script>alert(1)</script>&amp;\"'\x07"
    root = parsed(plan(StepPlan(slug="a"), StepPlan(slug="b", dependencies=("a",), condition=when("a", hostile))))

    assert root.find(f".//{SVG}script") is None
    assert "<script>alert(1)</script>" in "".join(words(root))


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_it_is_as_large_as_what_is_in_it(steps: int) -> None:
    """Width, height and view agree, and nothing reaches over the border."""
    root = parsed(random_plan(steps, steps))
    width, height = int(root.get("width", "")), int(root.get("height", ""))
    places = [int(each.get("x", "0")) + int(each.get("width", "0")) for each in root.iter(f"{SVG}rect")]

    assert root.get("viewBox") == f"0 0 {width} {height}"
    assert max(places) <= width
    assert len(words(root)) >= steps + 3
