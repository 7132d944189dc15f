"""The None rule against random flows: no handler ever misses a dependency of which the rule says that it is there.

Every course of a small flow is played through by a plain reading of the language (`courses`), which knows nothing of
what the definition concludes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations, product
from random import Random
from typing import Any, TypeAlias

import pytest

from fairlead.kernel import codec
from fairlead.kernel.codec import JsonValue
from fairlead.kernel.containment import contains
from fairlead.kernel.definition import Flow
from fairlead.kernel.definition.absence import certain, why_none
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import Condition, Consequence, Plan, StepKind, StepPlan

OUTPUTS: tuple[JsonValue, ...] = ({"v": 0, "items": []}, {"v": 1, "items": [1]}, "no object")

Call: TypeAlias = tuple[str, frozenset[str]]
"""A step whose handler was called, and which of those before it had not run then."""


def random_flow(random: Random) -> Any:
    """Return a sealed flow of up to five steps, maps and signals, under random conditions in random branches."""
    flow: Any = Flow("random", version=1)
    groups = [flow]
    for number in range(random.randint(3, 5)):
        earlier = list(flow.steps)
        if earlier and random.random() < 0.4:
            groups += new_branches(random, flow, random.choice(groups))
        try:
            arguments = random_arguments(random, flow)
            group = random.choice(groups)
            if earlier and random.random() < 0.25:
                over = random.choice(earlier)
                arguments["over"] = over if flow.steps[over].source is not None else f"{over}.items"
                group.map(lambda: None, slug=f"s{number}", **arguments)
            elif random.random() < 0.25:
                late = arguments.pop("on_exhausted", "fail")
                group.signal(f"s{number}", object, timeout=1, on_timeout=late, **arguments)
            else:
                group.step(untyped, slug=f"s{number}", **arguments)
        except FlowDefinitionError as error:
            assert "contradict" in str(error)  # noqa: PT017
    flow.step(untyped, slug="last", after=list(flow.steps))
    flow.seal()
    return flow


def untyped() -> Any: ...


def new_branches(random: Random, flow: Any, around: Any) -> list[Any]:
    try:
        branch = around.branch(**random_condition(random, flow))
        return [branch, branch.otherwise()]
    except FlowDefinitionError:
        return []


def random_condition(random: Random, flow: Any) -> dict[str, Any]:
    places = random.choice([["when"], ["when"], ["unless"], ["when", "unless"]])
    return {place: random_patterns(random, flow) for place in places}


def random_patterns(random: Random, flow: Any) -> dict[str, Any]:
    names = random.sample(list(flow.steps), min(len(flow.steps), random.choice([1, 1, 2])))
    patterns = {name: random.choice([{}, {"v": 0}, {"v": 1}]) for name in names}
    return {name: [each] if flow.steps[name].source is not None else each for name, each in patterns.items()}


def random_arguments(random: Random, flow: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    earlier = list(flow.steps)
    consequences = [each.value for each in Consequence]
    if earlier:
        arguments["after"] = random.sample(earlier, random.randint(0, len(earlier)))
        if random.random() < 0.4:
            arguments |= {**random_condition(random, flow), "on_unmet": random.choice(consequences)}
        if random.random() < 0.3:
            arguments["requires"] = [random.choice(earlier)]
    if random.random() < 0.3:
        arguments["on_exhausted"] = random.choice(consequences)
    return arguments


def courses(plan: Plan) -> Iterator[Iterator[Call]]:
    """Play every course: each step gives any of some outputs, and any of those that may survive it fail or are late."""
    failing = [slug for slug, step in plan.steps.items() if of_failure(step) is not Consequence.FAIL]
    subsets = chain.from_iterable(combinations(failing, size) for size in range(len(failing) + 1))
    for failed, outputs in product(list(subsets), product(OUTPUTS, repeat=len(plan.steps))):
        yield played(plan, dict(zip(plan.steps, outputs, strict=True)), frozenset(failed))


def played(plan: Plan, outputs: Mapping[str, JsonValue], failing: frozenset[str]) -> Iterator[Call]:
    """Play one course in order of definition, until the run fails or all steps are settled."""
    values: dict[str, JsonValue] = {}
    cascading: set[str] = set()
    for slug, step in plan.steps.items():
        if cascading.intersection(step.dependencies):
            cascading.add(slug)
            continue
        consequence = unmet(step, values)
        if consequence is None:
            elements = elements_of(plan, step, values)
            if elements is None:
                return
            if elements > 0:
                yield slug, frozenset(plan.steps).difference(values)
            if slug not in failing or not elements:
                values[slug] = outputs[slug] if step.source is None else [outputs[slug]] * elements
                continue
            consequence = of_failure(step)
        if consequence is Consequence.FAIL:
            return
        if consequence is Consequence.SKIP_CASCADE:
            cascading.add(slug)


def of_failure(step: StepPlan) -> Consequence:
    """Return what follows where a step fails for good, or a signal is late."""
    return step.on_timeout if step.kind is StepKind.SIGNAL else step.on_exhausted


def unmet(step: StepPlan, values: Mapping[str, JsonValue]) -> Consequence | None:
    """Return what follows where a step does not run, None where it does."""
    if any(name not in values for name in step.requires) or not all(met(each, values) for each in step.branches):
        return Consequence.SKIP
    return None if step.condition is None or met(step.condition, values) else step.on_unmet


def met(condition: Condition, values: Mapping[str, JsonValue]) -> bool:
    def has(name: str, document: bytes) -> bool:
        return name in values and contains(values[name], codec.decode(document))

    taken = all(has(each.name, each.document) for each in condition.when) and not (
        condition.unless and all(has(each.name, each.document) for each in condition.unless)
    )
    return taken is not condition.negated


def elements_of(plan: Plan, step: StepPlan, values: Mapping[str, JsonValue]) -> int | None:
    """Return how many tasks a step has, None where what it should work over is no array."""
    if step.source is None:
        return 1
    value = values.get(step.source.name, [])
    if step.source.path and isinstance(value, dict):
        value = value["items"]
    return len(value) if isinstance(value, list) else None


@pytest.mark.parametrize("start", range(0, 120, 30))
def test_no_handler_misses_what_is_certain(start: int) -> None:
    """Whatever outputs, failures and conditions: a dependency that was skipped may be None by the rule, and of no step
    that has not run it is said to have."""
    missed = sure = 0
    for seed in range(start, start + 30):
        flow = random_flow(Random(seed))
        absent = {(slug, name) for course in courses(flow.plan) for slug, skipped in course for name in skipped}
        for slug, step in flow.steps.items():
            ran = certain(step, flow.steps)
            sure += len(ran)
            assert not {(slug, name) for name in ran} & absent, f"seed {seed}"
        for slug, name in absent:
            if name in flow.steps[slug].dependencies and not flow.plan.is_map(name):
                missed += 1
                assert why_none(flow.steps[slug], flow.steps[name], flow.steps) is not None, f"seed {seed}"

    assert missed > 20
    assert sure > 30
