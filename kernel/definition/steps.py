"""The steps of a flow: found by slug and by function, put into order, none of which takes longer the more there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import unwrap
from typing import Any

from .handler import Handler, same_function
from .step import Step


class Steps(Mapping[str, Step[Any]]):
    """Steps by slug, in order of definition."""

    def __init__(self) -> None:
        self._steps: dict[str, Step[Any]] = {}
        self._places: dict[str, int] = {}
        self._made_of: dict[object, list[Step[Any]]] = {}

    def __getitem__(self, slug: str) -> Step[Any]:
        return self._steps[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: Step[Any]) -> None:
        """Add a step behind all others."""
        self._places[step.slug] = len(self._steps)
        self._steps[step.slug] = step
        for key in () if step.binding is None else _keys(step.binding.handler):
            self._made_of.setdefault(key, []).append(step)

    def made_of(self, function: Handler) -> list[Step[Any]]:
        """The steps whose handler is a function, however either is wrapped, in order of definition."""
        found = {step.slug: step for key in _keys(function) for step in self._made_of.get(key, ())}
        same = (step for step in found.values() if step.binding and same_function(step.binding.handler, function))
        return sorted(same, key=lambda step: self._places[step.slug])

    def checked_by(self, function: Handler) -> Step[Any] | None:
        """The step that has a function for its check; None if there is none."""
        checks = ((step, step.check) for step in self._steps.values() if step.check is not None)
        return next((step for step, check in checks if same_function(check.binding.handler, function)), None)

    def in_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some names that are slugs of steps, each once, in order of definition."""
        return tuple(sorted({name for name in names if name in self._places}, key=self._places.__getitem__))


def _keys(function: Handler) -> set[object]:
    """What two handlers that are the same function have in common."""
    return {_key(function), _key(unwrap(function))}


def _key(function: Handler) -> object:
    """A callable, or where it has no hash its class."""
    try:
        hash(function)
    except TypeError:
        return type(function)
    return function
