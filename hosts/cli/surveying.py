"""A survey from its start, or from where an earlier command left it, to its end."""

from __future__ import annotations

from datetime import timedelta

from attrs import frozen

from ...kernel import Kernel, RunFilter, RunHandle, RunStatus
from ..demo import Request, Totals, combine, survey_folder

LEASE_DURATION = timedelta(seconds=6)
"""Short, so that nobody waits long for the files that a killed worker had in its hands."""

UNFINISHED_MAX = 100
"""Among how many unfinished surveys the one to resume is looked for."""


@frozen(kw_only=True)
class Outcome:
    """A completed survey."""

    run_id: str
    totals: Totals
    tasks: int
    executions: int
    """How often handlers were started."""
    lost: int
    """How many of them ended with their worker."""

    @property
    def repeated(self) -> int:
        """How many executions were not the first of their task."""
        return self.executions - self.tasks


async def start_or_resume(kernel: Kernel, request: Request, key: str | None) -> tuple[RunHandle, bool]:
    """Return the run of a request, and whether it was there before.

    Args:
        kernel: one that has the flow.
        request: what to survey.
        key: names the run; without one, an unfinished run of the same request is taken up, or a new one started.
    """
    if key is None:
        unfinished = await _find_unfinished(kernel, request)
        if unfinished is not None:
            return unfinished, True
    run = await kernel.start(survey_folder, request, key=key)
    return run, not run.created


async def read_outcome(run: RunHandle) -> Outcome:
    """What came of a run that has ended.

    Raises:
        RunDidNotComplete: it failed or was cancelled.
    """
    await run.result(timeout=0)
    totals = await run.output(combine, timeout=0)
    assert totals is not None, "no step of the flow can be skipped"
    tasks = (await run.details()).tasks
    return Outcome(
        run_id=run.id,
        totals=totals,
        tasks=len(tasks),
        executions=sum(task.attempts for task in tasks),
        lost=sum(task.losses for task in tasks),
    )


async def _find_unfinished(kernel: Kernel, request: Request) -> RunHandle | None:
    unfinished = RunFilter(
        flow=survey_folder.slug, statuses=frozenset({RunStatus.PENDING, RunStatus.RUNNING}), created_from=None
    )
    page = await kernel.list_runs(unfinished, limit=UNFINISHED_MAX)
    ids = [run.id for run in page.runs if run.version == survey_folder.version and run.key is None]
    inputs = (await kernel.ports.persistence.read_payloads(ids, ())).runs
    wanted = survey_folder.input_schema.encode(request)
    return next((kernel.run(run_id) for run_id in ids if run_id in inputs and inputs[run_id].input == wanted), None)
