"""Turns signals and sleeps, which have no handler, into steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from ..durations import in_seconds
from ..plan import StepKind, ValuePath
from ..schema import ANY, Schema
from .declaring import Placing, checked_slug, read_place, read_policy
from .handler import Names
from .options import Policy, Scope, resolve
from .parameters import schema_of
from .site import Site
from .sources import read_path
from .step import Step


class NotGiven:
    """Stands for an argument that was not given."""


@frozen(kw_only=True)
class SignalDeclaration:
    """A signal as it is written down, nothing checked yet."""

    name: object
    payload: object
    """The type of what it carries."""
    names: Names
    """What can be seen where that is written, beside the module."""
    placing: Placing
    options: Mapping[str, object]

    def define(self, site: Site, flow_options: Mapping[str, Any]) -> Step[Any]:
        """Make the step; see `Declaration`. The options of the flow are those of handlers."""
        site = evolve(site, step=checked_slug(self.name, site))
        policy = read_policy(self.options, Scope.SIGNAL, self.placing, {}, site)
        if "on_timeout" in self.options and policy.wait_s is None:
            raise site.error("option 'on_timeout' says what follows where the signal is late, but it has no timeout")
        if isinstance(self.payload, str):
            raise site.error(f"pass the type of what the signal carries itself, not its name {self.payload!r}")
        payload = schema_of(self.payload, "the type of what the signal carries", site, self.names)
        return _step(StepKind.SIGNAL, payload, None, policy, self.placing, site)


@frozen(kw_only=True)
class SleepDeclaration:
    """A sleep as it is written down, nothing checked yet."""

    name: object
    duration: object
    """`NotGiven` where it was not."""
    until: object
    """`NotGiven` where it was not."""
    placing: Placing
    options: Mapping[str, object]

    def define(self, site: Site, flow_options: Mapping[str, Any]) -> Step[Any]:
        """Make the step; see `Declaration`. The options of the flow are those of handlers."""
        site = evolve(site, step=checked_slug(self.name, site))
        policy = read_policy(self.options, Scope.SLEEP, self.placing, {}, site, ("until",))
        lasts, ends = (not isinstance(each, NotGiven) for each in (self.duration, self.until))
        if lasts == ends:
            found = "both" if lasts else "neither"
            raise site.error(
                f"a sleep needs either its duration or until=…, and has {found}; write it like "
                f"flow.sleep({self.name!r}, timedelta(hours=1)) or flow.sleep({self.name!r}, until='plan.send_at')"
            )
        until = read_path(self.until, "until", site) if ends else None
        policy = evolve(policy, wait_s=_seconds(self.duration, site)) if lasts else policy
        return _step(StepKind.SLEEP, Schema.of(None), until, policy, self.placing, site)


def stand_in(kind: StepKind, slug: str) -> Step[Any]:
    """A step that is in no flow, for whoever names one that is wrong, where errors are noted instead of raised."""
    return Step(
        slug=slug,
        kind=kind,
        binding=None,
        output=ANY,
        streamed=None,
        produced=ANY,
        dependencies=(),
        source=None,
        until=None,
        condition=None,
        branches=(),
        requires=(),
        gaps=False,
        may_be_skipped=False,
        policy=resolve({}, {}),
        suspension=None,
    )


def _step(
    kind: StepKind, output: Schema, until: ValuePath | None, policy: Policy, placing: Placing, site: Site
) -> Step[Any]:
    assert site.step is not None, "the site is that of the step"
    place = read_place(placing, site)
    asked = frozenset[str]() if until is None else frozenset({until.name})
    return evolve(
        stand_in(kind, site.step),
        output=output,
        produced=output,
        dependencies=site.earlier.in_order(place.names | asked),
        until=until,
        condition=place.condition,
        branches=place.branches,
        requires=site.earlier.in_order(place.requires),
        may_be_skipped=place.may_be_skipped(policy, site),
        policy=policy,
    )


def _seconds(duration: object, site: Site) -> float:
    try:
        return in_seconds(duration)
    except ValueError as problem:
        raise site.error(f"the duration must be {problem}") from None
