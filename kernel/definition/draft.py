"""A flow while it is written: its steps so far, what is known of their types, and how it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from attrs import evolve, frozen

from ..errors import FlowDefinitionError, IncompleteFlow
from ..plan import INPUT, Condition, Plan
from ..schema import ANY, Schema
from .absence import check_absences
from .binding import Binding
from .checking import define_check
from .checks import agreed_input, check_parameters, check_patterns, check_types
from .conditions import WRONG, complement, read_condition
from .declaring import Declaration
from .noting import NotedError, wanted
from .shape import Shape, shape_of
from .site import Site
from .step import Step

_NO_STEP: Final = ""
"""Stands among the names of what was left out for a check whose step there is not."""


@frozen
class Compiled:
    """What is known of a flow once nothing can be added."""

    plan: Plan
    shape: Shape
    streamed: frozenset[str]
    """The names whose values handlers or checks read element by element."""


class Draft:
    """What a flow and its branches write into.

    Args:
        site: the flow, without any step.
        version: as text.
        options: the flow's, parsed.
        input: the type of a run's input, or None where the annotations of the steps say it.
    """

    def __init__(self, site: Site, version: str, options: Mapping[str, Any], input: Schema | None) -> None:
        self.steps: Final = site.earlier
        self.site: Final = site
        self._version = version
        self._options = options
        self._input_is_declared = input is not None
        self._produced = {} if input is None else {INPUT: input}
        """What the steps give to their dependents, and the input's type (under `INPUT`) once it is known."""
        self._compiled: Compiled | None = None
        self._noted = wanted()
        self._lost: set[str | None] = set()
        """Names of steps that were left out since they are wrong, and None for anything else that was."""

    @property
    def input_schema(self) -> Schema:
        """The type of a run's input: as declared, else of the annotations so far, else `ANY`."""
        return self._produced.get(INPUT, ANY)

    def add(self, declared: Declaration) -> Step[Any] | None:
        """Add a step and return it. Where it is wrong nothing is changed; None where that was noted.

        Raises:
            FlowDefinitionError: anything about it is wrong, or the flow is sealed.
        """
        try:
            return self._add(declared)
        except FlowDefinitionError as error:
            self._leave_out(error, error.step or _text(declared.name))
            return None

    def _add(self, declared: Declaration) -> Step[Any]:
        if self._compiled is not None:
            raise self._sealed(_text(declared.name))
        step = declared.define(self.site, self._options)
        site = evolve(self.site, step=step.slug)
        produced = self._with_input_of(step.binding, site)
        check_types(step, produced, site)
        if step.binding is not None:
            self._check_absences(step, step.binding, site)
        self.steps.add(step)
        self._produced = produced
        self._produced[step.slug] = step.produced
        return step

    def to_check(self, name: object) -> Step[Any] | None:
        """Return the step of which a check is being written; None where what is wrong was noted.

        Args:
            name: the step: its function, its slug, or the `Step` itself.

        Raises:
            FlowDefinitionError: there is no such step, or the flow is sealed.
        """
        try:
            if self._compiled is not None:
                raise self._sealed(None)
            return self.site.find(name, "check")
        except FlowDefinitionError as error:
            self._leave_out(error, _NO_STEP)
            return None

    def add_check(self, step: Step[Any], function: object) -> None:
        """Add the check of a step; nothing is changed where it is wrong.

        Args:
            step: the step.
            function: whatever was decorated.

        Raises:
            FlowDefinitionError: anything about it is wrong, or the flow is sealed.
        """
        try:
            self._add_check(step, function)
        except FlowDefinitionError as error:
            self._leave_out(error, step.slug)

    def _add_check(self, step: Step[Any], function: object) -> None:
        if self._compiled is not None:
            raise self._sealed(step.slug)
        site = evolve(self.site, step=step.slug)
        check, state = define_check(step, function, site)
        suspension = step.suspension
        assert suspension is not None, "there is no check without it"
        site, known = evolve(site, check=check.name), suspension.state
        produced = self._with_input_of(check.binding, site)
        suspension.state = state
        try:
            check_parameters(step, check.binding, produced, site)
            self._check_absences(step, check.binding, site)
        except FlowDefinitionError:
            suspension.state = known
            raise
        suspension.check = check
        self._produced = produced

    def _with_input_of(self, binding: Binding | None, site: Site) -> dict[str, Schema]:
        """The types that are known, with what a handler says of the input's where it is not declared."""
        known = self._produced.get(INPUT)
        agreed = known if self._input_is_declared else agreed_input(known, binding, site)
        return self._produced if agreed is known else {**self._produced, INPUT: cast(Schema, agreed)}

    def _check_absences(self, step: Step[Any], binding: Binding, site: Site) -> None:
        if None not in self._lost:  # The condition of a branch may be why something is never None.
            check_absences(step, binding, site)

    def condition(self, when: object, unless: object, around: Sequence[Condition]) -> Condition:
        """Return the condition of a branch.

        Args:
            when: patterns by name.
            unless: patterns by name.
            around: the conditions of the branches in which it is written, outermost first.

        Raises:
            FlowDefinitionError: anything about it is wrong, or the flow is sealed.
        """
        try:
            return self._condition(when, unless, around)
        except FlowDefinitionError as error:
            self._leave_out(error)
            return WRONG

    def complement(self, branches: Sequence[Condition]) -> tuple[Condition, ...]:
        """Return the conditions of the complement of the innermost of some branches.

        Raises:
            FlowDefinitionError: the branches around it leave nothing to the complement.
        """
        try:
            return complement(branches, self.site)
        except FlowDefinitionError as error:
            self._leave_out(error)
            return (*branches[:-1], WRONG)

    def _condition(self, when: object, unless: object, around: Sequence[Condition]) -> Condition:
        if self._compiled is not None:
            raise self._sealed(None)
        condition = read_condition(when, unless, around, self.site)
        if condition is None:
            raise self.site.error("a branch needs its condition: write flow.branch(when=…) or flow.branch(unless=…)")
        check_patterns(condition, self._produced, self.site)
        return condition

    def seal(self) -> Compiled:
        """Close the flow: check what needs all of it, and compile it. A second time does nothing.

        Raises:
            FlowDefinitionError: the flow has no steps, or what asks for the input does not fit the input's type.
            IncompleteFlow: something in it is wrong, and was noted.
        """
        if self._compiled is not None:
            return self._compiled
        if not self.steps and not self._lost:
            self._leave_out(self.site.error("there are no steps; decorate a function with @flow.step"))
        produced = {**self._produced, INPUT: self.input_schema}
        for step in self.steps.values():
            try:
                check_types(step, produced, evolve(self.site, step=step.slug))
            except FlowDefinitionError as error:
                self._leave_out(error, step.slug)
            if step.lacks_check and step.slug not in self._lost:  # Otherwise its check is what was left out.
                self._leave_out(self._without_check(step), step.slug)
        if self._lost:
            raise IncompleteFlow(self.site.flow)
        shape = shape_of(self.input_schema, self.steps, self.site)
        steps = {slug: step.plan() for slug, step in self.steps.items()}
        plan = Plan(
            slug=self.site.flow,
            version=self._version,
            fingerprint=shape.fingerprint,
            steps=steps,
            run_timeout_s=self._options.get("run_timeout_s"),
            retention_s=self._options.get("retention_s"),
        )
        bindings = (binding for step in self.steps.values() for binding in step.bindings)
        streamed = frozenset(name for binding in bindings for name in binding.streams)
        self._compiled = Compiled(plan, shape, streamed)
        return self._compiled

    def compiled(self, what: str) -> Compiled:
        """Return what sealing made.

        Args:
            what: what is asked for, for the message.

        Raises:
            FlowDefinitionError: the flow is not sealed.
        """
        if self._compiled is None:
            raise self.site.error(f"the {what} is known only when the flow is sealed; call flow.seal()")
        return self._compiled

    def _leave_out(self, error: FlowDefinitionError, step: str | None = None) -> None:
        """Note an error, so that the flow can never be sealed; unless all it says is that a step is missing which was
        left out itself.

        Raises:
            FlowDefinitionError: the error, if nobody wants it noted.
        """
        if self._noted is None:
            raise error
        if error.missing is None or error.missing not in self._lost:
            self._noted.append(NotedError.of(error))
        self._lost.add(step)

    def _without_check(self, step: Step[Any]) -> FlowDefinitionError:
        return evolve(self.site, step=step.slug).error(
            f"it may return Suspend, but has no check; write one below @flow.check({step.slug}), or leave Suspend out"
        )

    def _sealed(self, step: str | None) -> FlowDefinitionError:
        message = "the flow is sealed: a kernel has taken it; define all steps before the kernel is made"
        return FlowDefinitionError(message, flow=self.site.flow, step=step)


def _text(name: object) -> str | None:
    return name if isinstance(name, str) else None
