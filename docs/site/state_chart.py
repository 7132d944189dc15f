"""A state chart: read from Mermaid, drawn as SVG.

The pages hold their charts as Mermaid, which code hosts draw where they show Markdown. The site draws them itself, when
it is built, since Mermaid would be megabytes of script in every reader's browser. What `docs/generate.py` writes is
understood, and no more of Mermaid.

Columns from left to right are how far a state is from the first; the last one holds the states that have no way out.
What goes back, and what passes a column by, takes a way above or below the boxes between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from attrs import frozen

_ARROW = re.compile(r"(\S+) --> (\S+?)(?:: (.+))?")
_MARKER = "[*]"

BOX_WIDTH = 104
BOX_HEIGHT = 34
COLUMN_PITCH = 230
ROW_PITCH = 74
MARGIN = 30
LABEL_HEIGHT = 17
"""Pixels, as everything here: what a reader sees at the text's own size."""


class NotAStateChart(ValueError):
    """The text has a line that is no transition."""


@frozen
class Arrow:
    """All transitions from one state to another."""

    before: str
    after: str
    triggers: tuple[str, ...]


@frozen(kw_only=True)
class StateChart:
    """States and the ways between them."""

    first: str
    terminal: tuple[str, ...]
    """Those without a way out."""
    arrows: tuple[Arrow, ...]
    """In the order in which they were written."""

    @property
    def states(self) -> list[str]:
        """Every state, in the order in which they were first written."""
        return list(dict.fromkeys([self.first, *(name for each in self.arrows for name in (each.before, each.after))]))


def read_state_chart(text: str) -> StateChart:
    """Read `stateDiagram-v2`.

    Raises:
        NotAStateChart: it is another diagram, or has a line that is no transition.
    """
    title, *lines = [line.strip() for line in text.strip().splitlines()]
    if title != "stateDiagram-v2":
        raise NotAStateChart(f"only stateDiagram-v2 is drawn here, not {title!r}")
    first, terminal, triggers = "", list[str](), dict[tuple[str, str], list[str]]()
    for line in filter(None, lines):
        found = _ARROW.fullmatch(line)
        if found is None:
            raise NotAStateChart(f"{line!r} is no transition; write 'before --> after: trigger'")
        before, after, trigger = found.groups()
        if before == _MARKER:
            first = after
        elif after == _MARKER:
            terminal.append(before)
        else:
            triggers.setdefault((before, after), []).append(trigger or "")
    arrows = tuple(Arrow(before, after, tuple(names)) for (before, after), names in triggers.items())
    return StateChart(first=first, terminal=tuple(terminal), arrows=arrows)


@frozen(kw_only=True)
class _Place:
    """The middle of a state's box."""

    column: int
    x: float
    y: float

    @property
    def left(self) -> float:
        return self.x - BOX_WIDTH / 2

    @property
    def right(self) -> float:
        return self.x + BOX_WIDTH / 2


@frozen(kw_only=True)
class _Curve:
    """A cubic Bézier curve, and where along it its label stands."""

    points: tuple[tuple[float, float], ...]
    label_at: float = 0.5

    @property
    def path(self) -> str:
        (x, y), *rest = self.points
        return f"M{x:.0f},{y:.0f} C" + " ".join(f"{x:.0f},{y:.0f}" for x, y in rest)

    def at(self, t: float) -> tuple[float, float]:
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        x, y = (sum(w * point[axis] for w, point in zip(weights, self.points, strict=True)) for axis in (0, 1))
        return x, y


def draw_state_chart(chart: StateChart, title: str) -> str:
    """The chart as an `<svg>` element; its colours come from the page.

    Args:
        chart: what to draw.
        title: what a screen reader says.
    """
    places = _places(chart)
    curves = {each: _curve(each, chart, places) for each in chart.arrows}
    labels = [(*curves[each].at(curves[each].label_at), each.triggers) for each in chart.arrows]
    ys = [y for curve in curves.values() for y in (curve.at(step / 20)[1] for step in range(21))]
    ys += [y + side * BOX_HEIGHT / 2 for y in (place.y for place in places.values()) for side in (-1, 1)]
    ys += [y + side * len(lines) * LABEL_HEIGHT / 2 for _, y, lines in labels for side in (-1, 1)]
    left, top = -BOX_WIDTH / 2 - MARGIN, min(ys) - MARGIN / 2
    width = max(place.right for place in places.values()) + MARGIN - left
    height = max(ys) + MARGIN / 2 - top
    first = places[chart.first]
    parts = [
        f'<svg class="state-chart" role="img" viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="arrow-head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>',
        f'<circle cx="{first.left - 22:.0f}" cy="{first.y:.0f}" r="6"/>',
        f'<path class="arrow" d="M{first.left - 16:.0f},{first.y:.0f} L{first.left:.0f},{first.y:.0f}"/>',
        *(f'<path class="arrow" d="{curve.path}"/>' for curve in curves.values()),
        *(line for name, place in places.items() for line in _box(name, place, final=name in chart.terminal)),
        *(line for x, y, lines in labels for line in _label(x, y, lines)),
        "</svg>",
    ]
    return "\n".join(parts)


