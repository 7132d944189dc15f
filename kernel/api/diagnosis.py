"""Looking at what is wrong: with the store as a whole, and with one run that does not move."""

from __future__ import annotations

from ..diagnosing import (
    COUNTED_MAX,
    ROWS_SHOWN_MAX,
    Diagnosis,
    Severity,
    findings_of_blobs,
    findings_of_clock,
    findings_of_health,
    findings_of_invariants,
    findings_of_sinks,
)
from ..explaining import Explanation, explain
from ..resolving import broken_references
from .workers import Workers


class Diagnosing(Workers):
    """What a kernel can tell an operator."""

    async def doctor(self, *, blobs: bool = False) -> Diagnosis:
        """Look whether all is well with the store: every invariant of its rows, and what should be dealt with by now.

        Reads everything that is kept once, and changes nothing. No code of any flow is needed.

        Args:
            blobs: also read every blob that is referred to, and compare its length and digest.

        Raises:
            AdapterError: a store failed.
        """
        ports = self.ports
        await ports.clock.synchronise()
        found = [*findings_of_clock(ports.clock.uncertainty_s)]
        broken = await ports.persistence.check_invariants(lines_max=ROWS_SHOWN_MAX + 1)
        now = ports.clock.now()
        workers = await self.workers()
        found += findings_of_invariants(broken)
        health = await ports.persistence.read_health(now)
        sinks = await ports.persistence.read_sinks(count_max=COUNTED_MAX)
        found += findings_of_sinks(sinks, health.events, workers, now)
        found += findings_of_health(health, workers, now)
        checks = ["clock", "invariants", "hosts", "leases", "waits", "deadlines", "commands", "events", "sinks"]
        if blobs:
            checks.append("blobs")
            first: list[str] = []
            count = 0
            async for line in broken_references(ports):
                count += 1
                if count <= ROWS_SHOWN_MAX:
                    first.append(line)
            found += findings_of_blobs(first, count, str(ports.blobs))
        found.sort(key=lambda finding: finding.severity is not Severity.BROKEN)
        return Diagnosis(findings=tuple(found), checks=tuple(checks))

    async def why(self, run_id: str) -> Explanation:
        """Tell why a run stands where it does: what it waits for, and what would move it.

        No code of its flow is needed.

        Raises:
            RunNotFound: there is no such run.
            AdapterError: the store failed.
        """
        await self._keep_time()
        details = await self.run(run_id).details()
        return explain(details, await self.workers(), self.ports.clock.now())
