"""Judging a world of the campaign when all has ended."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta

from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.judging import broken_promises
from fairlead.hosts.simulation.world import World
from fairlead.hosts.virtual import START
from fairlead.kernel import Kernel, RunDetails, RunStatus
from fairlead.kernel.resolving import broken_references
from fairlead.ports.statuses import StepStatus
from tests.simulation.outputs import output_of

from .beside import Beside
from .clients import Played
from .endings import Ending, ending_of
from .handlers import CALL, MADE_FROM, Value

_OF_CALL = re.compile(r"\.\d+-\d+$")
"""How the worker ids of functions' calls end. Where its answers are lost, a call leaves its tasks to their leases."""

MAY_BE_REFUSED = frozenset(
    {"signal: SignalNotAwaited", "signal: SignalWaiting", "retry: NothingToRerun", "rerun: NothingToRerun"}
)
"""What clients ask for without knowing better: nobody waits any more, an answer is kept, nothing has failed."""

DEFECTS = frozenset({"host_failed", "internal_error"})
"""Why no attempt may fail: its host could not run it although it took it on, or the rules themselves raised."""

CLOCKS_DIFFER_S = 4.0
"""By how much the clocks of two hosts may differ that are not corrected."""

PATIENT_LEASE = timedelta(seconds=30)
"""Leases that last so long are lost by nothing but what befalls their host."""


async def problems_of(world: World, plays: Sequence[Played], calm: Mapping[str, Ending], beside: Beside) -> list[str]:
    """What does not hold at the end of a world, given how each run ends by itself."""
    kernel = world.reader()
    problems = [problem async for problem in beside.problems(world, kernel)]
    async for broken in broken_references(kernel.ports):
        problems.append(f"I28: {broken}")
    for played in plays:
        problems += [
            f"{played.key} ({played.drawn.flow.slug}): {each}"
            async for each in _of_run(world, kernel, played, calm[played.key])
        ]
    return problems


def _attempts(world: World, details: RunDetails) -> Iterator[str]:
    """P2: no attempt is lost whose host was well. P8: a host runs what it takes on."""
    for attempt in details.attempts:
        if attempt.reason in DEFECTS:
            yield f"P8: attempt {attempt.attempt} of {attempt.key} failed on {attempt.worker} with {attempt.reason}"
    if world.setting.lease < PATIENT_LEASE and _has_troubles(world.setting.weather):
        return
    if "clock jumped" in world.strikes.struck:  # who takes minutes for passed takes back what others have
        return
    struck = _struck(world)
    for attempt in details.attempts:
        worker, lost_s = attempt.worker or "", (attempt.ended_at - START).total_seconds() + CLOCKS_DIFFER_S
        excused = any(at_s <= lost_s for at_s in struck.get(worker, ()))
        if attempt.reason == "worker_lost" and not _OF_CALL.search(worker) and not excused:
            yield f"P2: attempt {attempt.attempt} of {attempt.key} was lost, and nothing had happened to {worker}"


def _has_troubles(weather: Weather) -> bool:
    """Whether the store fails now and then, or takes long."""
    return bool(weather.refused or weather.lost or weather.delayed)


def _struck(world: World) -> Mapping[str, Sequence[float]]:
    """When processes were killed, stood still, or had to end before the store took their outcomes.

    That also befalls those beside a process that stands still inside a transaction: it holds its locks.
    """
    hindered_to_end = _has_troubles(world.setting.weather) or "paused" in world.strikes.struck
    hindering = ("stands still", "has stopped", "has failed") if hindered_to_end else "stands still"
    struck: dict[str, list[float]] = {worker: [at_s] for worker, at_s in world.ledger.deaths.items()}
    for entry in world.timeline.entries:
        if entry.what.startswith(hindering):
            struck.setdefault(entry.who, []).append(entry.at_s)
    return struck


async def _of_run(world: World, kernel: Kernel, played: Played, calm: Ending) -> AsyncIterator[str]:
    if len(set(played.ids)) != 1:
        yield f"P7: one key has the runs {sorted(set(played.ids))}"
    run_id = played.ids[0]
    details = await kernel.run(run_id).details()
    for problem in (*broken_promises(world, played.drawn.flow, [details]), *_attempts(world, details)):
        yield problem
    for refused in played.refused:
        if refused not in MAY_BE_REFUSED:
            yield f"P7: its client was refused, {refused}"
    if "retry: NothingToRerun" in played.refused and calm.status is not RunStatus.COMPLETED:
        yield f"P7: a retry found nothing to do, and without faults the run has {calm.status}"
    if played.renewed and details.run.generation < 2:
        yield "P7: its client was told that it runs again, and it has one generation"
    if played.usurped is not None:
        yield f"P7: another payload under its key was given the run {played.usurped}"
    record = details.run
    if played.cancelled:
        if played.answer is None:
            yield "I23: its canceller was told nothing"
        elif record.status is RunStatus.CANCELLED:
            if record.reason != "by its client":
                yield f"I23: it was cancelled with the reason {record.reason!r}"
        elif played.answer.took_effect or played.answer.found is RunStatus.CANCELLED:
            yield f"I23: its cancel was acknowledged with {played.answer}, and it has {record.status}"
    if record.status is RunStatus.CANCELLED:
        if not played.cancelled:
            yield "nobody has cancelled it"
        return
    ending = await ending_of(kernel, run_id)
    if ending != calm:
        yield f"ending: it ended as {ending}; without faults as {calm}"
    async for problem in _given(kernel, run_id, ending):
        yield problem
    rows = await kernel.ports.persistence.read_signals(run_id)
    consumed = {row.step for row in rows if row.consumed_at is not None}
    for step in played.drawn.signals:
        if ending.steps.get(step, (None,))[0] is StepStatus.COMPLETED and step not in consumed:
            yield f"I23: {step} has completed and consumed no signal"


async def _given(kernel: Kernel, run_id: str, ending: Ending) -> AsyncIterator[str]:
    """I15: every step was given what is recorded of those that it depends on, and nothing else."""
    outputs = {slug: await output_of(kernel, run_id, slug) for slug in ending.outputs}
    values: dict[str, Value] = {slug: output for slug, output in outputs.items() if isinstance(output, dict)}
    for slug, value in values.items():
        given: dict[str, int] = value[MADE_FROM]
        for source, call in given.items():
            recorded = values[source][CALL] if source in values else None
            if recorded != call:
                yield f"I15: {slug} was given call {call} of {source}; recorded is call {recorded}"
