"""What `--resources` names: a mapping, or a function that opens one, which may ask for the kernel or its ports."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from ...kernel import Kernel
from ..resources import Resources
from .loading import TargetUnusable, find_target, required_parameters

EXPECTED = (
    "expected a mapping of resources, or a function that takes nothing, `kernel` or `ports` "
    "and returns an async context manager yielding one"
)


def find_resources(target: str, kernel: Kernel) -> Resources:
    """What a MODULE:NAME names as resources, given what it asks for.

    Raises:
        UsageError: it is not there, or is neither a mapping nor a function that can be called.
    """
    found = find_target(target)
    if isinstance(found, Mapping):
        return cast("Mapping[str, object]", found)
    if not callable(found):
        raise TargetUnusable(target, f"it is of type {type(found).__name__}; {EXPECTED}")
    known: dict[str, object] = {"kernel": kernel, "ports": kernel.ports}
    required = required_parameters(found)
    unknown = [name for name in required if name not in known]
    if unknown:
        raise TargetUnusable(target, f"it wants {', '.join(map(repr, unknown))}; {EXPECTED}")
    given = {name: known[name] for name in required}
    return lambda: _opening(target, found, given)


def _opening(
    target: str, found: Callable[..., object], given: Mapping[str, object]
) -> AbstractAsyncContextManager[Mapping[str, object]]:
    opening: Any = found(**given)
    if isinstance(opening, AbstractAsyncContextManager):
        return cast("AbstractAsyncContextManager[Mapping[str, object]]", opening)
    if inspect.iscoroutine(opening):
        opening.close()  # since nobody awaits it
    missing = "; is @asynccontextmanager missing?" if hasattr(opening, "__anext__") else ""
    raise TargetUnusable(target, f"it returned an object of type {type(opening).__name__}; {EXPECTED}{missing}")
