"""Flows to draw, by hand and at random."""

from __future__ import annotations

import json
from random import Random

from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern, Plan, StepKind, StepPlan, ValuePath


def plan(*steps: StepPlan, slug: str = "flow", version: str = "1") -> Plan:
    """A flow of these steps."""
    return Plan(slug=slug, version=version, fingerprint="shape", steps={step.slug: step for step in steps})


def pattern(name: str, value: object) -> Pattern:
    """A pattern over a step's output."""
    return Pattern(name, json.dumps(value).encode())


def when(name: str, value: object) -> Condition:
    """A condition on one value."""
    return Condition(when=(pattern(name, value),))


def unless(name: str, value: object) -> Condition:
    """A condition that one value must not meet."""
    return Condition(unless=(pattern(name, value),))


def otherwise(condition: Condition) -> Condition:
    """The complement of a condition."""
    return Condition(when=condition.when, unless=condition.unless, negated=not condition.negated)


def over(source: str) -> ValuePath:
    """An array, as `over=` names it."""
    name, *path = source.split(".")
    return ValuePath(name=name, path=tuple(path))


GOOD = when("judge", {"verdict": "good"})

INGEST = plan(
    StepPlan(slug="fetch"),
    StepPlan(
        slug="read",
        kind=StepKind.MAP,
        source=over("fetch.pages"),
        dependencies=("fetch",),
        tolerate_failures=0.1,
        max_concurrency=20,
    ),
    StepPlan(slug="judge", dependencies=("fetch", "read")),
    StepPlan(slug="publish", dependencies=("fetch", "read", "judge"), branches=(GOOD,)),
    StepPlan(slug="announce", dependencies=("judge", "publish"), branches=(GOOD,)),
    StepPlan(
        slug="quarantine",
        dependencies=("judge",),
        branches=(otherwise(GOOD),),
        condition=when("judge", {"pages": 7}),
        on_unmet=Consequence.FAIL,
    ),
    slug="ingest_document",
    version="2",
)
"""Of everything something: a map, data that passes a step by, two branches, a condition, policies."""


MAIL = plan(
    StepPlan(slug="draft"),
    StepPlan(
        slug="approval",
        kind=StepKind.SIGNAL,
        dependencies=("draft",),
        condition=when("draft", {"risk": "high"}),
        wait_s=3 * 86_400.0,
        on_timeout=Consequence.SKIP,
    ),
    StepPlan(slug="evening", kind=StepKind.SLEEP, dependencies=("draft",), until=over("draft.send_at")),
    StepPlan(slug="send", dependencies=("approval", "evening")),
    StepPlan(slug="cool_down", kind=StepKind.SLEEP, dependencies=("send",), wait_s=5400.0),
    slug="send_mail",
)
"""It waits for an answer, for a time in its data, and for a while."""


def random_plan(seed: int, steps: int) -> Plan:
    """A flow of any shape: maps, signals, conditions, branches in branches, steps that leave a branch and come back."""
    chance = Random(seed)
    found: list[StepPlan] = []
    branches: list[tuple[Condition, ...]] = [()]
    for number in range(steps):
        slug = f"step_{number}" + "_with_a_long_name" * (chance.random() < 0.1)
        recent = [step.slug for step in found[-8:]]
        if recent and chance.random() < 0.2:
            asked = when(chance.choice([INPUT, *recent]), {"kind": number})
            branches.append((*chance.choice(branches), asked))
            branches += [(*branches[-1][:-1], otherwise(asked))] * (chance.random() < 0.5)
        inside = chance.choice(branches)
        wanted = set(chance.sample(recent, min(len(recent), chance.choice([0, 1, 1, 2, 3]))))
        wanted |= {each.name for condition in inside for each in condition.patterns if each.name != INPUT}
        mapped = chance.random() < 0.25
        source = chance.choice([INPUT, *sorted(wanted)]) if mapped else None
        found.append(
            StepPlan(
                slug=slug,
                kind=StepKind.MAP if mapped else chance.choice([StepKind.STEP] * 4 + [StepKind.SIGNAL]),
                source=None if source is None else ValuePath(name=source),
                dependencies=tuple(step.slug for step in found if step.slug in wanted),
                branches=inside,
                condition=unless(INPUT, {"test": True}) if chance.random() < 0.2 else None,
                on_exhausted=chance.choice([Consequence.FAIL, Consequence.FAIL, Consequence.SKIP]),
            )
        )
    return plan(*found, slug=f"random_{seed}")
