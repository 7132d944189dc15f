"""Random flows, and random ends of their tasks: what the decisions see of them, and nothing else.

Flows are drawn by hypothesis, which makes failing ones small. Outcomes come from a seeded generator: hypothesis favours
what is simple, and would hardly ever let a task fail twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import msgspec
from hypothesis import strategies as st

from fairlead.kernel.commands import Outcome, OutcomeKind
from fairlead.kernel.elements import Kind
from fairlead.kernel.facts import Facts
from fairlead.kernel.failures import encode_failure
from fairlead.kernel.plan import (
    INPUT,
    Condition,
    Consequence,
    Pattern,
    Plan,
    Questions,
    StepKind,
    StepPlan,
    ValuePath,
)
from fairlead.kernel.times import NotTime
from fairlead.ports.records import ClaimedTask

from .records import START

STEPS_MAX = 6
KINDS = (StepKind.STEP, StepKind.MAP, StepKind.MAP, StepKind.STEP, StepKind.SIGNAL, StepKind.SLEEP)
ELEMENTS = (0, 0, 1, 2, 4)
QUEUES = ("default", "bulk")

PATTERNS = (b'{"a":1}', b"{}")
MAP_PATTERNS = (b'[{"a":1}]', b'[null,{"a":1}]', b"[]")
NO_TIMES: tuple[NotTime, ...] = ("nothing", "an array", "a time without its offset from UTC")
TIMES = (None, *(START + timedelta(seconds=seconds) for seconds in (-100, 0, 5, 50)))
NO_ARRAYS: tuple[Kind, ...] = ("nothing", "null", "an object")


@st.composite
def random_plans(draw: st.DrawFn, slug: str = "flow") -> Plan:
    """A flow of some steps and maps, in any shape that can be defined."""
    steps: dict[str, StepPlan] = {}
    for number in range(draw(st.integers(1, STEPS_MAX))):
        step = draw(_steps(f"step{number}", steps))
        steps[step.slug] = step
    timeout_s = draw(st.sampled_from([None, None, None, 40.0]))
    return Plan(slug=slug, version="1", fingerprint="shape", steps=steps, run_timeout_s=timeout_s)


@st.composite
def _steps(draw: st.DrawFn, slug: str, earlier: dict[str, StepPlan]) -> StepPlan:
    wanted = set(draw(st.lists(st.sampled_from(list(earlier)), max_size=3))) if earlier else set[str]()
    kind = draw(st.sampled_from(KINDS))
    source = draw(_sources(earlier)) if kind is StepKind.MAP else None
    until = draw(_ends(earlier)) if kind is StepKind.SLEEP and draw(st.booleans()) else None
    if until is not None and until.name != INPUT:
        wanted.add(until.name)
    if source is not None and source.name != INPUT:
        wanted.add(source.name)
    condition = draw(_conditions(earlier)) if draw(st.integers(0, 2)) == 0 else None
    branches = tuple(draw(_conditions(earlier)) for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))))
    for each in (*branches, *([] if condition is None else [condition])):
        wanted.update(pattern.name for pattern in each.patterns if pattern.name != INPUT)
    requires = tuple(name for name in earlier if name in wanted and draw(st.integers(0, 3)) == 0)
    return StepPlan(
        slug=slug,
        kind=kind,
        dependencies=tuple(name for name in earlier if name in wanted),
        condition=condition,
        branches=branches,
        requires=requires,
        on_unmet=draw(st.sampled_from([Consequence.SKIP, Consequence.SKIP_CASCADE, Consequence.FAIL])),
        on_exhausted=draw(st.sampled_from([Consequence.FAIL, Consequence.SKIP, Consequence.SKIP_CASCADE])),
        tolerate_failures=0 if source is None else draw(st.sampled_from([0, 0, 1, 0.5, "all"])),
        source=source,
        queue=draw(st.sampled_from(QUEUES)),
        max_attempts=draw(st.sampled_from([3, 2, 1])),
        base_delay_s=draw(st.sampled_from([0.0, 5.0])),
        jitter=draw(st.sampled_from([0.0, 0.5])),
        start_delay_s=draw(st.sampled_from([0.0, 0.0, 7.0])),
        wait_s=draw(_durations(kind)) if until is None else None,
        until=until,
        on_timeout=draw(st.sampled_from([Consequence.FAIL, Consequence.SKIP, Consequence.SKIP_CASCADE])),
        max_concurrency=None if source is None else draw(st.sampled_from([None, 1, 2])),
    )


def _durations(kind: StepKind) -> st.SearchStrategy[float | None]:
    if kind is StepKind.SIGNAL:
        return st.sampled_from([None, 20.0, 5.0])
    return st.sampled_from([5.0, 0.0, 50.0]) if kind is StepKind.SLEEP else st.none()


@st.composite
def _ends(draw: st.DrawFn, earlier: dict[str, StepPlan]) -> ValuePath:
    """A time in the input or in an earlier step, but no map."""
    names = [INPUT, *(name for name, step in earlier.items() if step.kind is not StepKind.MAP)]
    return ValuePath(name=draw(st.sampled_from(names)), path=draw(st.sampled_from([(), ("at",)])))


@st.composite
def _conditions(draw: st.DrawFn, earlier: dict[str, StepPlan]) -> Condition:
    """Patterns over the input and earlier steps, for maps over their elements."""

    def pattern() -> Pattern:
        name = draw(st.sampled_from([INPUT, *earlier]))
        of_map = name in earlier and earlier[name].kind is StepKind.MAP
        return Pattern(name, draw(st.sampled_from(MAP_PATTERNS if of_map else PATTERNS)))

    when = tuple(pattern() for _ in range(draw(st.sampled_from([1, 0, 2]))))
    unless = tuple(pattern() for _ in range(draw(st.sampled_from([0, 1, 2] if when else [1, 2]))))
    return Condition(when=when, unless=unless, negated=draw(st.booleans()))


@st.composite
def _sources(draw: st.DrawFn, earlier: dict[str, StepPlan]) -> ValuePath:
    name = draw(st.sampled_from([INPUT, *earlier]))
    if name in earlier and earlier[name].kind is StepKind.MAP:
        return ValuePath(name=name)
    return ValuePath(name=name, path=draw(st.sampled_from([(), ("items",), ("order", "items")])))


def random_facts(random: Random, questions: Questions) -> bytes | None:
    """The facts of a payload of which this was asked: mostly arrays, empty ones among them; patterns met or not."""
    if not questions:
        return None
    lengths: dict[str, int | Kind] = {source.dotted: random.choice(ELEMENTS) for source in questions.arrays}
    if lengths and random.random() < 0.05:
        lengths[random.choice(sorted(lengths))] = random.choice(NO_ARRAYS)
    matches = tuple(random.random() < 0.5 for _ in questions.patterns)
    times: dict[str, datetime | None] = {until.dotted: random.choice(TIMES) for until in questions.times}
    no_times: dict[str, NotTime] = {}
    if times and random.random() < 0.05:
        wrong = random.choice(sorted(times))
        del times[wrong]
        no_times[wrong] = random.choice(NO_TIMES)
    return msgspec.json.encode(Facts(lengths=lengths, matches=matches, times=times, no_times=no_times))


def plain_facts(questions: Questions) -> bytes | None:
    """The facts of a payload in which every array has an element, no time is set and no pattern is met."""
    lengths: dict[str, int | Kind] = {source.dotted: 1 for source in questions.arrays}
    times: dict[str, datetime | None] = {until.dotted: None for until in questions.times}
    return msgspec.json.encode(Facts(lengths=lengths, times=times, matches=tuple(False for _ in questions.patterns)))


def random_outcome(random: Random, task: ClaimedTask, plan: Plan) -> Outcome:
    """How an attempt may end: most often well."""
    step = plan.steps[task.key.step]
    dice = random.random()
    if dice < 0.6:
        return completed(task, random_facts(random, plan.questions[step.slug]))
    if dice < 0.72:
        return suspended(
            task,
            check_after_s=random.choice([0, 5, 50]),
            give_up_after_s=random.choice([None, None, 0, 5, 20]),
        )
    if dice < 0.78:
        return Outcome(key=task.key, token=task.token, flow_id=task.flow_id, kind=OutcomeKind.RELEASED)
    retry_after = random.choice([None, None, timedelta(0), timedelta(seconds=3)])
    return failed(task, retryable=random.random() < 0.9, retry_after=retry_after)


def completed(task: ClaimedTask, facts: bytes | None = None) -> Outcome:
    """A task's output, which no decision looks at."""
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.COMPLETED,
        output=b'"done"',
        facts=facts,
    )


def suspended(task: ClaimedTask, *, check_after_s: float, give_up_after_s: float | None = None) -> Outcome:
    """What it is about is not ready yet."""
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.SUSPENDED,
        state=b'{"job":1}',
        check_after=timedelta(seconds=check_after_s),
        give_up_after=None if give_up_after_s is None else timedelta(seconds=give_up_after_s),
    )


def failed(task: ClaimedTask, *, retryable: bool = True, retry_after: timedelta | None = None) -> Outcome:
    """An exception that the handler raised."""
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.FAILED,
        error=encode_failure(type="ValueError", message="no", attempt=task.attempt),
        reason="handler_failed",
        retryable=retryable,
        retry_after=retry_after,
    )
