"""Return annotations: what a handler gives in the end, and what it keeps where it may suspend before."""

from __future__ import annotations

import typing
from typing import Any

from attrs import frozen

from ..schema_types import type_name, union
from ..suspend import is_suspend
from .handler import Unannotated
from .parameters import is_union, parts
from .site import Site


@frozen(kw_only=True)
class Returns:
    """What a return annotation says."""

    output: object
    """The annotation without `Suspend`."""
    suspends: bool
    """Whether it mentions `Suspend`."""
    state: object = Unannotated
    """What stands in `Suspend[…]`."""

    @property
    def is_untyped(self) -> bool:
        """Whether it says nothing of what is returned, so that this may be `Suspend`."""
        return any(self.output is untyped for untyped in (Unannotated, Any, object))


def read_returns(annotation: object, site: Site) -> Returns:
    """Take a return annotation apart: `Report | Suspend[Batch]` gives a `Report`, and keeps a `Batch`.

    Raises:
        FlowDefinitionError: `Suspend` is all of it, or stands somewhere inside.
    """
    sides = typing.get_args(annotation) if is_union(annotation) else (annotation,)
    given = [side for side in sides if not is_suspend(side)]
    if any(is_suspend(part) for side in given for part in parts(side)):
        raise site.error("the return value: Suspend[…] must be one side of the union, as in Report | Suspend[Batch]")
    if len(given) == len(sides):
        return Returns(output=annotation, suspends=False)
    if not given:
        raise site.error(
            f"the return value is {type_name(annotation)} alone; say what its check gives in the end, as in "
            f"Report | {type_name(annotation)}, or None | {type_name(annotation)} where that is nothing"
        )
    states = [state for side in sides if is_suspend(side) for state in typing.get_args(side) or (Unannotated,)]
    state = Unannotated if Unannotated in states else union(states)
    return Returns(output=union(given), suspends=True, state=state)
