"""Writing down what attempts note, and annotating runs."""

from __future__ import annotations

from ...ports.records import LoadRequest
from ..commands import AnnotateRuns, AnnotationVerdict, WriteNotes
from ..decisions.annotate import annotate_runs
from .means import Handlers, Means


class Noting:
    """Carries out `WriteNotes` and `AnnotateRuns`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {WriteNotes: self._write_notes, AnnotateRuns: self._annotate_runs}

    async def _write_notes(self, command: WriteNotes) -> None:
        await self._means.from_the_top(lambda: self._means.persistence.write_notes(command.entries, command.progress))

    async def _annotate_runs(self, command: AnnotateRuns) -> tuple[AnnotationVerdict, ...]:
        """Annotate; an earlier try, whose commit was unknown, has left nothing to change."""
        return await self._means.until_known(lambda: self._annotate_once(command))

    async def _annotate_once(self, command: AnnotateRuns) -> tuple[AnnotationVerdict, ...]:
        means = self._means
        runs = tuple(sorted({annotation.run_id for annotation in command.annotations}))
        leases = (annotation.lease for annotation in command.annotations if annotation.lease is not None)
        tasks = tuple(sorted({lease.key for lease in leases}))
        async with means.persistence.transaction() as transaction:
            request = LoadRequest(runs=runs, steps=(), tasks=tasks, wait=command.wait)
            snapshot = await transaction.load(request)
            if not snapshot.runs:
                return (_absent(command),) * len(command.annotations)
            current = await transaction.load_annotations(tuple(snapshot.runs))
            annotated = annotate_runs(
                command.annotations,
                snapshot,
                current,
                now=means.clock.now(),
                absent=_absent(command),
            )
            if annotated.changes.runs:
                await transaction.apply(annotated.changes)
        return annotated.verdicts


def _absent(command: AnnotateRuns) -> AnnotationVerdict:
    """What a run that could not be locked is: somebody else's for now, or none at all."""
    return AnnotationVerdict.UNKNOWN if command.wait else AnnotationVerdict.DEFERRED
