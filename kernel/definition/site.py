"""Where in a flow something is written, and which names can be seen from there."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ..errors import FlowDefinitionError
from ..hints import nearest
from ..plan import INPUT
from ..shown import shown
from .handler import Handler, name_of, same_function
from .step import Step
from .steps import Steps


@frozen(kw_only=True)
class Site:
    """The surroundings of one step while it is defined, or of a whole flow (`step` is None)."""

    flow: str
    input_name: str
    earlier: Steps
    """The steps defined so far."""
    step: str | None = None
    handler: Handler | None = None
    check: str | None = None
    """The name of the step's check, where it is that which is written."""

    def error(self, message: str, *, missing: str | None = None) -> FlowDefinitionError:
        """Return the error that says what is wrong here.

        Args:
            message: what was expected, what was found, and what to do.
            missing: the name that no earlier step has, where that is what is wrong.
        """
        where = "" if self.check is None else f"check {self.check!r}: "
        return FlowDefinitionError(where + message, flow=self.flow, step=self.step, missing=missing)

    def find(self, name: object, place: str) -> Step[Any]:
        """Return the earlier step that a function, slug or `Step` stands for.

        Args:
            name: as written in code.
            place: the option it is written in, for the message.

        Raises:
            FlowDefinitionError: it stands for none, or for several.
        """
        if isinstance(name, Step):
            return self._own(name, place)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(name, str):
            return self._named(name, place)
        if callable(name):
            return self._made_of(name, place)
        raise self.error(f"{place}: name a step by its function or slug, not by {shown(name)}")

    def unknown(self, name: str, place: str) -> FlowDefinitionError:
        """Return the error for a name that no earlier step has."""
        if name == self.step:
            return self.error(f"{place}: {name!r} is the step itself; a step may only refer to earlier ones")
        hint = nearest(name, self.earlier)
        return self.error(f"{place}: there is no earlier step {shown(name)}; {hint}", missing=name)

    def _own(self, step: Step[Any], place: str) -> Step[Any]:
        if self.earlier.get(step.slug) is not step:
            missing = None if step.slug in self.earlier else step.slug
            raise self.error(f"{place}: step {step.slug!r} belongs to another flow", missing=missing)
        return step

    def _named(self, slug: str, place: str) -> Step[Any]:
        if slug in (self.input_name, INPUT):
            raise self.error(f"{place}: {slug!r} is the input, not a step; it is there from the beginning")
        step = self.earlier.get(slug)
        if step is None:
            raise self.unknown(slug, place)
        return step

    def _made_of(self, function: Handler, place: str) -> Step[Any]:
        found = self.earlier.made_of(function)
        if len(found) == 1:
            return found[0]
        name = name_of(function) or repr(function)
        if found:
            slugs = " and ".join(repr(step.slug) for step in found)
            raise self.error(f"{place}: function {name!r} is the steps {slugs}; name the one by its slug")
        checked = self.earlier.checked_by(function)
        if checked is not None:
            raise self.error(f"{place}: function {name!r} is the check of step {checked.slug!r}; name that step")
        if self.handler is not None and same_function(self.handler, function):
            raise self.error(f"{place}: {name!r} is the step itself; a step may only refer to earlier ones")
        raise self.error(
            f"{place}: function {name!r} is no step of this flow; decorate it first, "
            f"or name another step ({nearest(name, self.earlier)})",
            missing=name,
        )
