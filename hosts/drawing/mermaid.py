"""A flow as a Mermaid flowchart, for pages that draw it themselves."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence

from .chart import Chart, Edge, Node
from .groups import Group, grouped

INDENT = "    "

WAIT_STYLE = "classDef wait stroke:#c026d3,stroke-width:2px,stroke-dasharray:4 4"

_SPECIAL = re.compile(r'["#&<>`\\\[\]{}|]')


def draw_mermaid(chart: Chart) -> str:
    """A chart as the text of a Mermaid diagram."""
    root = grouped(chart)
    names: dict[Hashable, str] = {node.key: _name(node) for node in chart.nodes.values()}
    groups = [group for group in root.groups if group.frame is not None]
    names.update((group, f"branch_{number}") for number, group in enumerate(groups, 1))
    lines = [
        "---",
        f"title: {chart.title}, {chart.subtitle}",
        "---",
        "flowchart TD",
        *_members(root, names, 1),
        *(f"{INDENT}{line}" for edge in chart.edges for line in _edges(edge, names, groups)),
        f"{INDENT}classDef input fill:#4338ca,stroke:#4338ca,color:#ffffff",
        f"{INDENT}classDef map stroke:#0d9488,stroke-width:2px",
        *(f"{INDENT}{WAIT_STYLE}" for _ in range(any(node.is_wait for node in chart.nodes.values()))),
    ]
    return "\n".join(lines) + "\n"


def _members(group: Group, names: dict[Hashable, str], depth: int) -> Iterator[str]:
    indent = INDENT * depth
    for member in group.members:
        if not isinstance(member, Group):
            yield f"{indent}{_node(member)}"
        elif member.frame is not None:
            yield f'{indent}subgraph {names[member]} ["{_lines(member.frame.gate)}"]'
            yield from _members(member, names, depth + 1)
            yield f"{indent}end"


def _node(node: Node) -> str:
    badges = (f"({badge})" for badge in node.shown_badges)
    said = f'"{_lines((*node.gate, node.shown_title, *node.shown_lines, *badges))}"'
    if node.kind is None:
        return f"{_name(node)}([{said}]):::input"
    if node.is_wait:
        return f"{_name(node)}{{{{{said}}}}}:::wait"
    return f"{_name(node)}[[{said}]]:::map" if node.is_map else f"{_name(node)}[{said}]"


def _edges(edge: Edge, names: dict[Hashable, str], groups: Sequence[Group]) -> Iterator[str]:
    arrow = "-.->" if edge.implied else "-->"
    if isinstance(edge.target, str):
        yield f"{names[edge.source]} {arrow} {names[edge.target]}"
        return
    for group in groups:
        if group.frame is not None and group.frame.key == edge.target:
            yield f"{names[edge.source]} {arrow} {names[group]}"


def _name(node: Node) -> str:
    """A name that is no word of Mermaid, such as `end`."""
    return f"step_{node.key}" if node.kind is not None else "run_input"


def _lines(lines: Sequence[str]) -> str:
    return "<br/>".join(map(_escaped, lines))


def _escaped(words: str) -> str:
    """Text between quotes; what Mermaid would read as its own or as HTML is written as its character code."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", words)
