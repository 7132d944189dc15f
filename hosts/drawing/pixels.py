"""How much room things take in an SVG, in pixels.

Whoever shows the picture chooses the fonts, so widths are estimates: wide enough for the fonts of the common systems.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from unicodedata import east_asian_width

from attrs import frozen

from .chart import Frame, Node
from .places import Size

TITLE_PX: Final = 15
LINE_PX: Final = 12
BADGE_PX: Final = 11

MARGIN: Final = 32
"""Around the drawing."""
HEADING: Final = 58
"""The height of the drawing's title and of what is below it."""

NODE_WIDTH_MIN: Final = 128
SIDE: Final = 20
"""From the border of a node to its text."""
GATE_PADDING: Final = 10
"""Of the strip in which a condition stands, above and below together."""
TITLE_HEIGHT: Final = 22
LINE_HEIGHT: Final = 18
PADDING: Final = 13
"""Above and below the text of a node."""
BADGE_HEIGHT: Final = 20
BADGE_SIDE: Final = 8
BADGE_GAP: Final = 6
BADGE_ROW: Final = 26
BADGES_WIDTH_MAX: Final = 300
STACK: Final = 5
"""By which each further card of a map peeks out."""
STACKED: Final = 2
"""Cards behind a map."""
INPUT_SIDE: Final = 26
FRAME_PADDING: Final = Size(24, 24)

_NARROW = frozenset("iljItf.,:;'|!()[]{} ")
_WIDE = frozenset("mwMW@%—→…")


def sans_width(text: str, size: int) -> float:
    """The width of text in a proportional font of medium weight."""
    return size * sum(map(_em, text))


def mono_width(text: str, size: int) -> float:
    """The width of text in a font whose characters are alike."""
    return size * sum(1.0 if east_asian_width(each) in "WF" else 0.605 for each in text)


def _em(character: str) -> float:
    if east_asian_width(character) in "WF":
        return 1.0
    if character in _NARROW:
        return 0.37
    if character in _WIDE:
        return 0.96
    return 0.72 if character.isupper() else 0.6


def badge_width(text: str) -> int:
    """The width of a badge around its text."""
    return round(sans_width(text, BADGE_PX)) + 2 * BADGE_SIDE


def badge_rows(badges: Sequence[str]) -> Iterator[list[str]]:
    """Badges in rows that are not too wide."""
    row: list[str] = []
    for badge in badges:
        if row and row_width([*row, badge]) > BADGES_WIDTH_MAX:
            yield row
            row = []
        row.append(badge)
    if row:
        yield row


def row_width(badges: Sequence[str]) -> int:
    """The width of badges beside each other."""
    return sum(map(badge_width, badges)) + BADGE_GAP * (len(badges) - 1)


@frozen
class Pixels:
    """The measure of an SVG."""

    box_gap: int = 44
    line_gap: int = 18
    pin_gap: int = 18
    track_gap: int = 14
    channel_top: int = 20
    channel_bottom: int = 26
    padding: Size = FRAME_PADDING

    def node(self, node: Node) -> Size:
        """The size of a node, with its condition, badges and further cards."""
        if node.kind is None:
            return Size(_even(max(_text_width(node) + 2 * INPUT_SIDE, 96)), 2 * PADDING - 4 + _text_height(node))
        badges = list(badge_rows(node.shown_badges))
        widths = [_text_width(node), *map(row_width, badges), _gate_width(node.gate)]
        height = (
            gate_height(node.gate) + 2 * PADDING + _text_height(node) + BADGE_ROW * len(badges) + stack_height(node)
        )
        return Size(_even(max(NODE_WIDTH_MIN, max(widths) + 2 * SIDE)), height)

    def head(self, frame: Frame) -> Size:
        """The size of the strip with a branch's condition."""
        return Size(_even(_gate_width(frame.gate) + 2 * SIDE), gate_height(frame.gate))


def gate_height(gate: Sequence[str]) -> int:
    """The height of the strip in which a condition stands."""
    return GATE_PADDING + LINE_HEIGHT * len(gate) if gate else 0


def stack_height(node: Node) -> int:
    """How far the further cards of a map peek out below it."""
    return STACK * STACKED if node.is_map else 0


def _gate_width(gate: Sequence[str]) -> int:
    return round(max((mono_width(line, LINE_PX) for line in gate), default=0))


def _text_width(node: Node) -> int:
    lines = [mono_width(line, LINE_PX) for line in node.shown_lines]
    return round(max([sans_width(node.shown_title, TITLE_PX), *lines]))


def _text_height(node: Node) -> int:
    return TITLE_HEIGHT + LINE_HEIGHT * len(node.lines)


def _even(width: int) -> int:
    return width + width % 2
