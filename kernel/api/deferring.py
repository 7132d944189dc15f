"""Commands that are deferred to a time: starts and cancels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload

from ...ports.notes import AnnotationValue
from ..arguments import checked_seconds, checked_text
from ..commands import CancelRun, DeferCancel, DeferStart
from ..definition import Flow
from ..durations import Duration
from ..entries import deferred_entry_of, read_entries
from ..errors import DeferredNotFound, InvalidArgument
from ..schedules import DEFERRED_PREFIXES, SCHEDULE_NAME_LENGTH_MAX, deferred_record
from ..templates import checked_template
from .commanding import Commanding
from .deferred import Deferred

T = TypeVar("T")


class Deferring(Commanding):
    """What a kernel does later."""

    @overload
    async def start_later(
        self,
        flow: Flow[T],
        input: T,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> Deferred: ...
    @overload
    async def start_later(
        self,
        flow: str,
        input: object,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> Deferred: ...
    async def start_later(
        self,
        flow: Flow[Any] | str,
        input: object,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> Deferred:
        """Start a run at a time. When this returns, the start is durable.

        The run gets the id that `Deferred.record` tells; but with a key it may come to another run, see `Deferred.run`.

        Args:
            flow: as for `start`; the run is one of the newest version that the host has which starts it.
            input: as for `start`; checked now and then again.
            at: when; aware, and at once where it is past. Either this or `after`.
            after: how much later than now; a `timedelta`, or seconds.
            key: makes the call repeatable, as for `start`; the time is no part of what is compared.
            priority: as for `start`.
            config: as for `start`.
            annotations: as for `start`.

        Raises:
            UnknownFlow, ForeignFlow, InvalidInput, IdempotencyConflict: as for `start`.
            InvalidArgument: neither or both of `at` and `after` are given, or what is given is no such.
            AdapterError: the store failed.
        """
        found = self._registry.find(flow)
        await self._keep_time()
        due_at = self._due_at(at, after)
        template = checked_template(found, input, config, priority=priority, annotations=annotations, key=key)
        deferral = await self.dispatch(DeferStart(template=template, key=key, due_at=due_at))
        return Deferred(self, deferral.record, created=deferral.created)

    async def cancel_later(
        self,
        run_id: str,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        reason: str | None = None,
    ) -> Deferred:
        """Cancel a run at a time, if it has not ended by then: a deadline, of which a run has one, the last.

        Where the run was started on a caller's connection, and its deadline comes before the caller commits, the
        cancel is tried again for five minutes from now, with growing pauses. After that a run that is nowhere is taken
        for one that was pruned, and its deadline forgotten.

        Args:
            run_id: of the run. It need not have started yet; if it has not when the time comes, its start is withdrawn.
            at: when; aware, and at once where it is past. Either this or `after`.
            after: how much later than now; a `timedelta`, or seconds.
            reason: as for `cancel`.

        Raises:
            InvalidArgument: an argument is no such.
            AdapterError: the store failed.
        """
        CancelRun(run_id, reason)  # refused, if it is, before its time
        checked_text("run_id", run_id, SCHEDULE_NAME_LENGTH_MAX)
        await self._keep_time()
        due_at = self._due_at(at, after)
        deferral = await self.dispatch(DeferCancel(run_id=run_id, reason=reason, due_at=due_at))
        return Deferred(self, deferral.record, created=deferral.created)

    async def deferred(self) -> list[Deferred]:
        """All deferred commands that are not carried out yet, by name."""
        return [
            Deferred(self, deferred_record(kept.scheduled, deferred_entry_of(kept)))
            for prefix in DEFERRED_PREFIXES
            async for kept, _ in read_entries(self.ports.scheduler, prefix)
        ]

    async def find_deferred(self, name: str) -> Deferred:
        """The deferred command of that name.

        Args:
            name: as `deferred` tells it.

        Raises:
            DeferredNotFound: there is none: it was carried out or withdrawn, or never was.
        """
        kept = await self.ports.scheduler.read(_checked_entry(name))
        if kept is None:
            raise DeferredNotFound(name)
        return Deferred(self, deferred_record(kept.scheduled, deferred_entry_of(kept)))

    def _due_at(self, at: object, after: object) -> datetime:
        if (at is None) == (after is None):
            raise InvalidArgument("at, after", "one of the two", (at, after))
        if after is not None:
            return self.ports.clock.now() + timedelta(seconds=checked_seconds("after", after))
        if not isinstance(at, datetime) or at.tzinfo is None:
            raise InvalidArgument("at", "an aware datetime", at)
        try:
            return at.astimezone(UTC)
        except OverflowError:
            raise InvalidArgument("at", "a time of the calendar", at) from None


def _checked_entry(name: object) -> str:
    if not isinstance(name, str) or not name.startswith(DEFERRED_PREFIXES) or not name.isprintable():
        raise InvalidArgument("name", "the name of a deferred command", name)
    return name
