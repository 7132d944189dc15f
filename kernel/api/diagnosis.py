"""Looking at what is wrong: with the store as a whole, and with one run that does not move."""

from __future__ import annotations

from ..diagnosing import (
    COUNTED_MAX,
    ROWS_SHOWN_MAX,
    Diagnosis,
    Finding,
    Severity,
    broken_references,
    findings_of_clock,
    findings_of_health,
    findings_of_invariants,
    findings_of_sinks,
)
from ..explaining import Explanation, explain
from ..workers import as_worker
from .commanding import Commanding


class Diagnosing(Commanding):
    """What a kernel can tell an operator."""

    async def doctor(self, *, blobs: bool = False) -> Diagnosis:
        """Look whether all is well with the store: every invariant of its rows, and what should be dealt with by now.

        Reads everything that is kept once, and changes nothing. No code of any flow is needed.

        Args:
            blobs: also read every blob that is referred to, and compare its length and digest.
        """
        ports = self.ports
        await ports.clock.synchronise()
        found = [*findings_of_clock(ports.clock.uncertainty_s)]
        broken = await ports.persistence.check_invariants()
        now = ports.clock.now()
        workers = [as_worker(record, now) for record in await ports.persistence.read_workers()]
        found += findings_of_invariants(broken)
        found += findings_of_sinks(await ports.persistence.read_sinks(count_max=COUNTED_MAX))
        found += findings_of_health(await ports.persistence.read_health(now), workers, now)
        checks = ["clock", "invariants", "hosts", "leases", "waits", "deadlines", "commands", "events", "sinks"]
        if blobs:
            checks.append("blobs")
            lines = [line async for line in broken_references(ports)]
            if lines:
                found.append(
                    Finding(
                        severity=Severity.BROKEN,
                        name="I28_references_resolve",
                        what=f"{len(lines):,} payloads cannot be read from {ports.blobs}",
                        remedy="is this the blob store that hosts use? Otherwise restore these blobs from a backup",
                        rows=tuple(lines[:ROWS_SHOWN_MAX]),
                        count=len(lines),
                    )
                )
        found.sort(key=lambda finding: finding.severity is not Severity.BROKEN)
        return Diagnosis(findings=tuple(found), checks=tuple(checks))

    async def why(self, run_id: str) -> Explanation:
        """Tell why a run stands where it does: what it waits for, and what would move it.

        No code of its flow is needed.

        Raises:
            RunNotFound: there is no such run.
        """
        details = await self.run(run_id).details()
        now = self.ports.clock.now()
        workers = [as_worker(record, now) for record in await self.ports.persistence.read_workers()]
        return explain(details, workers, now)
