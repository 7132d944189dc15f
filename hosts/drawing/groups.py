"""Which boxes stand together: the frames as a tree, so that each can be laid out by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field

from .chart import Chart, Frame, Node


@define(eq=False)
class Group:
    """A frame with what is in it, or the whole drawing.

    Edges that leave a frame never come back into it: where they would, the frame is drawn as two of the same title.
    """

    frame: Frame | None = None
    """None for the whole drawing."""
    members: list[Node | Group] = field(factory=list["Node | Group"])
    """In order of definition."""

    @property
    def groups(self) -> Iterator[Group]:
        """Itself and all groups in it."""
        yield self
        for member in self.members:
            if isinstance(member, Group):
                yield from member.groups


def grouped(chart: Chart) -> Group:
    """The tree of a chart's frames."""
    before: dict[str, set[str]] = {key: set() for key in chart.nodes}
    for edge in chart.edges:
        for node in chart.nodes.values():
            if edge.target == node.key or (edge.target and edge.target == node.frames[: len(edge.target)]):
                before[node.key].add(edge.source)
    root = Group()
    root.members = _members(list(chart.nodes.values()), 0, chart, before)
    return root


def _members(nodes: Sequence[Node], depth: int, chart: Chart, before: Mapping[str, set[str]]) -> list[Node | Group]:
    """Put nodes that share a frame at this depth into groups, unless a way would lead out of a group and in again."""
    members: list[Node | Group] = []
    contents: dict[int, list[Node]] = {}
    place: dict[str, int] = {}
    after: dict[int, set[int]] = {}
    latest: dict[object, int] = {}
    for node in nodes:
        sources = {place[each] for each in before[node.key] if each in place}
        key = node.frames[: depth + 1] if len(node.frames) > depth else None
        mine = latest.get(key) if key is not None else None
        if mine is None or _leads(mine, sources - {mine}, after):
            mine = len(members)
            members.append(node if key is None else Group(chart.frames[key]))
            if key is not None:
                latest[key] = mine
        place[node.key] = mine
        contents.setdefault(mine, []).append(node)
        for source in sources - {mine}:
            after.setdefault(source, set()).add(mine)
    for index, member in enumerate(members):
        if isinstance(member, Group):
            member.members = _members(contents[index], depth + 1, chart, before)
    return members


def _leads(start: int, ends: set[int], after: Mapping[int, set[int]]) -> bool:
    """Whether a way leads from one member to any of others."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting += after.get(each, ())
    return bool(seen & ends)
