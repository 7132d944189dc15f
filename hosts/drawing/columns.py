"""Where every box stands from left to right: boxes apart, edges as straight as that allows, the rest in the middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from itertools import pairwise
from typing import Final

from attrs import define

from .layers import Layered, Link, Vertex
from .pins import choose_pins

SMOOTHING_PASSES: Final = 40
"""Passes that put every vertex into the middle of its neighbours."""
STRAIGHTENING_PASSES: Final = 80
"""Further passes in which a link counts the more, the straighter it is already: one jog instead of many small ones."""

FAINT_WEIGHT: Final = 0.05
STRAIGHT_WEIGHT: Final = 4.0
"""Of a link that passes through layers at both ends, relative to one between two boxes."""


def place_columns(layered: Layered, gap: Callable[[Vertex, Vertex], int], *, pin_gap: int) -> None:
    """Set `x` of every vertex, and where every link comes in.

    Args:
        layered: the container; the order in its rows stays.
        gap: the least space between two vertices that stand beside each other, the left one first.
        pin_gap: between two lines that enter one box; about as far a vertex may be moved to make a line straight.
    """
    rows = [row for row in layered.rows if row]
    spring = _Springs(layered, gap)
    for row in rows:
        spring.pack(row)
    for step in range(SMOOTHING_PASSES + STRAIGHTENING_PASSES):
        stiffness = None if step < SMOOTHING_PASSES else 40.0 * 0.95 ** (step - SMOOTHING_PASSES)
        for row in rows if step % 2 == 0 else reversed(rows):
            spring.relax(row, stiffness)
    spring.settle(rows)
    spring.straighten(layered.links, 2 * pin_gap)
    choose_pins(layered, pin_gap)
    spring.straighten(layered.links, pin_gap)


class _Springs:
    """Pulls vertices towards those that they are linked with."""

    def __init__(self, layered: Layered, gap: Callable[[Vertex, Vertex], int]) -> None:
        self._gap = gap
        self._x: dict[Vertex, float] = {}
        self._links: dict[Vertex, list[Link]] = {vertex: [] for row in layered.rows for vertex in row}
        self._neighbours: dict[Vertex, tuple[Vertex | None, Vertex | None]] = {}
        for link in layered.links:
            self._links[link.upper].append(link)
            self._links[link.lower].append(link)
        for row in layered.rows:
            for left, vertex, right in zip([None, *row], row, [*row[1:], None], strict=False):
                self._neighbours[vertex] = (left, right)

    def pack(self, row: Sequence[Vertex]) -> None:
        """Put a row together, its middle at 0."""
        offsets = self._offsets(row)
        for vertex, offset in zip(row, offsets, strict=True):
            self._x[vertex] = offset - offsets[-1] / 2

    def relax(self, row: Sequence[Vertex], softness: float | None) -> None:
        """Move a row to where its links pull it, as far as its vertices leave each other room.

        Args:
            row: the vertices, from left to right.
            softness: None for springs; else the distance below which a link holds no more firmly.
        """
        wanted: list[tuple[float, float]] = []
        for vertex in row:
            total, weight = 0.0, 0.0
            for link in self._links[vertex]:
                apart = self._apart(link)
                pull = _weight(link) if softness is None else _weight(link) / (abs(apart) + softness)
                total += pull * (apart if vertex is link.upper else -apart)
                weight += pull
            wanted.append((self._x[vertex] + total / weight, weight) if weight else (self._x[vertex], 1e-3))
        offsets = self._offsets(row)
        free = [(place - offset, weight) for (place, weight), offset in zip(wanted, offsets, strict=True)]
        for vertex, place, offset in zip(row, _ascending(free), offsets, strict=True):
            self._x[vertex] = place + offset

    def settle(self, rows: Sequence[Sequence[Vertex]]) -> None:
        """Put everything on whole numbers."""
        for row in rows:
            least: int | None = None
            for vertex in row:
                place = round(self._x[vertex])
                left = self._neighbours[vertex][0]
                if least is not None and left is not None:
                    place = max(place, least + self._between(left, vertex))
                vertex.x = least = place

    def straighten(self, links: Sequence[Link], tolerance: int) -> None:
        """Make links straight that are so nearly; whatever is straight already moves along."""
        blocks = {vertex: {vertex} for vertex in self._links}
        slack = max(tolerance // 9, 1)
        for link in sorted(links, key=lambda link: (link.faint, abs(link.lower_x - link.upper_x))):
            apart = link.lower_x - link.upper_x
            upper, lower = blocks[link.upper], blocks[link.lower]
            if upper is lower or abs(apart) > tolerance:
                continue
            moves = [(lower, -apart), (upper, apart)]
            for block, by in moves if len(lower) <= len(upper) else reversed(moves):
                if self._has_room(block, by, slack if abs(by) <= slack else 0):
                    for vertex in block:
                        vertex.x += by
                    upper |= lower
                    blocks.update(dict.fromkeys(lower, upper))
                    break

    def _has_room(self, block: Set[Vertex], by: int, slack: int) -> bool:
        """Whether a block can be moved without touching another."""
        for vertex in block:
            left, right = self._neighbours[vertex]
            place = vertex.x + by
            if left is not None and left not in block and place - left.x < self._between(left, vertex) - slack:
                return False
            if right is not None and right not in block and right.x - place < self._between(vertex, right) - slack:
                return False
        return True

    def _apart(self, link: Link) -> float:
        """How far the lower end is to the right of the upper one."""
        return self._x[link.lower] + (link.lower_pin or 0) - self._x[link.upper] - link.upper_pin

    def _offsets(self, row: Sequence[Vertex]) -> list[int]:
        """The places of a row that begins at 0 and is packed."""
        offsets = [0]
        for left, right in pairwise(row):
            offsets.append(offsets[-1] + self._between(left, right))
        return offsets

    def _between(self, left: Vertex, right: Vertex) -> int:
        """The least distance between two middles."""
        return (left.width + 1) // 2 + self._gap(left, right) + (right.width + 1) // 2


@define
class _Block:
    """Vertices that touch, and move as one."""

    total: float
    weight: float
    size: int

    @property
    def place(self) -> float:
        return self.total / self.weight


def _ascending(wanted: Sequence[tuple[float, float]]) -> list[float]:
    """The ascending numbers nearest to the wanted ones, by weight (pool adjacent violators)."""
    blocks: list[_Block] = []
    for place, weight in wanted:
        blocks.append(_Block(place * weight, weight, 1))
        while len(blocks) > 1 and blocks[-2].place > blocks[-1].place:
            last = blocks.pop()
            blocks[-1].total += last.total
            blocks[-1].weight += last.weight
            blocks[-1].size += last.size
    return [block.place for block in blocks for _ in range(block.size)]


def _weight(link: Link) -> float:
    straight = STRAIGHT_WEIGHT if link.upper.passing and link.lower.passing else 1.0
    return straight * (FAINT_WEIGHT if link.faint else 1.0) * (2.0 if link.upper.passing or link.lower.passing else 1.0)
