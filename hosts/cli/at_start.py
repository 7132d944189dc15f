"""What `--at-start` names: a function that a worker calls before it claims anything, for what has to be there then."""

from __future__ import annotations

import inspect

from ...kernel import Kernel
from ...ports.errors import FairleadError
from .loading import TargetUnusable, find_target, raised, required_parameters

EXPECTED = "expected a function that takes `kernel`, `async def` or `def`"


async def call_at_start(target: str, kernel: Kernel) -> None:
    """Call the function that a MODULE:NAME names with the worker's kernel, and wait for it.

    Raises:
        UsageError: it is not there, is no such function, or raises something else than an error of Fairlead's.
        FairleadError: as it is raised inside.
    """
    found = find_target(target)
    if not callable(found):
        raise TargetUnusable(target, f"it is of type {type(found).__name__}; {EXPECTED}")
    if required_parameters(found) != ["kernel"]:
        wanted = ", ".join(map(repr, required_parameters(found))) or "nothing"
        raise TargetUnusable(target, f"it takes {wanted}; {EXPECTED}")
    try:
        begun = found(kernel=kernel)
        if inspect.isawaitable(begun):
            await begun
    except FairleadError:
        raise
    except Exception as error:
        raise TargetUnusable(target, f"calling it raised {raised(error)}") from error
