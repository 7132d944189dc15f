"""What waits: tasks whose time has come, runs past their deadline, and the right to answer a signal step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.changes import ResumeToken
from ...ports.records import TaskRow
from .arrays import ints, texts, times, uuids
from .database import Database, Row
from .rows import keyed_task_row


class WaitKeeping:
    """The methods of `Persistence` that concern waiting. Each is one statement."""

    _database: Database

    async def find_waits(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Suspended tasks of these flows with `wake_at` ≤ `before`, earliest first."""
        parameters = {"before": before, "flow_ids": ints(flow_ids), "limit": limit, "leave_out": uuids(leave_out)}
        rows = await self._database.read("find_waits", parameters, by_key=True)
        return [keyed_task_row(row) for row in rows]

    async def find_overdue(self, before: datetime, *, limit: int, leave_out: Sequence[str] = ()) -> Sequence[str]:
        """Ids of runs that have not ended by their deadline, which is ≤ `before`, earliest first."""
        parameters = {"before": before, "limit": limit, "leave_out": uuids(leave_out)}
        rows = await self._database.read("find_overdue", parameters, by_key=True)
        return [row[0] for row in rows]

    async def insert_resume_tokens(self, tokens: Sequence[ResumeToken]) -> None:
        """Put tokens down. One whose digest exists is its own repetition."""
        if not tokens:
            return
        parameters = {
            "digests": texts([token.digest for token in tokens]),
            "run_ids": uuids([token.run_id for token in tokens]),
            "steps": texts([token.step for token in tokens]),
            "created_ats": times([token.created_at for token in tokens]),
            "expires_ats": times([token.expires_at for token in tokens]),
        }
        await self._database.write("insert_resume_tokens", parameters)

    async def read_resume_token(self, digest: str) -> ResumeToken | None:
        """The token of that digest, expired or not, or None."""
        rows = await self._database.read("read_resume_token", {"digest": digest})
        return _resume_token(rows[0]) if rows else None


def _resume_token(row: Row) -> ResumeToken:
    return ResumeToken(digest=row[0], run_id=row[1], step=row[2], created_at=row[3], expires_at=row[4])
