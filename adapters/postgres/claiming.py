"""Leases on tasks: taking them, keeping them, and finding those that ran out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from ...ports.errors import AdapterError, CommitUnknown
from ...ports.reading import Due
from ...ports.records import ClaimedTask, Lease, LeaseAnswer, TaskClaim, TaskKey, TaskRow
from ...ports.transport import Job
from .arrays import ints, texts, uuids
from .database import Database
from .rows import claimed_task, is_run_id, key_columns, keyed_task_row

RANKED_BEYOND = 1000
"""How many more candidates a claim looks at when others hold those it ranked first."""

PROBES_PLANNED_FREELY = 10
"""Up to so many groups of tasks the planner's overestimate of a probe stays below what it would compile."""


class TaskLeasing:
    """The methods of `Persistence` that concern leases. Each is one statement."""

    _database: Database

    async def claim_tasks(self, claim: TaskClaim) -> Sequence[ClaimedTask]:
        """Lease queued tasks."""
        if claim.limit < 1 or not claim.flow_ids:
            return []
        if claim.only is not None:
            keys = [key for key in dict.fromkeys(claim.only) if is_run_id(key.run_id)]
            rows = await self._database.write("claim_tasks_only", {**_claim(claim), **key_columns(keys)})
            return [claimed_task(row) for row in rows]
        return await self._claim_ranked(claim)

    async def extend_leases(self, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
        """Set the leases of running tasks to `until` where their token is still the same."""
        known = sorted({lease for lease in leases if is_run_id(lease.key.run_id)})
        unknown = {lease for lease in leases if not is_run_id(lease.key.run_id)}
        if not known:
            return LeaseAnswer(frozenset(), frozenset(unknown))
        parameters = {
            **key_columns([lease.key for lease in known]),
            "tokens": ints([lease.token for lease in known]),
            "until": until,
        }
        rows = await self._database.write("extend_leases", parameters)
        answers: dict[str, set[Lease]] = {"extended": set(), "lost": unknown, "cancelled": set()}
        places: list[tuple[int, str]] = [(row[0], row[1]) for row in rows]
        for place, answer in places:
            answers[answer].add(known[place - 1])
        return LeaseAnswer(**{answer: frozenset(found) for answer, found in answers.items()})

    async def find_expired(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Running tasks of these flows whose lease ended before `before`, earliest first."""
        parameters = {"before": before, "flow_ids": ints(flow_ids), "limit": limit, "leave_out": uuids(leave_out)}
        return [keyed_task_row(row) for row in await self._database.read("find_expired", parameters)]

    async def find_leased(self, worker: str) -> Sequence[TaskRow]:
        """The running tasks that are leased to this worker, by key."""
        return [keyed_task_row(row) for row in await self._database.read("find_leased", {"worker": worker})]

    async def find_unclaimed(self, before: datetime, *, flow_ids: Sequence[int], limit: int) -> Sequence[Job]:
        """Jobs for pending runs created, and for queued tasks ready, before `before`; oldest first."""
        parameters = {"before": before, "flow_ids": ints(flow_ids), "limit": limit}
        rows = await self._database.read("find_unclaimed", parameters, by_key=True)
        return [
            Job(
                run_id=run_id,
                queue=queue,
                task=None if step is None else TaskKey(run_id, step, generation, element),
                flow_id=flow_id,
            )
            for run_id, queue, step, generation, element, _, flow_id in rows
        ]

    async def due(
        self,
        *,
        flow_ids: Sequence[int],
        queues: Sequence[str],
        sinks: Sequence[str] = (),
        now: datetime,
        expired_before: datetime,
    ) -> Due:
        """Whether any of a host's ticks would find something."""
        parameters = {
            "flow_ids": ints(flow_ids),
            "queues": texts(queues),
            "sinks": texts(sinks),
            "now": now,
            "expired_before": expired_before,
        }
        by_key = len(flow_ids) * len(queues) > PROBES_PLANNED_FREELY
        (row,) = await self._database.read("due", parameters, by_key=by_key)
        runs, tasks, expired, outbox, waits, overdue, scheduled, next_at = row
        return Due(
            runs=runs,
            tasks=tasks,
            expired=expired,
            outbox=frozenset(outbox),
            waits=waits,
            overdue=overdue,
            scheduled=scheduled,
            next_at=next_at,
        )

    async def _claim_ranked(self, claim: TaskClaim) -> list[ClaimedTask]:
        """Claim; where others hold candidates, claim again among more of them."""
        window = claim.limit
        claimed, candidates = await self._claim_among(claim, window)
        while len(claimed) < claim.limit and candidates == window:
            window += claim.limit + RANKED_BEYOND  # recovers 38, 69: others hold what a claim ranked first
            rest = replace(
                claim,
                limit=claim.limit - len(claimed),
                lost_limit=claim.lost_limit - sum(task.losses > 0 for task in claimed),
            )
            try:
                more, candidates = await self._claim_among(rest, window)
            except CommitUnknown:  # recovers 22: part of a claim may have been committed
                raise
            except AdapterError:  # recovers 21: part of a claim fails
                if not claimed:
                    raise
                break
            claimed += more
        return claimed

    async def _claim_among(self, claim: TaskClaim, window: int) -> tuple[list[ClaimedTask], int]:
        by_key = len(claim.flow_ids) > PROBES_PLANNED_FREELY
        rows = await self._database.write("claim_tasks", {**_claim(claim), "window": window}, by_key=by_key)
        return [claimed_task(row) for row in rows if row[1] is not None], rows[0][0]


def _claim(claim: TaskClaim) -> dict[str, object]:
    return {
        "flow_ids": ints(claim.flow_ids),
        "queue": claim.queue,
        "limit": claim.limit,
        "lost_limit": claim.lost_limit,
        "worker": claim.worker,
        "now": claim.now,
        "lease_until": claim.lease_until,
    }
