"""From a chart to places: every box, frame and edge of a drawing in whole numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from .channels import route
from .chart import Chart, Node
from .columns import place_columns
from .groups import Group, grouped
from .layers import Layered, Link, Strand, Vertex, in_layers
from .places import Box, Layout, Line, Measure, Point, Size, Surround
from .wiring import Entry, Exit, Wire, Wiring, wired


def lay_out(chart: Chart, measure: Measure) -> Layout:
    """Find a place for everything in a chart."""
    root = grouped(chart)
    wiring = wired(chart, root)
    placed = _placed(root, wiring, measure)
    groups = {each.group: (each, corner) for each, corner in placed.nested(Point(0, 0))}
    lines: list[Line] = []
    for edge, parts in wiring.routes:
        points: list[Point] = []
        for group, wire in parts:
            each, corner = groups[group]
            points += (_moved(point, corner) for point in each.ways[wire])
        lines.append(Line(edge, _simplified(points)))
    return Layout(
        size=placed.size,
        boxes=[box for each, corner in groups.values() for box in each.boxes(corner, measure)],
        frames=[frame for each, corner in groups.values() for frame in each.surround(corner, measure)],
        lines=lines,
    )


@define(eq=False)
class _Placed:
    """A group whose members have their places, from its own upper left corner."""

    group: Group
    size: Size
    corners: Mapping[Hashable, Point]
    """The upper left corners of its members."""
    ways: Mapping[Wire, Sequence[Point]]
    pins: Mapping[Entry | Exit, int]
    """Where edges cross its border, from its left."""
    inner: Sequence[_Placed] = field(factory=list["_Placed"])

    def nested(self, corner: Point) -> Iterator[tuple[_Placed, Point]]:
        """Itself and all groups in it, with their upper left corners in the drawing."""
        yield self, corner
        for each in self.inner:
            yield from each.nested(_moved(self.corners[each.group], corner))

    def boxes(self, corner: Point, measure: Measure) -> Iterator[Box]:
        """The nodes that are its members."""
        for member in self.group.members:
            if not isinstance(member, Group):
                yield Box(member, _moved(self.corners[member.key], corner), measure.node(member))

    def surround(self, corner: Point, measure: Measure) -> Iterator[Surround]:
        """Its frame, if it has one."""
        if self.group.frame is not None:
            yield Surround(self.group.frame, corner, self.size, measure.head(self.group.frame).height)


def _placed(group: Group, wiring: Wiring, measure: Measure) -> _Placed:
    inner = {each: _placed(each, wiring, measure) for each in group.members if isinstance(each, Group)}
    wires = wiring.wires.get(group, [])
    entries: dict[Entry, Vertex] = {
        wire.start: Vertex(wire.start, passing=True) for wire in wires if isinstance(wire.start, Entry)
    }
    exits: dict[Exit, Vertex] = {
        wire.end: Vertex(wire.end, passing=True) for wire in wires if isinstance(wire.end, Exit)
    }
    layered = in_layers(
        [_vertex(member, inner, measure) for member in group.members],
        [_strand(wire, inner) for wire in wires],
        list(entries.values()),
        list(exits.values()),
    )
    place_columns(layered, lambda left, right: _gap(left, right, measure), pin_gap=measure.pin_gap)
    width = _center(group, layered, measure)
    rows, height = _rows(group, layered, bool(exits), measure)
    corners = {
        vertex.key: Point(vertex.left, rows[vertex.layer].top)
        for row in layered.rows
        for vertex in row
        if not vertex.passing
    }
    ways = {
        wire: [point for link in way for point in _points(link, rows)]
        for wire, way in zip(wires, layered.ways, strict=True)
    }
    pins: dict[Entry | Exit, int] = {key: vertex.x for key, vertex in entries.items()}
    pins |= {key: vertex.x for key, vertex in exits.items()}
    return _Placed(group, Size(width, height), corners, ways, pins, list(inner.values()))


def _vertex(member: Node | Group, inner: Mapping[Group, _Placed], measure: Measure) -> Vertex:
    if isinstance(member, Group):
        return Vertex(member, *inner[member].size)
    return Vertex(member.key, *measure.node(member))


def _strand(wire: Wire, inner: Mapping[Group, _Placed]) -> Strand:
    start_pin, end_pin = 0, None
    if isinstance(wire.start, Group):
        start_pin = _pin(inner[wire.start], Exit(wire.net))
    if wire.into and isinstance(wire.end, Group):
        end_pin = _pin(inner[wire.end], Entry(wire.net))
    return Strand(net=wire.net, start=wire.start, start_pin=start_pin, end=wire.end, end_pin=end_pin, faint=wire.net[1])


def _pin(placed: _Placed, place: Entry | Exit) -> int:
    """A place on a group's border, from the group's middle."""
    return placed.pins[place] - placed.size.width // 2


def _gap(left: Vertex, right: Vertex, measure: Measure) -> int:
    if left.passing and right.passing:
        return measure.pin_gap
    return measure.line_gap if left.passing or right.passing else measure.box_gap


def _center(group: Group, layered: Layered, measure: Measure) -> int:
    """Move what is in a group into its middle; returns the group's width."""
    vertices = [vertex for row in layered.rows for vertex in row]
    left = min((vertex.left for vertex in vertices), default=0)
    content = max((vertex.right for vertex in vertices), default=0) - left
    width = content
    if group.frame is not None:
        width = max(content + 2 * measure.padding.width, measure.head(group.frame).width)
    width += width % 2
    for vertex in vertices:
        vertex.x += (width - content) // 2 - left
    return width


