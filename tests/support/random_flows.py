"""Random flows, and random ends of their tasks: what the decisions see of them, and nothing else.

Everything comes from a generator that whoever asks provides: a seeded one, or one whose numbers hypothesis chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec

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
    Tolerance,
    ValuePath,
)
from fairlead.kernel.times import NotTime
from fairlead.ports.records import ClaimedTask

from .records import START

STEPS_MAX = 6
KINDS = (StepKind.STEP, StepKind.MAP, StepKind.MAP, StepKind.STEP, StepKind.SIGNAL, StepKind.SLEEP)
ELEMENTS = (0, 0, 1, 2, 4)
CONSEQUENCES = (Consequence.FAIL, Consequence.SKIP, Consequence.SKIP_CASCADE)
TOLERANCES: tuple[Tolerance, ...] = (0, 0, 1, 0.5, "all")
DURATIONS: Mapping[StepKind, Sequence[float | None]] = {
    StepKind.SIGNAL: (None, 20.0, 5.0),
    StepKind.SLEEP: (5.0, 0.0, 50.0),
}
PATHS: tuple[tuple[str, ...], ...] = ((), ("items",), ("order", "items"))
QUEUES = ("default", "bulk")

PATTERNS = (b'{"a":1}', b"{}")
MAP_PATTERNS = (b'[{"a":1}]', b'[null,{"a":1}]', b"[]")
NO_TIMES: tuple[NotTime, ...] = ("nothing", "an array", "a time without its offset from UTC")
TIMES = (None, *(START + timedelta(seconds=seconds) for seconds in (-100, 0, 5, 50)))
NO_ARRAYS: tuple[Kind, ...] = ("nothing", "null", "an object")


def random_plan(random: Random, slug: str = "flow") -> Plan:
    """A flow of some steps, maps, signals and sleeps, in any shape that can be defined."""
    steps: dict[str, StepPlan] = {}
    for number in range(random.randint(1, STEPS_MAX)):
        step = _step(random, f"step{number}", steps)
        steps[step.slug] = step
    timeout_s = random.choice([None, None, None, 40.0])
    return Plan(slug=slug, version="1", fingerprint="shape", steps=steps, run_timeout_s=timeout_s)


def _step(random: Random, slug: str, earlier: dict[str, StepPlan]) -> StepPlan:
    wanted = set(random.sample(list(earlier), random.randint(0, min(3, len(earlier)))))
    kind = random.choice(KINDS)
    source = _source(random, earlier) if kind is StepKind.MAP else None
    until = _end(random, earlier) if kind is StepKind.SLEEP and random.choice([False, True]) else None
    wanted.update(place.name for place in (source, until) if place is not None and place.name != INPUT)
    condition = _condition(random, earlier) if random.choice([False, False, True]) else None
    branches = tuple(_condition(random, earlier) for _ in range(random.choice([0, 0, 0, 0, 1, 2])))
    for each in (*branches, *([] if condition is None else [condition])):
        wanted.update(pattern.name for pattern in each.patterns if pattern.name != INPUT)
    requires = tuple(name for name in earlier if name in wanted and random.randint(0, 3) == 3)
    return StepPlan(
        slug=slug,
        kind=kind,
        dependencies=tuple(name for name in earlier if name in wanted),
        condition=condition,
        branches=branches,
        requires=requires,
        on_unmet=random.choice([Consequence.SKIP, Consequence.SKIP, Consequence.SKIP_CASCADE, Consequence.FAIL]),
        on_exhausted=random.choice(CONSEQUENCES),
        tolerate_failures=0 if source is None else random.choice(TOLERANCES),
        source=source,
        queue=random.choice(QUEUES),
        max_attempts=random.choice([3, 2, 1]),
        base_delay_s=random.choice([0.0, 5.0]),
        jitter=random.choice([0.0, 0.5]),
        start_delay_s=random.choice([0.0, 0.0, 7.0]),
        wait_s=random.choice(DURATIONS[kind]) if kind in DURATIONS and until is None else None,
        until=until,
        on_timeout=random.choice(CONSEQUENCES),
        max_concurrency=None if source is None else random.choice([None, 1, 2]),
    )


def _end(random: Random, earlier: dict[str, StepPlan]) -> ValuePath:
    """A time in the input or in an earlier step, but no map."""
    names = [INPUT, *(name for name, step in earlier.items() if step.kind is not StepKind.MAP)]
    return ValuePath(name=random.choice(names), path=random.choice([(), ("at",)]))


def _condition(random: Random, earlier: dict[str, StepPlan]) -> Condition:
    """Patterns over the input and earlier steps, for maps over their elements."""

    def pattern() -> Pattern:
        name = random.choice([INPUT, *earlier])
        of_map = name in earlier and earlier[name].kind is StepKind.MAP
        return Pattern(name, random.choice(MAP_PATTERNS if of_map else PATTERNS))

    when = tuple(pattern() for _ in range(random.choice([1, 0, 2])))
    unless = tuple(pattern() for _ in range(random.choice([0, 1, 2] if when else [1, 2])))
    return Condition(when=when, unless=unless, negated=random.choice([False, True]))


def _source(random: Random, earlier: dict[str, StepPlan]) -> ValuePath:
    name = random.choice([INPUT, *earlier])
    if name in earlier and earlier[name].kind is StepKind.MAP:
        return ValuePath(name=name)
    return ValuePath(name=name, path=random.choice(PATHS))


def random_maps(random: Random, slug: str = "flow") -> Plan:
    """A flow of maps over maps that fail a lot and hinder nothing, with a step behind some that reads nulls."""
    steps: dict[str, StepPlan] = {}
    for number in range(random.randint(1, 3)):
        source = random.choice([INPUT, *steps])
        steps[f"map{number}"] = StepPlan(
            slug=f"map{number}",
            kind=StepKind.MAP,
            dependencies=() if source == INPUT else (source,),
            source=ValuePath(name=source),
            max_attempts=random.choice([1, 1, 2]),
            base_delay_s=0,
            tolerate_failures=random.choice([0, 1, 0.5, "all", "all"]),
            on_exhausted=random.choice([Consequence.FAIL, Consequence.FAIL, Consequence.SKIP]),
            max_concurrency=random.choice([None, None, 1, 2]),
        )
    last = random.choice(list(steps))
    when = random.choice([(), (Pattern(last, b"[null]"),)])
    steps["reader"] = StepPlan(
        slug="reader", dependencies=(last,), condition=Condition(unless=when) if when else None, max_attempts=1
    )
    return Plan(slug=slug, version="1", fingerprint="shape", steps=steps)


def random_waits(random: Random, slug: str = "flow") -> Plan:
    """A flow of a few steps of which most wait for an answer or for a time, one behind the other."""
    steps: dict[str, StepPlan] = {}
    for number in range(random.randint(2, 4)):
        kind = random.choice([StepKind.SIGNAL, StepKind.SIGNAL, StepKind.STEP, StepKind.SLEEP])
        steps[f"wait{number}"] = StepPlan(
            slug=f"wait{number}",
            kind=kind,
            dependencies=tuple(list(steps)[-1:]),
            max_attempts=1,
            wait_s=random.choice(DURATIONS[kind]) if kind in DURATIONS else None,
            on_timeout=random.choice(CONSEQUENCES),
        )
    return Plan(slug=slug, version="1", fingerprint="shape", steps=steps)


def random_facts(random: Random, questions: Questions, lengths_of: Sequence[int] = ELEMENTS) -> bytes | None:
    """The facts of a payload of which this was asked: mostly arrays, empty ones among them; patterns met or not."""
    if not questions:
        return None
    lengths: dict[str, int | Kind] = {source.dotted: random.choice(lengths_of) for source in questions.arrays}
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
