"""Which part of which edge lies in which group: edges go from box to box through the borders of frames."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from .chart import Chart, Edge
from .groups import Group

Net: TypeAlias = tuple[str, bool]
"""The edges of one source that are drawn alike: the source, and whether they are implied."""


@frozen
class Entry:
    """Where the edges of one net come into a frame."""

    net: Net


@frozen
class Exit:
    """Where the edges of one net leave a frame."""

    net: Net


@frozen(kw_only=True)
class Wire:
    """The part of edges that lies in one group. Ends are slugs, groups, or places on the group's own border."""

    net: Net
    start: Hashable
    end: Hashable
    into: bool = False
    """Whether it goes on inside the group that is its end."""


@define(eq=False)
class Wiring:
    """All edges of a drawing."""

    wires: dict[Group, list[Wire]] = field(factory=dict[Group, "list[Wire]"])
    """By group, each once however many edges share it."""
    routes: list[tuple[Edge, list[tuple[Group, Wire]]]] = field(factory=list[tuple[Edge, "list[tuple[Group, Wire]]"]])
    """For each edge its parts, from its source to its target."""


def wired(chart: Chart, root: Group) -> Wiring:
    """Lead every edge from its source to its target."""
    around = dict(_surroundings(root, (root,)))
    wiring = Wiring()
    for edge in chart.edges:
        for target in _targets(edge, root):
            route = list(_parts(edge, target, around))
            for group, wire in route:
                known = wiring.wires.setdefault(group, [])
                if wire not in known:
                    known.append(wire)
            wiring.routes.append((edge, route))
    return wiring


def _surroundings(group: Group, path: tuple[Group, ...]) -> Iterator[tuple[Hashable, tuple[Group, ...]]]:
    """Every box with the groups around it, the whole drawing first."""
    for member in group.members:
        if isinstance(member, Group):
            yield member, path
            yield from _surroundings(member, (*path, member))
        else:
            yield member.key, path


def _targets(edge: Edge, root: Group) -> Sequence[Hashable]:
    """The boxes that an edge leads to: a step, or a frame, which may be drawn as several."""
    if isinstance(edge.target, str):
        return (edge.target,)
    return [group for group in root.groups if group.frame is not None and group.frame.key == edge.target]


def _parts(edge: Edge, target: Hashable, around: dict[Hashable, tuple[Group, ...]]) -> Iterator[tuple[Group, Wire]]:
    net = (edge.source, edge.implied)
    outgoing, incoming = around[edge.source], around[target]
    shared = sum(1 for one, other in zip(outgoing, incoming, strict=False) if one is other)
    start: Hashable = edge.source
    for group in reversed(outgoing[shared:]):
        yield group, Wire(net=net, start=start, end=Exit(net))
        start = group
    inside = (*incoming[shared:], target)
    for group, end in zip(incoming[shared - 1 :], inside, strict=True):
        yield group, Wire(net=net, start=start, end=end, into=end is not target)
        start = Entry(net)
