"""Places and sizes, and how much room things take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from attrs import frozen

from .chart import Edge, Frame, Node


class Point(NamedTuple):
    """A place in the drawing, from its upper left corner."""

    x: int
    y: int


class Size(NamedTuple):
    """The distances between opposite borders."""

    width: int
    """Even, so that the middle is a whole number too."""
    height: int


class Measure(Protocol):
    """How much room things take: in pixels, or in characters."""

    @property
    def box_gap(self) -> int:
        """Between two boxes beside each other."""
        ...

    @property
    def line_gap(self) -> int:
        """Between a line and whatever is beside it."""
        ...

    @property
    def pin_gap(self) -> int:
        """Between two lines that enter one box."""
        ...

    @property
    def track_gap(self) -> int:
        """Between two horizontal lines."""
        ...

    @property
    def channel_top(self) -> int:
        """From the lower border of a box to the first horizontal line below it."""
        ...

    @property
    def channel_bottom(self) -> int:
        """From the last horizontal line to the box below it: room for an arrow."""
        ...

    @property
    def padding(self) -> Size:
        """From what is in a frame to the frame."""
        ...

    def node(self, node: Node) -> Size:
        """The size of a node."""
        ...

    def head(self, frame: Frame) -> Size:
        """The size of a frame's title, which lies along its upper border."""
        ...


@frozen
class Box:
    """A node in its place."""

    node: Node
    corner: Point
    """The upper left one."""
    size: Size


@frozen
class Surround:
    """A frame in its place."""

    frame: Frame
    corner: Point
    """The upper left one."""
    size: Size
    head: int
    """The height of its title."""


@frozen
class Line:
    """An edge in its place: where it turns, from its source to its target."""

    edge: Edge
    points: tuple[Point, ...]


@frozen
class Layout:
    """A drawing without its title and margins."""

    size: Size
    boxes: Sequence[Box]
    frames: Sequence[Surround]
    """An outer frame before those in it."""
    lines: Sequence[Line]
