"""Annotating runs."""

from __future__ import annotations

from collections.abc import Mapping

from ...ports.notes import AnnotationValue
from ..run_notes import annotate_run
from .commanding import Commanding


class Annotating(Commanding):
    """What runs are found by."""

    async def annotate(self, run_id: str, annotations: Mapping[str, AnnotationValue | None]) -> None:
        """Annotate a run, so that it is found by it: `runs(RunFilter(annotations={"customer": "acme"}))`.

        An annotation takes the place of one with the same key, and None takes it away. An event tells of what changes.
        The run need not be one of this kernel's flows, and may be pending.

        Args:
            run_id: of the run.
            annotations: texts, finite numbers and truth values by key.

        Raises:
            RunNotFound: there is no such run.
            RunEnded: the run has ended; what it is annotated with stays.
            InvalidAnnotations: some do not fit, or are too many for one run.
            AdapterError: the store failed; the same call may be repeated.
        """
        await annotate_run(self.dispatch, run_id, annotations)