@frozen
class _Row:
    """A row of a group, and the channel below it."""

    top: int
    tracks: Mapping[Hashable, int]
    """How far down the track of each net is, from the group's upper border."""


def _rows(group: Group, layered: Layered, has_exits: bool, measure: Measure) -> tuple[list[_Row], int]:
    """The rows of a group one below the other, and the height of all."""
    frame = group.frame
    head = 0 if frame is None else measure.head(frame).height
    padding = 0 if frame is None else measure.padding.height
    has_entries = any(isinstance(vertex.key, Entry) for vertex in layered.rows[0])
    rows: list[_Row] = []
    top = 0 if has_entries else head + padding
    for index, vertices in enumerate(layered.rows):
        bottom = top + max(vertex.height for vertex in vertices) + (head if has_entries and index == 0 else 0)
        channel = route(layered.links_below(index), pin_gap=measure.line_gap)
        first = bottom + measure.channel_top
        rows.append(_Row(top, {net: first + track * measure.track_gap for net, track in channel.tracks.items()}))
        last = has_exits and index == len(layered.rows) - 2
        if last and not channel.count:
            top = bottom + padding
        else:
            top = first + max(channel.count - 1, 0) * measure.track_gap + measure.channel_bottom
    return rows, rows[-1].top + (0 if has_exits else max(vertex.height for vertex in layered.rows[-1]) + padding)


def _points(link: Link, rows: Sequence[_Row]) -> Iterator[Point]:
    """Where a link begins, turns and ends."""
    upper, lower = rows[link.upper.layer], rows[link.lower.layer]
    yield Point(link.upper_x, upper.top + link.upper.height)
    track = upper.tracks.get(link.net)
    if track is not None:
        yield Point(link.upper_x, track)
        yield Point(link.lower_x, track)
    yield Point(link.lower_x, lower.top)


def _moved(point: Point, by: Point) -> Point:
    return Point(point.x + by.x, point.y + by.y)


def _simplified(points: Sequence[Point]) -> tuple[Point, ...]:
    """The same line without points at which it does not turn."""
    kept: list[Point] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and (kept[-2].x == kept[-1].x == point.x or kept[-2].y == kept[-1].y == point.y):
            kept.pop()
        kept.append(point)
    return tuple(kept)
