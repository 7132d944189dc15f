"""What handlers need from the app: opened once per host, checked before the first claim, left after the drain."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from ..kernel import Flow
from .errors import ResourceProblem

Resources: TypeAlias = Mapping[str, object] | Callable[[], AbstractAsyncContextManager[Mapping[str, object]]]
"""The resources by name, or what opens them: a callable that returns an async context manager."""


@asynccontextmanager
async def opened(source: Resources | None) -> AsyncGenerator[Mapping[str, object]]:
    """The resources, for as long as the block lasts."""
    if source is None:
        yield {}
    elif isinstance(source, Mapping):
        yield source
    else:
        async with source() as resources:
            yield resources


def check_resources(
    flows: Iterable[Flow[Any]], resources: Mapping[str, object], *, queues: Iterable[str] | None = None
) -> None:
    """See that every handler gets the resources it asks for.

    Args:
        flows: those that the host serves.
        resources: what it was given.
        queues: the queues it serves, None for all; steps of others run elsewhere and are not looked at.

    Raises:
        ResourceProblem: names or classes do not fit; all problems are listed.
    """
    served = None if queues is None else frozenset(queues)
    problems: list[str] = []
    for flow in flows:
        for step in flow.steps.values():
            if served is not None and step.policy.queue not in served:
                continue
            problems += (
                f"flow {flow.slug!r}, {binding.whose}, parameter {name!r}: {problem}"
                for binding in step.bindings
                for name, wanted in binding.resources.items()
                if (problem := resource_problem(name, wanted, resources)) is not None
            )
    if problems:
        raise ResourceProblem(tuple(problems))


def resource_problem(name: str, wanted: type, resources: Mapping[str, object]) -> str | None:
    """What is wrong with the resource of a name; None where it is what is wanted."""
    if name not in resources:
        return f"expected an instance of {wanted.__qualname__}, found no resource of that name"
    found = resources[name]
    if _fits(found, wanted):
        return None
    return f"expected an instance of {wanted.__qualname__}, found one of {type(found).__qualname__}"


def _fits(found: object, wanted: type) -> bool:
    try:
        return isinstance(found, wanted)
    except TypeError:  # a Protocol that is not runtime-checkable: any object may implement it
        return True
