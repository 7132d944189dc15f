"""Where on the upper border of a box each edge comes in."""

from __future__ import annotations

from collections.abc import Sequence

from .layers import Layered, Link, Vertex


def choose_pins(layered: Layered, pin_gap: int) -> None:
    """Give every link that may enter its box anywhere a place of its own: the straightest in the middle.

    Args:
        layered: a container whose boxes have their places.
        pin_gap: between two places; less where a box is too narrow for all.
    """
    arriving: dict[Vertex, list[Link]] = {}
    for link in layered.links:
        if not link.lower.passing:
            arriving.setdefault(link.lower, []).append(link)
    for vertex, links in arriving.items():
        free = sorted((link for link in links if link.lower_pin is None), key=lambda link: (link.upper_x, link.faint))
        taken = [link.lower_pin for link in links if link.lower_pin is not None]
        if free:
            _spread(vertex, free, taken, pin_gap)


def _spread(vertex: Vertex, links: Sequence[Link], taken: Sequence[int], pin_gap: int) -> None:
    straightest = min(links, key=lambda link: (link.faint, abs(link.upper_x - vertex.x)))
    middle = links.index(straightest)
    farthest = max(middle, len(links) - 1 - middle)
    room = vertex.width // 2 - pin_gap
    gap = pin_gap if farthest * pin_gap <= room else max(room // max(farthest, 1), 0)
    shift = _shift(taken, room, pin_gap) if taken else 0
    for place, link in enumerate(links):
        link.lower_pin = shift + (place - middle) * gap


def _shift(taken: Sequence[int], room: int, pin_gap: int) -> int:
    """The place nearest to the middle that is not taken."""
    for distance in range(0, max(room, 0) + 1, pin_gap):
        for place in (distance, -distance):
            if all(abs(place - other) >= pin_gap for other in taken):
                return place
    return 0
