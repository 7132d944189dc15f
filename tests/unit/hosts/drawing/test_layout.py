"""Places: nothing lies on anything else, edges go from box to box, and the same flow gives the same picture."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from fairlead.hosts.drawing.characters import Characters
from fairlead.hosts.drawing.chart import Chart, chart_of
from fairlead.hosts.drawing.layout import lay_out
from fairlead.hosts.drawing.pixels import Pixels
from fairlead.hosts.drawing.places import Box, Layout, Line, Measure, Point, Surround
from fairlead.kernel.plan import INPUT, StepPlan
from tests.support.drawn_plans import INGEST, plan, random_plan, when

CHARTS = [chart_of(INGEST), *(chart_of(random_plan(seed, 1 + seed % 23)) for seed in range(60))]
MEASURES: list[Measure] = [Pixels(), Characters()]

Area = tuple[int, int, int, int]


def area(thing: Box | Surround) -> Area:
    """Left, top, right, bottom."""
    corner, size = thing.corner, thing.size
    return corner.x, corner.y, corner.x + size.width, corner.y + size.height


def apart(one: Area, other: Area) -> bool:
    """Whether two areas have no point in common."""
    return one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


def within(inner: Area, outer: Area) -> bool:
    """Whether an area lies inside another, without touching its border."""
    return inner[0] > outer[0] and inner[1] > outer[1] and inner[2] < outer[2] and inner[3] < outer[3]


def touches(line: Line, target: Area) -> bool:
    """Whether a line comes upon an area, its border included."""
    return any(
        not apart((min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y)), target)
        for a, b in pairwise(line.points)
    )


def frames_of(layout: Layout, box: Box) -> list[Surround]:
    """The frames that lie around a box."""
    return [frame for frame in layout.frames if within(area(box), area(frame))]


@pytest.fixture(params=MEASURES, ids=["pixels", "characters"])
def measure(request: pytest.FixtureRequest) -> Measure:
    """Both ways of measuring."""
    found: Measure = request.param
    return found


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_boxes_are_apart_and_in_their_frames(chart: Chart, measure: Measure) -> None:
    """No two boxes touch; a box lies in the frames of its branches, and in no other."""
    layout = lay_out(chart, measure)

    assert sorted(box.node.key for box in layout.boxes) == sorted(chart.nodes)
    assert all(apart(area(one), area(other)) for one, other in combinations(layout.boxes, 2))
    for box in layout.boxes:
        around = {frame.frame.key for frame in frames_of(layout, box)}
        expected = {box.node.frames[:depth] for depth in range(1, len(box.node.frames) + 1)}
        assert around == expected
    for one, other in combinations(layout.frames, 2):
        nested = within(area(other), area(one)) or within(area(one), area(other))
        assert nested or apart(area(one), area(other))
    everything: list[Box | Surround] = [*layout.boxes, *layout.frames]
    for thing in everything:
        left, top, right, bottom = area(thing)
        assert min(left, top) >= 0
        assert right <= layout.size.width
        assert bottom <= layout.size.height


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_edges_lead_down_from_box_to_box(chart: Chart, measure: Measure) -> None:
    """Every edge begins below its source and ends above its target, in right angles, and comes upon no other box."""
    layout = lay_out(chart, measure)
    boxes = {box.node.key: box for box in layout.boxes}

    for line in layout.lines:
        begin, end = line.points[0], line.points[-1]
        source = area(boxes[line.edge.source])
        targets: list[Box | Surround] = [box for box in layout.boxes if box.node.key == line.edge.target]
        targets += [frame for frame in layout.frames if frame.frame.key == line.edge.target]
        assert begin == Point((source[0] + source[2]) // 2, source[3])
        assert any(end.y == top and left <= end.x <= right for left, top, right, _ in map(area, targets))
        assert all(a.x == b.x or a.y == b.y for a, b in pairwise(line.points))
        assert all(a.y <= b.y for a, b in pairwise(line.points))
        others = [box for key, box in boxes.items() if key not in (line.edge.source, line.edge.target)]
        assert [box.node.key for box in others if touches(line, area(box))] == []
    assert {line.edge for line in layout.lines} == set(chart.edges)


def test_it_is_the_same_every_time(measure: Measure) -> None:
    """Two charts of one flow have one layout."""
    for seed in range(10):
        one, other = (lay_out(chart_of(random_plan(seed, 20)), measure) for _ in range(2))

        assert one == other


def test_a_chain_is_straight(measure: Measure) -> None:
    """Steps that follow each other stand below each other, however wide they are, and the lines do not bend."""
    steps = [StepPlan(slug="a" * (number * 3 + 1), dependencies=()) for number in range(6)]
    chain = [
        StepPlan(slug=step.slug, dependencies=(before.slug,) if before else ())
        for before, step in zip([None, *steps], steps, strict=False)
    ]
    layout = lay_out(chart_of(plan(*chain)), measure)

    assert {len(line.points) for line in layout.lines} == {2}


def test_a_fan_is_even(measure: Measure) -> None:
    """What is done side by side stands in one row in order of definition, its source in the middle."""
    branches = [f"branch_{number}" for number in range(5)]
    join = StepPlan(slug="join", dependencies=tuple(branches))
    fan = plan(StepPlan(slug="start"), *(StepPlan(slug=name, dependencies=("start",)) for name in branches), join)
    layout = lay_out(chart_of(fan), measure)
    places = {box.node.key: box for box in layout.boxes}
    middles = {key: box.corner.x + box.size.width // 2 for key, box in places.items()}

    assert len({places[name].corner.y for name in branches}) == 1
    assert sorted(branches, key=middles.__getitem__) == branches
    assert middles["start"] == middles[INPUT] == middles["join"] == middles["branch_2"]


def test_a_branch_that_is_left_and_entered_again_is_two_frames(measure: Measure) -> None:
    """A step outside stands between two steps of one branch."""
    asked = when("judge", {"x": 1})
    layout = lay_out(
        chart_of(
            plan(
                StepPlan(slug="judge"),
                StepPlan(slug="inside", dependencies=("judge",), branches=(asked,)),
                StepPlan(slug="outside", dependencies=("inside",)),
                StepPlan(slug="again", dependencies=("judge", "outside"), branches=(asked,)),
            )
        ),
        measure,
    )

    assert [frame.frame.key for frame in layout.frames] == [(asked,), (asked,)]
    assert sum(line.edge.source == "judge" for line in layout.lines) == 2


def test_a_hundred_steps_are_drawn(measure: Measure) -> None:
    """A large flow has its place for everything too."""
    layout = lay_out(chart_of(random_plan(3, 100)), measure)

    assert len(layout.boxes) == 101
    assert all(apart(area(one), area(other)) for one, other in combinations(layout.boxes, 2))


def test_lines_of_different_sources_are_told_apart(measure: Measure) -> None:
    """They may cross, and never lie on each other."""
    found = lay_out(chart_of(INGEST), measure)
    pieces = [(line.edge.source, *piece) for line in found.lines for piece in pairwise(line.points)]

    for (one, a, b), (other, c, d) in combinations(pieces, 2):
        if one != other and (a.x == b.x == c.x == d.x or a.y == b.y == c.y == d.y):
            ends = [sorted((a, b)), sorted((c, d))]
            assert ends[0][1] < ends[1][0] or ends[1][1] < ends[0][0]
