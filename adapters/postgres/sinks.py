"""The sinks that the store knows, and the events that they never accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from ...ports.errors import Contention
from ...ports.outbox import (
    SINKS_MAX,
    DeadLetter,
    DeadLetterCursor,
    DeadLetterFilter,
    EventRecord,
    HeldRun,
    SinkRecord,
)
from .database import Database, Parameters, Row
from .rows import is_run_id
from .statements import quoted

FORGOTTEN_TOGETHER_MAX = 5_000
"""Rows that a removal touches in one transaction: what flushers of other sinks may have to wait for."""

WRITERS_POLL_S = 0.02
"""How often a removal looks whether those that wrote when it began have ended."""


class SinkKeeping:
    """The methods of `Outbox` that concern sinks as such, and dead letters."""

    _database: Database

    async def register_sinks(self, names: Sequence[str], *, now: datetime) -> Sequence[str]:
        """Make sinks known; the names for which there was no room."""
        unknown = await self._unknown(names)
        if unknown:
            parameters = {"names": list(unknown), "now": now, "sinks_max": SINKS_MAX}
            async with self._database.transaction() as connection:
                await self._database.fetch(connection, "lock_sinks")
                await self._database.fetch(connection, "publish_leftovers")
                await self._database.fetch(connection, "register_sinks", parameters)
            unknown = await self._unknown(names)
        return unknown

    async def remove_sink(self, name: str) -> bool:
        """Forget a sink, in several transactions."""
        rows = await self._database.write("remove_sink", {"name": name})
        if not rows:
            return False
        await self._until_written()
        parameters = {"sink": rows[0][0], "limit": FORGOTTEN_TOGETHER_MAX}
        for part in ("forget_deliveries", "forget_dead_letters"):
            while await self._database.write(part, parameters):
                pass
        async with self._database.transaction() as connection:
            await self._database.fetch(connection, "lock_sinks")
            await self._database.fetch(connection, "lock_shards", parameters)
            await self._database.fetch(connection, "forget_sink", parameters)
        while await self._database.write("forget_deliveries", parameters):
            pass  # what a flusher recorded meanwhile
        return True

    async def _until_written(self) -> None:
        """Wait for the transactions that put down rows for sinks that are removed now; nobody waits for us.

        Raises:
            Contention: one of them has been open for long, as a caller's may be; the removal can be repeated.
        """
        outbox = {"outbox": f"{quoted(self._database.settings.schema)}.outbox"}
        writing = await self._writers(outbox)
        until_s = time.monotonic() + self._database.settings.lock_wait_s
        while writing:
            if time.monotonic() > until_s:
                raise Contention("transactions that began before the sink was removed are still open; remove it again")
            await asyncio.sleep(WRITERS_POLL_S)
            writing &= await self._writers(outbox)

    async def _writers(self, outbox: Parameters) -> set[str]:
        return {row[0] for row in await self._database.read("find_writers", outbox)}

    async def read_sinks(self, *, count_max: int) -> Sequence[SinkRecord]:
        """All sinks by name, with what waits for them."""
        rows = await self._database.read("read_sinks", {"count_max": count_max})
        return [
            SinkRecord(
                name=row[0],
                registered_at=row[1],
                removed=row[2],
                pauses=row[3],
                not_before=row[4],
                problem=row[5],
                waiting=row[6],
                oldest_at=row[7],
                held_runs=row[8],
                dead_letters=row[9],
                worst=None if row[10] is None else held_run(row[10:]),
            )
            for row in rows
        ]

    async def pause_sink(self, name: str, *, pauses: int, not_before: datetime | None, problem: str | None) -> None:
        """Offer nothing to a sink before a time."""
        parameters = {"name": name, "pauses": pauses, "not_before": not_before, "problem": problem}
        await self._database.write("pause_sink", parameters)

    async def list_dead_letters(
        self, chosen: DeadLetterFilter, *, limit: int, after: DeadLetterCursor | None
    ) -> Sequence[DeadLetter]:
        """Dead letters that `chosen` admits, by sink, run and sequence."""
        if not _possible(chosen):
            return []
        cursor = after or (None, None, None)
        place = dict(zip(("after_sink", "after_run", "after_sequence"), cursor, strict=True))
        rows = await self._database.read("list_dead_letters", {**_filter(chosen), **place, "limit": limit})
        return [dead_letter(row) for row in rows]

    async def count_dead_letters(self, chosen: DeadLetterFilter) -> int:
        """How many dead letters `chosen` admits."""
        if not _possible(chosen):
            return 0
        ((count,),) = await self._database.read("count_dead_letters", _filter(chosen))
        return int(count)

    async def ask_for_replay(self, chosen: DeadLetterFilter, *, now: datetime, limit: int) -> int:
        """Let dead letters be replayed; how many."""
        if not _possible(chosen):
            return 0
        return len(await self._database.write("ask_for_replay", {**_filter(chosen), "now": now, "limit": limit}))

    async def _unknown(self, names: Sequence[str]) -> list[str]:
        known = {row[0] for row in await self._database.read("known_sinks", {"names": list(names)})}
        return [name for name in names if name not in known]


def held_run(row: Row) -> HeldRun:
    """The record of a row of `held_runs`."""
    run_id, next_sequence, lost, attempts, not_before, problem = row
    return HeldRun(
        run_id=run_id,
        next_sequence=next_sequence,
        lost=lost,
        attempts=attempts,
        not_before=not_before,
        problem=problem,
    )


def dead_letter(row: Row) -> DeadLetter:
    """The record of a row of `dead_letters`, after its sink's name."""
    sink, run_id, sequence, generation, flow, kind, step, at, attempts, problem, died_at, asked_at, data = row
    event = EventRecord(
        run_id=run_id, flow=flow, generation=generation, sequence=sequence, type=kind, step=step, at=at, data=data
    )
    return DeadLetter(sink=sink, event=event, attempts=attempts, problem=problem, died_at=died_at, asked_at=asked_at)


def _possible(chosen: DeadLetterFilter) -> bool:
    return chosen.run_id is None or is_run_id(chosen.run_id)


def _filter(chosen: DeadLetterFilter) -> Parameters:
    return {
        "sink": chosen.sink,
        "run": chosen.run_id,
        "sequence": chosen.sequence,
        "type": chosen.type,
        "flow": chosen.flow,
        "asked": chosen.asked,
    }
