"""How edges cross the space between two layers: down, along a track, down again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import combinations

from attrs import define, field, frozen

from .layers import Link

EXCHANGES_MAX = 12
"""Rounds of exchanging neighbouring tracks in search of fewer crossings."""


@define
class Bundle:
    """The links of one net in one channel: they come from one place and share a track."""

    top: int
    """Where it comes from."""
    bottoms: list[int] = field(factory=list[int])
    """Where it goes to."""

    @property
    def left(self) -> int:
        """The track's left end."""
        return min(self.top, *self.bottoms)

    @property
    def right(self) -> int:
        """The track's right end."""
        return max(self.top, *self.bottoms)

    @property
    def straight(self) -> bool:
        """Whether it needs no track."""
        return self.left == self.right


@frozen
class Channel:
    """The tracks of one channel, counted from above."""

    count: int
    tracks: Mapping[Hashable, int]
    """By net; straight ones have none."""


def route(links: Sequence[Link], *, pin_gap: int) -> Channel:
    """Give every bundle of links a track, so that none lies on another and few cross.

    Args:
        links: of one channel; where they begin and end is settled.
        pin_gap: the distance below which two lines beside each other would be taken for one.
    """
    bundles: dict[Hashable, Bundle] = {}
    for link in links:
        bundles.setdefault(link.net, Bundle(link.upper_x)).bottoms.append(link.lower_x)
    bent = {net: bundle for net, bundle in bundles.items() if not bundle.straight}
    ordered = _ordered(bent, pin_gap)
    tracks: dict[Hashable, int] = {}
    for index, net in enumerate(ordered):
        above = [other for other in ordered[:index] if _meet(bent[other], bent[net], pin_gap)]
        tracks[net] = max((tracks[other] + 1 for other in above), default=0)
    return Channel(max(tracks.values(), default=-1) + 1, tracks)


def _ordered(bundles: Mapping[Hashable, Bundle], pin_gap: int) -> list[Hashable]:
    """Nets from the uppermost track to the lowest."""
    nets = sorted(bundles, key=lambda net: (bundles[net].left, bundles[net].right))
    cost: dict[tuple[Hashable, Hashable], int] = {}
    for one, other in combinations(nets, 2):
        cost[one, other] = _cost(bundles[one], bundles[other], pin_gap)
        cost[other, one] = _cost(bundles[other], bundles[one], pin_gap)
    return _improved(nets, lambda upper, lower: cost[upper, lower] - cost[lower, upper])


def _improved(nets: list[Hashable], gain: Callable[[Hashable, Hashable], int]) -> list[Hashable]:
    """Move each net to where it costs least, until nothing gets better."""
    for _ in range(EXCHANGES_MAX):
        before = list(nets)
        for net in before:
            nets.remove(net)
            costs = [0]
            for other in nets:
                costs.append(costs[-1] + gain(other, net))
            nets.insert(costs.index(min(costs)), net)
        if nets == before:
            break
    return nets


def _cost(upper: Bundle, lower: Bundle, pin_gap: int) -> int:
    """What it costs to have one track above another: crossings, and dearly, lines that lie upon each other."""
    down = sum(lower.left < bottom < lower.right for bottom in upper.bottoms)
    up = upper.left < lower.top < upper.right
    overlaid = sum(abs(bottom - lower.top) < pin_gap for bottom in upper.bottoms)
    return down + up + 100 * overlaid


def _meet(one: Bundle, other: Bundle, pin_gap: int) -> bool:
    """Whether two bundles cannot share a track, or must keep their order."""
    return one.left < other.right + pin_gap and other.left < one.right + pin_gap
