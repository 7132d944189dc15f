"""Errors that are the caller's fault, as the kernel raises them.

Each carries typed fields; its message says what was expected, what was found and what to do.
"""

from __future__ import annotations

from ..ports.errors import UsageError


class FlowDefinitionError(UsageError):
    """A flow was written down wrongly. Raised while the flow is defined, never later."""

    def __init__(self, message: str, *, flow: str, step: str | None = None) -> None:
        self.flow = flow
        self.step = step
        place = f"flow {flow!r}, step {step!r}" if step is not None else f"flow {flow!r}"
        super().__init__(f"{place}: {message}")


class UnsupportedType(UsageError):
    """An annotation names a type whose values JSON cannot carry."""


class PayloadError(UsageError):
    """A value is not JSON, or does not fit its type. `problems` holds every (path, what is wrong) found.

    A path is written `$.lines[2].sku`; `$` is the whole value.
    """

    def __init__(self, problems: tuple[tuple[str, str], ...], *, what: str = "value") -> None:
        self.problems = problems
        self.what = what
        listed = "; ".join(f"{path}: {problem}" for path, problem in problems)
        super().__init__(f"{what}: {listed}")
