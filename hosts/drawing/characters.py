"""How much room things take in a terminal, in characters.

Borders and lines lie on characters, so the distance between two borders is one less than the characters they span.
"""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import combining, east_asian_width

from attrs import frozen

from .chart import Frame, Node
from .places import Size

PADDING = Size(3, 1)


@frozen
class Characters:
    """The measure of a terminal."""

    box_gap: int = 4
    line_gap: int = 3
    pin_gap: int = 2
    track_gap: int = 1
    channel_top: int = 1
    channel_bottom: int = 2
    padding: Size = PADDING

    def node(self, node: Node) -> Size:
        """The size of a node; a condition has a line below it, a map a further card."""
        texts = list(rows_of(node))
        return Size(_spanned(max(map(columns, texts))), len(texts) + 1 + bool(node.gate) + node.is_map)

    def head(self, frame: Frame) -> Size:
        """The size of a branch's title, which stands below the frame's upper border."""
        return Size(_spanned(max(map(columns, frame.gate))), len(frame.gate))


def rows_of(node: Node) -> Iterator[str]:
    """What stands in a node, line by line."""
    yield from node.gate
    yield node.shown_title
    yield from node.shown_lines
    yield from (f"({badge})" for badge in node.shown_badges)


def columns(text: str) -> int:
    """How many columns text takes."""
    return sum(column_width(character) for character in text)


def column_width(character: str) -> int:
    """How many columns a character takes."""
    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def _spanned(width: int) -> int:
    """From border to border around text and a space on each side; even."""
    return width + 3 + (width + 3) % 2
