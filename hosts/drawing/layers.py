"""Which layer each box of a container stands in, and in which order: edges lead down, and few of them cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

from attrs import define, field, frozen

SWEEPS_MAX: Final = 24
"""Passes up and down in search of an order with fewer crossings; it settles after four or five."""


@frozen(kw_only=True)
class Strand:
    """The part of an edge that lies in one container. Offsets are from the middle of a box."""

    net: Hashable
    """Strands of one net begin at the same place, and share their way for as long as they can."""
    start: Hashable
    """The key of a vertex."""
    start_pin: int = 0
    end: Hashable
    end_pin: int | None = None
    """None where the edge may enter the box anywhere."""
    faint: bool = False


@define(eq=False)
class Vertex:
    """A box, a place on the container's border, or an edge on its way through a layer."""

    key: Hashable
    width: int = 0
    height: int = 0
    passing: bool = False
    """An edge, or a place on the border: something that takes no room of its own."""
    layer: int = 0
    x: int = 0
    """Of its middle."""

    @property
    def left(self) -> int:
        """Its left border."""
        return self.x - self.width // 2

    @property
    def right(self) -> int:
        """Its right border."""
        return self.x + self.width // 2


@define(eq=False)
class Link:
    """The part of a strand between two layers that follow each other."""

    net: Hashable
    upper: Vertex
    upper_pin: int
    lower: Vertex
    lower_pin: int | None
    faint: bool

    @property
    def upper_x(self) -> int:
        """Where it begins."""
        return self.upper.x + self.upper_pin

    @property
    def lower_x(self) -> int:
        """Where it ends."""
        return self.lower.x + (self.lower_pin or 0)


@frozen
class Layered:
    """A container in layers."""

    rows: list[list[Vertex]]
    links: list[Link]
    ways: list[list[Link]] = field(repr=False)
    """The links of each strand, from its start to its end."""

    def links_below(self, layer: int) -> list[Link]:
        """The links between a layer and the next."""
        return [link for link in self.links if link.upper.layer == layer]


def in_layers(
    boxes: Sequence[Vertex], strands: Sequence[Strand], entries: Sequence[Vertex] = (), exits: Sequence[Vertex] = ()
) -> Layered:
    """Put boxes into layers and order them.

    Args:
        boxes: in the order in which they should stand where nothing else decides.
        strands: between boxes, from an entry, or to an exit. No way along them leads back to its beginning.
        entries: places on the upper border, for edges that come from outside; they are a layer of their own.
        exits: places on the lower border.
    """
    _number(boxes, strands, first=1 if entries else 0)
    last = max((box.layer for box in boxes), default=0)
    for vertex in exits:
        vertex.layer = last + 1
    vertices = {vertex.key: vertex for vertex in (*entries, *boxes, *exits)}
    links: dict[tuple[Hashable, Hashable, Hashable], Link] = {}
    ways = [list(_way(strand, vertices, links)) for strand in strands]
    rows: list[list[Vertex]] = [[] for _ in range(max((each.layer for each in vertices.values()), default=-1) + 1)]
    for vertex in vertices.values():
        rows[vertex.layer].append(vertex)
    layered = Layered(rows, list(links.values()), ways)
    _order(layered)
    return layered


def _number(boxes: Iterable[Vertex], strands: Iterable[Strand], *, first: int) -> None:
    """Give a box the layer after the last that it depends on; one that depends on none, that before its first user."""
    by_key = {box.key: box for box in boxes}
    before: dict[Hashable, set[Hashable]] = {key: set() for key in by_key}
    after: dict[Hashable, set[Hashable]] = {key: set() for key in by_key}
    for strand in strands:
        if strand.start in by_key and strand.end in by_key:
            before[strand.end].add(strand.start)
            after[strand.start].add(strand.end)
    fed = {strand.end for strand in strands}
    waiting = [key for key in by_key if not before[key]]
    missing = {key: len(sources) for key, sources in before.items()}
    for key in waiting:
        by_key[key].layer = max((by_key[each].layer + 1 for each in before[key]), default=first)
        for later in by_key:
            if later in after[key]:
                missing[later] -= 1
                if missing[later] == 0:
                    waiting.append(later)
    for key in by_key:
        if key not in fed and after[key]:
            by_key[key].layer = min(by_key[each].layer for each in after[key]) - 1


