"""What waits in the store, and since when."""

from __future__ import annotations

from datetime import datetime

from ...ports.health import Health, Overdue, WaitingWork
from .database import Database


class HealthReading:
    """`Persistence.read_health`."""

    _database: Database

    async def read_health(self, now: datetime) -> Health:
        """What waits for hosts at `now`, whoever serves it."""
        rows = await self._database.read("read_health", {"now": now})
        overdue = {row[0]: Overdue(row[4], row[5]) for row in rows if row[0] != "waiting"}
        waiting = [
            WaitingWork(queue=row[1], flow=row[2], version=row[3], count=row[4], since=row[5])
            for row in rows
            if row[0] == "waiting"
        ]
        return Health(
            waiting=sorted(waiting, key=lambda work: (work.flow, work.version, work.queue or "")),
            leases=overdue["leases"],
            waits=overdue["waits"],
            deadlines=overdue["deadlines"],
            events=overdue["events"],
            commands=overdue["commands"],
            held=overdue["held"].count,
        )
