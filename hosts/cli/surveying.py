"""A survey from its start, or from where an earlier command left it, to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import asdict, field, frozen

from ...kernel import Kernel, RunFilter, RunHandle, RunStatus
from ...kernel.definition import join_config
from ..demo import AnalyseSettings, ListSettings, Request, Totals, combine, survey_folder

LEASE_DURATION = timedelta(seconds=6)
"""Short, so that nobody waits long for the files that a killed worker had in its hands."""

UNFINISHED_MAX = 100
"""Among how many unfinished surveys the one to resume is looked for."""


@frozen(kw_only=True)
class Wanted:
    """What is to be surveyed, and how."""

    request: Request
    listing: ListSettings = field(factory=ListSettings)
    analysis: AnalyseSettings = field(factory=AnalyseSettings)
    key: str | None = None
    """Names the run."""

    @property
    def config(self) -> Mapping[str, object]:
        """The settings as a run takes them."""
        return {"list_files": asdict(self.listing), "analyse": asdict(self.analysis)}


@frozen(kw_only=True)
class Findings:
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


async def start_survey(kernel: Kernel, wanted: Wanted) -> RunHandle:
    """Start a run, or return the one that has its key."""
    return await kernel.start(survey_folder, wanted.request, key=wanted.key, config=wanted.config)


async def start_or_resume(kernel: Kernel, wanted: Wanted) -> tuple[RunHandle, bool]:
    """Return the run of a survey, and whether it was there before.

    Args:
        kernel: one that has the flow.
        wanted: the survey. Without a key, an unfinished run of the same survey is taken up, or a new one started.
    """
    if wanted.key is None:
        unfinished = await _find_unfinished(kernel, wanted)
        if unfinished is not None:
            return unfinished, True
    run = await start_survey(kernel, wanted)
    return run, not run.created


async def read_findings(run: RunHandle) -> Findings:
    """What came of a run that has ended.

    Raises:
        RunDidNotComplete: it failed or was cancelled.
    """
    await run.result(timeout=0)
    totals = await run.output(combine, timeout=0)
    assert totals is not None, "the step is in no branch and has no condition"
    tasks = (await run.details()).tasks
    return Findings(
        run_id=run.id,
        totals=totals,
        tasks=len(tasks),
        executions=sum(task.attempts for task in tasks),
        lost=sum(task.losses for task in tasks),
    )


async def _find_unfinished(kernel: Kernel, wanted: Wanted) -> RunHandle | None:
    unfinished = RunFilter(
        flow=survey_folder.slug, statuses=frozenset({RunStatus.PENDING, RunStatus.RUNNING}), created_from=None
    )
    page = await kernel.runs(unfinished, limit=UNFINISHED_MAX)
    ids: Sequence[str] = [run.id for run in page.runs if run.version == survey_folder.version and run.key is None]
    stored = (await kernel.ports.persistence.read_payloads(ids, ())).runs
    payload = survey_folder.input_schema.encode(wanted.request)
    config = join_config(survey_folder.merge_config(wanted.config))
    same = (each for each in ids if each in stored and (stored[each].input, stored[each].config) == (payload, config))
    return next((kernel.run(run_id) for run_id in same), None)
