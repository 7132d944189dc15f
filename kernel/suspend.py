"""`Suspend`: what a handler returns instead of an output while it waits for work that is done elsewhere."""

from __future__ import annotations

import typing
from typing import Generic, TypeVar

from attrs import field, frozen

from .arguments import checked_seconds
from .durations import Duration

CHECK_AFTER_LEAST_S = 0.1
"""Seconds between two checks of a task. Each costs a claim and a settle: without a pause a step that waits would keep a
host and its store busy, and nothing outside is done much sooner for it."""

S_co = TypeVar("S_co", covariant=True)


@frozen(kw_only=True)
class Suspend(Generic[S_co]):
    """Returned by a handler whose output is not there yet: its step waits, and holds no slot and no connection.

    Meanwhile its check, registered with `@flow.check(…)`, looks whether what it waits for is there. A check returns the
    output, or `Suspend` again.

    Args:
        state: what the check needs to know, carried as JSON of the type that the annotation says: `Suspend[Batch]`.
        check_after: how long until the next check, at the earliest; a `timedelta` or seconds. Less than
            `CHECK_AFTER_LEAST_S` is taken for that.
        give_up_after: how long to wait in all, counted from the first time that the step suspends; then it fails, as
            `timed_out`. None for as long as it takes. A check cannot move that time.

    Raises:
        InvalidArgument: a duration is none, negative, or longer than ten years.
    """

    state: S_co
    check_after: Duration
    give_up_after: Duration | None = None
    check_after_s: float = field(init=False, repr=False, eq=False)
    """`check_after` in seconds, `CHECK_AFTER_LEAST_S` at least."""
    give_up_after_s: float | None = field(init=False, repr=False, eq=False)
    """`give_up_after` in seconds."""

    def __attrs_post_init__(self) -> None:
        check_after_s = max(checked_seconds("check_after", self.check_after), CHECK_AFTER_LEAST_S)
        object.__setattr__(self, "check_after_s", check_after_s)
        limit = self.give_up_after
        object.__setattr__(self, "give_up_after_s", None if limit is None else checked_seconds("give_up_after", limit))


def is_suspend(annotation: object) -> bool:
    """Whether an annotation is `Suspend`, with what is kept or without."""
    return annotation is Suspend or typing.get_origin(annotation) is Suspend
