"""What a drawing of a flow shows, in words and without places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, TypeAlias

from attrs import evolve, frozen

from ...kernel import Flow
from ...kernel.plan import INPUT, Condition, Plan, StepKind, StepPlan
from .words import condition_words, duration_words, policy_words, shortened, sleep_words, source_words, wrapped

BoxKey: TypeAlias = "str | tuple[Condition, ...]"
"""Names a box: the slug of a step, `INPUT`, or a frame by its conditions, outermost first."""

TITLE_LENGTH_MAX: Final = 40
"""Characters of a step's slug that are shown."""
LINE_LENGTH_MAX: Final = 48
"""Characters of each other line in a box that are shown."""


@frozen(kw_only=True)
class Node:
    """The input, or a step. All words are here in full, and drawn as far as there is room."""

    key: str
    kind: StepKind | None
    """None for the input."""
    title: str
    condition: str | None = None
    """The step's own."""
    lines: tuple[str, ...] = ()
    """What is said below the title: the array that a map works over, how long a sleep lasts, the type of what
    comes out, or for a signal of what it carries."""
    badges: tuple[str, ...] = ()
    """Policies that are not the default, each in a few words."""
    frames: tuple[Condition, ...] = ()
    """The frame in which it stands."""

    @property
    def is_map(self) -> bool:
        """Whether it stands for many tasks."""
        return self.kind is StepKind.MAP

    @property
    def is_wait(self) -> bool:
        """Whether it waits, and no host runs it."""
        return self.kind in (StepKind.SIGNAL, StepKind.SLEEP)

    @property
    def gate(self) -> tuple[str, ...]:
        """The condition in lines; empty where there is none."""
        return () if self.condition is None else wrapped(self.condition)

    @property
    def shown_title(self) -> str:
        """The title as far as there is room."""
        return shortened(self.title, TITLE_LENGTH_MAX)

    @property
    def shown_lines(self) -> tuple[str, ...]:
        """The lines as far as there is room."""
        return tuple(shortened(line, LINE_LENGTH_MAX) for line in self.lines)

    @property
    def shown_badges(self) -> tuple[str, ...]:
        """The badges as far as there is room."""
        return tuple(shortened(badge, LINE_LENGTH_MAX) for badge in self.badges)


@frozen(kw_only=True)
class Frame:
    """The steps of a branch."""

    key: tuple[Condition, ...]
    condition: str

    @property
    def gate(self) -> tuple[str, ...]:
        """The condition in lines."""
        return wrapped(self.condition)


@frozen
class Edge:
    """A dependency. One that leads to a frame holds for every step in it."""

    source: str
    target: BoxKey
    implied: bool
    """Whether other edges lead from the source to the target too, so that it adds data and no order."""


@frozen(kw_only=True)
class Chart:
    """A flow as it is drawn."""

    title: str
    subtitle: str
    nodes: Mapping[str, Node]
    """The input first, then the steps in order of definition."""
    frames: Mapping[tuple[Condition, ...], Frame]
    """By key; an outer frame before those in it."""
    edges: tuple[Edge, ...]

    @cached_property
    def description(self) -> str:
        """The picture in sentences, for those who cannot see it."""
        return " ".join((*map(self._branch, self.frames.values()), *map(self.sentence, self.nodes.values())))

    @cached_property
    def brief(self) -> Chart:
        """The same without what stands below titles, for where there is little room."""
        nodes = {key: evolve(node, lines=(), badges=()) for key, node in self.nodes.items()}
        return evolve(self, nodes=nodes)

    def sentence(self, node: Node) -> str:
        """Everything about a node."""
        said = (node.title if node.kind is None else f"{node.kind} {node.title}", *node.lines)
        condition = () if node.condition is None else (node.condition,)
        return f"{', '.join((*said, *condition, *node.badges))}{self._after(node.key)}."

    def _branch(self, frame: Frame) -> str:
        inside = [node.title for node in self.nodes.values() if node.frames[: len(frame.key)] == frame.key]
        return f"branch {frame.condition}{self._after(frame.key)}: {', '.join(inside)}."

    def _after(self, box: BoxKey) -> str:
        listed = ", ".join(self.nodes[edge.source].title for edge in self.edges if edge.target == box)
        return f", after {listed}" if listed else ""