def _places(chart: StateChart) -> Mapping[str, _Place]:
    living = [name for name in chart.states if name not in chart.terminal]
    columns: dict[str, int] = {}
    for name in living:
        earlier = [each.before for each in chart.arrows if each.after == name and each.before in columns]
        columns[name] = max((columns[before] + 1 for before in earlier), default=0)
    last = max(columns.values()) + 1
    places: dict[str, _Place] = {}
    for column, found in groupby(sorted(living, key=lambda name: columns[name]), key=lambda name: columns[name]):
        places.update(_column(column, list(found)))
    places.update(_column(last, _outermost_passing(chart, columns, last)))
    return places


def _outermost_passing(chart: StateChart, columns: Mapping[str, int], last: int) -> list[str]:
    """The terminal states, with one in the middle that no arrow reaches by passing a column."""
    order = list(chart.terminal)
    passed = {each.after for each in chart.arrows if columns[each.before] < last - 1}
    middle = len(order) // 2
    if len(order) % 2 and order[middle] in passed:
        free = next((name for name in order if name not in passed), order[middle])
        order.remove(free)
        order.insert(middle, free)
    return order


def _column(column: int, names: Sequence[str]) -> Iterator[tuple[str, _Place]]:
    for row, name in enumerate(names):
        y = (row - (len(names) - 1) / 2) * ROW_PITCH
        yield name, _Place(column=column, x=column * COLUMN_PITCH, y=y)


def _curve(arrow: Arrow, chart: StateChart, places: Mapping[str, _Place]) -> _Curve:
    before, after = places[arrow.before], places[arrow.after]
    distance = after.column - before.column
    if distance <= 0:
        return _back(before, after, side=_free_side(chart, places))
    if distance == 1:
        bend = (after.left - before.right) / 2
        points = (
            (before.right, before.y),
            (before.right + bend, before.y),
            (after.left - bend, after.y),
            (after.left, after.y),
        )
        return _Curve(points=points, label_at=0.62 if after.y != before.y else 0.5)
    side = -1 if after.y < 0 else 1
    passing = max(abs(after.y), ROW_PITCH)
    start = before.x - side * after.y / 12, before.y + side * BOX_HEIGHT / 2
    points = (start, (start[0], side * passing), (after.left - 170, side * passing), (after.left, after.y))
    return _Curve(points=points, label_at=0.36)


def _back(before: _Place, after: _Place, *, side: int) -> _Curve:
    rise = side * (BOX_HEIGHT / 2 + 38 * (before.column - after.column + 1))
    edge = side * BOX_HEIGHT / 2
    points = (
        (before.x, before.y + edge),
        (before.x, before.y + rise),
        (after.x + 20, after.y + rise),
        (after.x + 20, after.y + edge),
    )
    return _Curve(points=points)


def _free_side(chart: StateChart, places: Mapping[str, _Place]) -> int:
    """Above (-1) or below (1): where fewer arrows pass columns by."""
    passing = [each for each in chart.arrows if places[each.after].column - places[each.before].column > 1]
    below = sum(places[each.after].y > 0 for each in passing)
    return 1 if below < len(passing) - below else -1


def _box(name: str, place: _Place, *, final: bool) -> Iterator[str]:
    box = '<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{round}"/>'
    x, y = place.left, place.y - BOX_HEIGHT / 2
    yield box.format(kind="state", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, round=8)
    if final:
        yield box.format(kind="final", x=x + 4, y=y + 4, width=BOX_WIDTH - 8, height=BOX_HEIGHT - 8, round=5)
    yield f'<text class="name" x="{place.x:.0f}" y="{place.y:.0f}">{escape(name)}</text>'


def _label(x: float, y: float, lines: Sequence[str]) -> Iterator[str]:
    top = y - (len(lines) - 1) * LABEL_HEIGHT / 2
    for number, line in enumerate(lines):
        yield f'<text class="trigger" x="{x:.0f}" y="{top + number * LABEL_HEIGHT:.0f}">{escape(line)}</text>'
