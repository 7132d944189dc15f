"""A flow in the terminal, in box characters, or in ASCII where there is nothing better."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from attrs import evolve, frozen

from .characters import Characters, column_width, columns, rows_of
from .chart import Chart, Node
from .layout import lay_out
from .places import Box, Layout, Line, Point, Size, Surround


class Style(enum.Enum):
    """What a piece of the drawing is, for those who colour it."""

    PLAIN = enum.auto()
    TITLE = enum.auto()
    DETAIL = enum.auto()
    CONDITION = enum.auto()
    FRAME = enum.auto()
    INPUT = enum.auto()
    MAP = enum.auto()
    WAIT = enum.auto()
    EDGE = enum.auto()
    IMPLIED = enum.auto()


class Run(NamedTuple):
    """Characters of one style that follow each other."""

    text: str
    style: Style


@frozen
class Border:
    """The characters of a box: its corners clockwise from the upper left, its sides, and where an edge leaves it."""

    corners: str
    across: str
    down: str
    leaving: str


CARD = Border("╭╮╯╰", "─", "│", "┬")
MAP = Border("┏┓┛┗", "━", "┃", "┯")
WAIT = Border("╭╮╯╰", "┈", "┊", "┬")
INPUT = Border("╔╗╝╚", "═", "║", "╤")
FRAME = Border("┌┐┘└", "╌", "╎", "╌")

NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8

LINES = " │─╰││╭├─╯─┴╮┤┬┼"
"""By the directions in which a line goes on, as a sum."""
DOTTED = MappingProxyType({"│": "┆", "─": "┄"})

ARROW = "▼"

_ASCII = str.maketrans("│┃║╎┆┊─━═╌┄┈╭╮╯╰┏┓┛┗╔╗╝╚┌┐┘└├┤┬┴┼┯╤┳▼┠┨", "||||::---...++++++++++++++++++++++++v||")
_WORDS = MappingProxyType({"→": "->", "…": "...", "·": "-"})


def draw_text(chart: Chart, *, ascii_only: bool = False) -> str:
    """A chart as lines of text.

    Args:
        chart: what to draw.
        ascii_only: whether nothing but ASCII may be used.
    """
    return "\n".join("".join(run.text for run in line) for line in draw_runs(chart, ascii_only=ascii_only)) + "\n"


def draw_runs(chart: Chart, *, ascii_only: bool = False) -> list[list[Run]]:
    """A chart as lines of runs, for a terminal with colours; see `draw_text`."""
    if ascii_only:
        chart = _in_ascii(chart)
    canvas = _Canvas()
    _draw(lay_out(chart, Characters()), canvas)
    heading = [Run(chart.title, Style.TITLE), Run(f"  {chart.subtitle}", Style.DETAIL)]
    return [heading, [], *canvas.lines(ascii_only)]


class _Canvas:
    """Characters by place. What is put later covers what was there."""

    def __init__(self) -> None:
        self._cells: dict[Point, tuple[str, Style]] = {}

    def put(self, x: int, y: int, text: str, style: Style) -> None:
        """Write text to the right of a place."""
        for character in text:
            self._cells[Point(x, y)] = (character, style)
            width = column_width(character)
            if width == 2:
                self._cells[Point(x + 1, y)] = ("", style)
            x += width

    def at(self, place: Point) -> str:
        """What is there."""
        return self._cells.get(place, (" ", Style.PLAIN))[0]

    def lines(self, ascii_only: bool) -> Iterator[list[Run]]:
        """Everything, from the upper left corner, without spaces at the ends."""
        for y in range(max(place.y for place in self._cells) + 1):
            runs: list[Run] = []
            last = max((place.x for place in self._cells if place.y == y), default=-1)
            for x in range(last + 1):
                text, style = self._cells.get(Point(x, y), (" ", Style.PLAIN))
                text = text.translate(_ASCII) if ascii_only else text
                if runs and runs[-1].style is style:
                    runs[-1] = Run(runs[-1].text + text, style)
                else:
                    runs.append(Run(text, style))
            yield runs


def _draw(layout: Layout, canvas: _Canvas) -> None:
    for frame in layout.frames:
        _border(canvas, frame.corner, frame.size, FRAME, Style.FRAME)
    _draw_lines(layout.lines, canvas)
    for frame in layout.frames:
        _frame_title(canvas, frame)
    for box in layout.boxes:
        _node(canvas, box)
    for line in layout.lines:
        end = line.points[-1]
        style = Style.IMPLIED if line.edge.implied else Style.EDGE
        canvas.put(end.x, end.y - 1, ARROW, style)
    for line in layout.lines:
        _leave(canvas, line.points[0])


def _border(canvas: _Canvas, corner: Point, size: Size, border: Border, style: Style) -> None:
    """The four sides of a box; what is in it is cleared by whoever fills it."""
    right, bottom = corner.x + size.width, corner.y + size.height
    across = border.across * (size.width - 1)
    corners = border.corners
    canvas.put(corner.x, corner.y, corners[0] + across + corners[1], style)
    canvas.put(corner.x, bottom, corners[3] + across + corners[2], style)
    for y in range(corner.y + 1, bottom):
        canvas.put(corner.x, y, border.down, style)
        canvas.put(right, y, border.down, style)


def _frame_title(canvas: _Canvas, frame: Surround) -> None:
    for row, line in enumerate(frame.frame.gate, 1):
        x = frame.corner.x + (frame.size.width - columns(line) - 1) // 2
        canvas.put(x, frame.corner.y + row, f" {line} ", Style.CONDITION)


def _node(canvas: _Canvas, box: Box) -> None:
    node, corner = box.node, box.corner
    size = Size(box.size.width, box.size.height - node.is_map)
    border, style = _look(node)
    if node.is_map:
        inner = border.across * (size.width - 3)
        canvas.put(corner.x + 1, corner.y + size.height + 1, border.corners[3] + inner + border.corners[2], style)
    _border(canvas, corner, size, border, style)
    if node.is_map:
        for x in (corner.x + 1, corner.x + size.width - 1):
            canvas.put(x, corner.y + size.height, "┳", style)
    _fill(canvas, node, corner, size.width, style)


def _fill(canvas: _Canvas, node: Node, corner: Point, width: int, style: Style) -> None:
    """Write what stands in a node, with a line below its condition."""
    inside, gates = width - 1, len(node.gate)
    y = corner.y + 1
    for index, row in enumerate(rows_of(node)):
        if index == gates and gates:
            ends = "┠┨" if node.is_map else "├┤"
            canvas.put(corner.x, y, ends[0] + "─" * inside + ends[1], style)
            y += 1
        left = (inside - columns(row)) // 2
        text = " " * left + row + " " * (inside - left - columns(row))
        kind = Style.CONDITION if index < gates else Style.TITLE if index == gates else Style.DETAIL
        canvas.put(corner.x + 1, y, text, kind)
        y += 1


def _look(node: Node) -> tuple[Border, Style]:
    if node.kind is None:
        return INPUT, Style.INPUT
    if node.is_wait:
        return WAIT, Style.WAIT
    return (MAP, Style.MAP) if node.is_map else (CARD, Style.PLAIN)


def _draw_lines(lines: Sequence[Line], canvas: _Canvas) -> None:
    """Draw all edges at once, so that those of one source join, and others pass over each other."""
    ways: dict[Point, dict[tuple[str, bool], int]] = {}
    for line in lines:
        net = (line.edge.source, line.edge.implied)
        for place, ways_on in _steps(_short(line.points)):
            cell = ways.setdefault(place, {})
            cell[net] = cell.get(net, 0) | ways_on
    for place, nets in ways.items():
        character, implied = _crossed(nets)
        canvas.put(place.x, place.y, character, Style.IMPLIED if implied else Style.EDGE)


def _short(points: Sequence[Point]) -> Sequence[Point]:
    """A line without its last character, which is the border that it leads to."""
    *others, end = points
    return (*others, Point(end.x, end.y - 1))


def _steps(points: Sequence[Point]) -> Iterator[tuple[Point, int]]:
    """Every character of a line, with the directions in which it goes on."""
    for one, other in pairwise(points):
        if one.x == other.x:
            low, high = sorted((one.y, other.y))
            for y in range(low, high + 1):
                yield Point(one.x, y), NORTH * (y > low) | SOUTH * (y < high)
        else:
            low, high = sorted((one.x, other.x))
            for x in range(low, high + 1):
                yield Point(x, one.y), WEST * (x > low) | EAST * (x < high)


def _crossed(nets: Mapping[tuple[str, bool], int]) -> tuple[str, bool]:
    """What is seen where edges meet, and whether it is implied. Of strangers the one that goes down is on top."""
    sources = {source for source, _ in nets}
    shown = dict(nets)
    if len(sources) > 1:
        upright = {net: ways for net, ways in nets.items() if not ways & (EAST | WEST)}
        shown = upright or shown
    implied = all(net[1] for net in shown)
    together = 0
    for ways in shown.values():
        together |= ways
    character = LINES[together]
    return (DOTTED.get(character, character) if implied else character), implied


def _leave(canvas: _Canvas, place: Point) -> None:
    """Mark where an edge leaves its box."""
    for border, style in ((CARD, Style.PLAIN), (MAP, Style.MAP), (WAIT, Style.WAIT), (INPUT, Style.INPUT)):
        if canvas.at(place) == border.across:
            canvas.put(place.x, place.y, border.leaving, style)
            return


def _in_ascii(chart: Chart) -> Chart:
    """The same chart in words of ASCII."""
    return evolve(
        chart,
        subtitle=_plain(chart.subtitle),
        nodes={
            key: evolve(
                node,
                title=_plain(node.title),
                condition=None if node.condition is None else _plain(node.condition),
                lines=tuple(map(_plain, node.lines)),
                badges=tuple(map(_plain, node.badges)),
            )
            for key, node in chart.nodes.items()
        },
        frames={key: evolve(frame, condition=_plain(frame.condition)) for key, frame in chart.frames.items()},
    )


def _plain(words: str) -> str:
    for character, replacement in _WORDS.items():
        words = words.replace(character, replacement)
    return words.encode("ascii", "backslashreplace").decode()