def chart_of(flow: Flow[Any] | Plan) -> Chart:
    """What to draw of a flow.

    Args:
        flow: a sealed flow; or its plan, which knows neither types nor the name of the input.
    """
    plan = flow if isinstance(flow, Plan) else flow.plan
    input_name = INPUT if isinstance(flow, Plan) else flow.input_name
    types = {} if isinstance(flow, Plan) else _types(flow)
    frames = {key: None for step in plan.steps.values() for key in _enclosing(step)}
    first = Node(key=INPUT, kind=None, title=input_name, lines=_type_line(types, INPUT))
    suspending = () if isinstance(flow, Plan) else [slug for slug, step in flow.steps.items() if step.suspends]
    nodes = [_node(step, input_name, types, suspends=step.slug in suspending) for step in plan.steps.values()]
    limit = () if plan.run_timeout_s is None else (f"at most {duration_words(plan.run_timeout_s)}",)
    return Chart(
        title=plan.slug,
        subtitle=" · ".join((f"version {plan.version}", f"{len(nodes)} step{'' if len(nodes) == 1 else 's'}", *limit)),
        nodes={INPUT: first, **{node.key: node for node in nodes}},
        frames={key: Frame(key=key, condition=condition_words(key[-1], input_name)) for key in frames},
        edges=_edges(plan),
    )


def _types(flow: Flow[Any]) -> dict[str, str]:
    """The names of the types of the input and of what handlers return, as far as they say something."""
    named = {INPUT: flow.input_schema, **{slug: step.output for slug, step in flow.steps.items()}}
    return {key: schema.name for key, schema in named.items() if schema.annotation not in (Any, None, type(None))}


def _node(step: StepPlan, input_name: str, types: Mapping[str, str], *, suspends: bool) -> Node:
    source, lasts = source_words(step, input_name), sleep_words(step, input_name)
    each = () if source is None else (f"each of {source}",)
    end = () if lasts is None else (f"sleeps {lasts}",)
    given = _type_line(types, step.slug)
    if step.kind is StepKind.SIGNAL:
        given = (f"waits for {types.get(step.slug, 'a signal')}",)
    concurrency = () if step.max_concurrency is None else (f"{step.max_concurrency} at a time",)
    suspension = ("may suspend",) if suspends else ()
    return Node(
        key=step.slug,
        kind=step.kind,
        title=step.slug,
        condition=None if step.condition is None else condition_words(step.condition, input_name),
        lines=(*each, *end, *given),
        badges=(*concurrency, *suspension, *policy_words(step)),
        frames=step.branches,
    )


def _enclosing(step: StepPlan) -> Iterator[tuple[Condition, ...]]:
    """The frames around a step, outermost first."""
    for depth in range(1, len(step.branches) + 1):
        yield step.branches[:depth]


def _type_line(types: Mapping[str, str], key: str) -> tuple[str, ...]:
    if key not in types:
        return ()
    return (types[key] if key == INPUT else f"→ {types[key]}",)


def _edges(plan: Plan) -> tuple[Edge, ...]:
    """Every dependency once; where a branch's condition asks about its source, it is the frame that depends on it."""
    found = dict.fromkeys(
        (source, target) for step in plan.steps.values() for source, target in _dependencies(plan, step)
    )
    after: dict[BoxKey, set[BoxKey]] = {}
    for box, later in (*found, *(pair for step in plan.steps.values() for pair in _containments(step))):
        after.setdefault(box, set()).add(later)
    return tuple(Edge(source, target, implied=_is_implied(source, target, after)) for source, target in found)


def _is_implied(source: BoxKey, target: BoxKey, after: Mapping[BoxKey, set[BoxKey]]) -> bool:
    """Whether another way leads from the source to the target. Whoever reaches a frame reaches what is in it."""
    reached: set[BoxKey] = set()
    waiting = [box for box in after[source] if box != target]
    while waiting:
        box = waiting.pop()
        if box not in reached:
            reached.add(box)
            waiting += after.get(box, ())
    return target in reached


def _containments(step: StepPlan) -> Iterator[tuple[BoxKey, BoxKey]]:
    """Each frame around a step with what is in it."""
    return pairwise((*_enclosing(step), step.slug))


def _dependencies(plan: Plan, step: StepPlan) -> Iterator[tuple[str, BoxKey]]:
    for dependency in step.dependencies:
        yield dependency, _asking_frame(step, dependency) or step.slug
    of_input = any(place is not None and place.name == INPUT for place in (step.source, step.until))
    if of_input or not step.dependencies:
        yield INPUT, _asking_frame(step, INPUT) or step.slug


def _asking_frame(step: StepPlan, source: str) -> tuple[Condition, ...] | None:
    """The outermost frame around a step whose condition is about `source`."""
    for key in _enclosing(step):
        if any(pattern.name == source for pattern in key[-1].patterns):
            return key
    return None
