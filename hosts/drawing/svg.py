"""A flow as SVG: one file without scripts, fonts or pictures from elsewhere, readable on light and on dark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from . import pixels
from .chart import Chart, Node
from .layout import lay_out
from .pixels import Pixels
from .places import Box, Line, Point, Size, Surround

RADIUS = 10
"""Of the corners of boxes."""
TURN = 9
"""Of the corners of edges."""
ARROW = Size(9, 9)

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

STYLE = """
{0} {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }}
{0} text {{ text-anchor: middle; fill: #0f172a; }}
{0} .paper {{ fill: #ffffff; }}
{0} .heading {{ text-anchor: start; font-size: 22px; font-weight: 650; letter-spacing: -0.2px; }}
{0} .subheading {{ text-anchor: start; font-size: 13px; fill: #64748b; }}
{0} .title {{ font-size: 15px; font-weight: 600; }}
{0} .line, {0} .condition {{ font-size: 12px; fill: #64748b;
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }}
{0} .condition {{ fill: #854d0e; }}
{0} .card {{ fill: #f8fafc; stroke: #94a3b8; stroke-width: 1.25; }}
{0} .map .card {{ fill: #f0fdfa; stroke: #0d9488; }}
{0} .signal .card, {0} .sleep .card {{ fill: #fdf4ff; stroke: #c026d3; stroke-dasharray: 5 4; }}
{0} .input .card {{ fill: #4338ca; stroke: none; }}
{0} .input .title {{ fill: #ffffff; }}
{0} .input .line {{ fill: #c7d2fe; }}
{0} .gate {{ fill: #fef3c7; }}
{0} .rule {{ stroke: #eab308; stroke-width: 1; stroke-opacity: 0.45; }}
{0} .frame {{ fill: #fffbeb; stroke: #d9a514; stroke-width: 1.25; stroke-dasharray: 5 4; }}
{0} .badge {{ fill: #e2e8f0; }}
{0} .badge-text {{ font-size: 11px; font-weight: 500; fill: #334155; }}
{0} .edge {{ fill: none; stroke: #64748b; stroke-width: 1.5; stroke-linecap: round; }}
{0} .arrow {{ fill: #64748b; }}
{0} .implied .edge {{ stroke: #cbd5e1; }}
{0} .implied .arrow {{ fill: #cbd5e1; }}
@media (prefers-color-scheme: dark) {{
  {0} text {{ fill: #e2e8f0; }}
  {0} .paper {{ fill: #0f172a; }}
  {0} .subheading, {0} .line {{ fill: #94a3b8; }}
  {0} .condition {{ fill: #fde68a; }}
  {0} .card {{ fill: #1e293b; stroke: #64748b; }}
  {0} .map .card {{ fill: #12302f; stroke: #2dd4bf; }}
  {0} .signal .card, {0} .sleep .card {{ fill: #2b1530; stroke: #e879f9; }}
  {0} .input .card {{ fill: #6366f1; }}
  {0} .input .line {{ fill: #e0e7ff; }}
  {0} .gate {{ fill: #453410; }}
  {0} .frame {{ fill: #1d1a10; stroke: #a17c14; }}
  {0} .badge {{ fill: #334155; }}
  {0} .badge-text {{ fill: #cbd5e1; }}
  {0} .edge {{ stroke: #94a3b8; }}
  {0} .arrow {{ fill: #94a3b8; }}
  {0} .implied .edge {{ stroke: #475569; }}
  {0} .implied .arrow {{ fill: #475569; }}
}}
"""


def draw_svg(chart: Chart) -> str:
    """A chart as the text of an SVG file."""
    layout = lay_out(chart, Pixels())
    name = f"fairlead-{chart.title}"
    heading = max(pixels.sans_width(chart.title, 22), pixels.sans_width(chart.subtitle, 13))
    width = max(layout.size.width, round(heading)) + 2 * pixels.MARGIN
    height = layout.size.height + pixels.HEADING + 2 * pixels.MARGIN
    shift = Point((width - layout.size.width) // 2, pixels.MARGIN + pixels.HEADING)
    lines = sorted(layout.lines, key=lambda line: not line.edge.implied)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-title {name}-description">',
        f'<title id="{name}-title">{_escaped(f"Flow {chart.title}, {chart.subtitle}")}</title>',
        f'<desc id="{name}-description">{_escaped(chart.description)}</desc>',
        f"<style>{STYLE.format(f'#{name}')}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="{RADIUS}"/>',
        _text("heading", pixels.MARGIN, pixels.MARGIN + 18, chart.title),
        _text("subheading", pixels.MARGIN, pixels.MARGIN + 38, chart.subtitle),
        f'<g transform="translate({shift.x} {shift.y})">',
        *(part for frame in layout.frames for part in _frame(frame)),
        *(part for line in lines for part in _edge(line)),
        *(part for frame in layout.frames for part in _frame_head(frame)),
        *(part for box in layout.boxes for part in _node(box, chart.sentence(box.node))),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame(frame: Surround) -> Iterator[str]:
    yield f'<rect class="frame" {_place(frame.corner, frame.size)} rx="{RADIUS + 4}"/>'


def _frame_head(frame: Surround) -> Iterator[str]:
    """The strip with the condition, over the edges that come in below it."""
    yield from _gate(frame.corner, frame.size.width, RADIUS + 4, frame.frame.gate)


def _gate(corner: Point, width: int, radius: int, lines: Sequence[str]) -> Iterator[str]:
    """A condition, in a strip along the upper border of a box."""
    left, top, right, bottom = corner.x + 1, corner.y + 1, corner.x + width - 1, corner.y + pixels.gate_height(lines)
    radius -= 1
    yield (
        f'<path class="gate" d="M{left} {bottom}V{top + radius}Q{left} {top} {left + radius} {top}'
        f'H{right - radius}Q{right} {top} {right} {top + radius}V{bottom}Z"/>'
    )
    yield f'<path class="rule" d="M{left} {bottom}H{right}"/>'
    for index, line in enumerate(lines):
        yield _text("condition", corner.x + width // 2, corner.y + 19 + index * pixels.LINE_HEIGHT, line)


def _node(box: Box, said: str) -> Iterator[str]:
    node, corner, size = box.node, box.corner, box.size
    kind = "input" if node.kind is None else str(node.kind)
    stacked = pixels.stack_height(node)
    card = Size(size.width, size.height - stacked)
    middle = corner.x + size.width // 2
    yield f'<g class="{kind}"><title>{_escaped(said)}</title>'
    for behind in range(stacked // pixels.STACK, 0, -1):
        inset, down = behind * (pixels.STACK + 2), behind * pixels.STACK
        place = _place(Point(corner.x + inset, corner.y + down), Size(card.width - 2 * inset, card.height))
        yield f'<rect class="card" {place} rx="{RADIUS}"/>'
    radius = card.height // 2 if node.kind is None else RADIUS
    yield f'<rect class="card" {_place(corner, card)} rx="{radius}"/>'
    top = corner.y
    if node.gate:
        yield from _gate(corner, card.width, RADIUS, node.gate)
        top += pixels.gate_height(node.gate)
    yield from _words(node, middle, top + pixels.PADDING - (2 if node.kind is None else 0))
    yield "</g>"


def _words(node: Node, middle: int, top: int) -> Iterator[str]:
    """The title of a node, and what stands below it."""
    yield _text("title", middle, top + 16, node.shown_title)
    top += pixels.TITLE_HEIGHT
    for line in node.shown_lines:
        yield _text("line", middle, top + 13, line)
        top += pixels.LINE_HEIGHT
    for row in pixels.badge_rows(node.shown_badges):
        yield from _badges(row, middle - pixels.row_width(row) // 2, top + pixels.BADGE_ROW - pixels.BADGE_HEIGHT)
        top += pixels.BADGE_ROW


def _badges(row: Sequence[str], left: int, top: int) -> Iterator[str]:
    for badge in row:
        size = Size(pixels.badge_width(badge), pixels.BADGE_HEIGHT)
        yield f'<rect class="badge" {_place(Point(left, top), size)} rx="{pixels.BADGE_HEIGHT // 2}"/>'
        yield _text("badge-text", left + size.width // 2, top + 14, badge)
        left += size.width + pixels.BADGE_GAP


def _edge(line: Line) -> Iterator[str]:
    end = line.points[-1]
    shaft = (*line.points[:-1], Point(end.x, end.y - ARROW.height + 1))
    yield f'<g class="{"implied" if line.edge.implied else "direct"}"><path class="edge" d="{_path(shaft)}"/>'
    left, right, tail = end.x - ARROW.width // 2, end.x + ARROW.width // 2, end.y - ARROW.height
    yield f'<path class="arrow" d="M{left} {tail}L{end.x} {end.y}L{right} {tail}Z"/></g>'


def _path(points: Sequence[Point]) -> str:
    """A line with round corners."""
    first, last = points[0], points[-1]
    parts = [f"M{first.x} {first.y}"]
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        radius = min(TURN, _distance(before, corner) // 2, _distance(corner, after) // 2)
        come, go = _toward(corner, before, radius), _toward(corner, after, radius)
        parts.append(f"L{come.x} {come.y}Q{corner.x} {corner.y} {go.x} {go.y}")
    return "".join((*parts, f"L{last.x} {last.y}"))


def _distance(one: Point, other: Point) -> int:
    return abs(one.x - other.x) + abs(one.y - other.y)


def _toward(corner: Point, other: Point, by: int) -> Point:
    """A point on the line from a corner to another, which lies straight beside it."""
    across, down = other.x - corner.x, other.y - corner.y
    return Point(corner.x + by * ((across > 0) - (across < 0)), corner.y + by * ((down > 0) - (down < 0)))


def _place(corner: Point, size: Size) -> str:
    return f'x="{corner.x}" y="{corner.y}" width="{size.width}" height="{size.height}"'


def _text(kind: str, x: int, y: int, words: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_escaped(words)}</text>'


def _escaped(words: str) -> str:
    """Text as XML carries it; characters that it cannot carry become a mark."""
    return escape(_NOT_XML.sub("\ufffd", words))