def _way(
    strand: Strand, vertices: dict[Hashable, Vertex], links: dict[tuple[Hashable, Hashable, Hashable], Link]
) -> Iterable[Link]:
    """The links from a strand's start to its end; what its net has been led through already is used again."""
    start, end = vertices[strand.start], vertices[strand.end]
    upper, upper_pin = start, strand.start_pin
    for layer in range(start.layer + 1, end.layer + 1):
        lower, lower_pin = end, strand.end_pin
        if layer < end.layer:
            key = (strand.net, start.key, layer)
            lower = vertices.setdefault(key, Vertex(key, passing=True, layer=layer))
            lower_pin = 0
        name = (strand.net, upper.key, lower.key)
        yield links.setdefault(name, Link(strand.net, upper, upper_pin, lower, lower_pin, strand.faint))
        upper, upper_pin = lower, 0


def _order(layered: Layered) -> None:
    """Order every row so that links cross as little as possible, and else as the boxes came."""
    rows = layered.rows
    above: dict[Vertex, list[Link]] = {vertex: [] for row in rows for vertex in row}
    below: dict[Vertex, list[Link]] = {vertex: [] for row in rows for vertex in row}
    for link in layered.links:
        above[link.lower].append(link)
        below[link.upper].append(link)
    places = {vertex: index for row in rows for index, vertex in enumerate(row)}
    found: list[tuple[int, int, list[list[Vertex]]]] = []
    for passing_first in (False, True):
        start = [sorted(row, key=lambda vertex: vertex.passing is not passing_first) for row in rows]
        crossings, ordered = _swept(start, above, below)
        found.append((crossings, sum(_inversions([places[vertex] for vertex in row]) for row in ordered), ordered))
    _, _, best = min(found, key=lambda each: each[:2])
    for row, order in zip(rows, best, strict=True):
        row[:] = order


def _swept(
    rows: list[list[Vertex]], above: Mapping[Vertex, Sequence[Link]], below: Mapping[Vertex, Sequence[Link]]
) -> tuple[int, list[list[Vertex]]]:
    """The best order that sweeps down and up find, and its crossings. `rows` are its beginning, and changed."""
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS_MAX):
        if fewest == 0:
            break
        if sweep % 2 == 0:
            for row, fixed in zip(rows[1:], rows, strict=False):
                _sort(row, _means(row, fixed, above, upward=True))
        else:
            for row, fixed in zip(rows[-2::-1], rows[:0:-1], strict=False):
                _sort(row, _means(row, fixed, below, upward=False))
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return fewest, best


def _means(
    row: Sequence[Vertex], fixed: Sequence[Vertex], links: Mapping[Vertex, Sequence[Link]], *, upward: bool
) -> dict[Vertex, float]:
    """The mean place of each vertex's neighbours in the fixed row; a vertex without neighbours keeps its place."""
    places = {vertex: index for index, vertex in enumerate(fixed)}
    means: dict[Vertex, float] = {}
    for index, vertex in enumerate(row):
        seen = [
            places[link.upper] + _slight(link.upper, link.upper_pin) - _slight(link.lower, link.lower_pin)
            if upward
            else places[link.lower] + _slight(link.lower, link.lower_pin) - _slight(link.upper, link.upper_pin)
            for link in links[vertex]
        ]
        means[vertex] = sum(seen) / len(seen) if seen else index * len(fixed) / len(row)
    return means


def _slight(vertex: Vertex, pin: int | None) -> float:
    """Where in a box a pin is, as a part of one place."""
    return 0.0 if not pin or not vertex.width else pin / vertex.width


def _sort(row: list[Vertex], means: Mapping[Vertex, float]) -> None:
    row.sort(key=means.__getitem__)


def _crossings(rows: Sequence[Sequence[Vertex]], below: Mapping[Vertex, Sequence[Link]]) -> int:
    """How many pairs of links cross if all were straight."""
    count = 0
    for row, under in pairwise(rows):
        places = {vertex: index for index, vertex in enumerate(under)}
        ends: list[float] = []
        for vertex in row:
            mine = [
                (link.upper_pin, places[link.lower] + _slight(link.lower, link.lower_pin)) for link in below[vertex]
            ]
            for _, end in sorted(mine):
                count += len(ends) - bisect_right(ends, end)
            for _, end in mine:
                insort(ends, end)
    return count


def _inversions(places: Sequence[int]) -> int:
    return sum(one > other for one, other in combinations(places, 2))
