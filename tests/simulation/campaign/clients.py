"""Clients of one world: they start runs, send signals, cancel and rerun, until they know what became of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

from attrs import define, field

from fairlead.hosts.simulation.world import World
from fairlead.kernel import (
    CancelledRun,
    IdempotencyConflict,
    Kernel,
    RunFilter,
    RunHandle,
    RunStatus,
    Start,
    UsageError,
)
from fairlead.ports.statuses import TERMINAL_RUN

from .flows import Drawn, random_input
from .handlers import Value

WITHIN_S = (2.0, 10.0, 60.0)
"""In which time the clients of a world do what they do, in virtual seconds."""

FATES = ("alone", "cancelled", "chosen", "rerun", "retried", "twice", "contested", "bulk", "later")
"""What is done with runs."""

REASON = "by its client"

OF = "of"
"""The annotation by which a run is found."""

LATER_S = 20.0
"""By how much starts are deferred at most."""

PRIORITIES = (0, 0, 0, 9)


@define
class Played:
    """One run, what is done with it, and what its client was told."""

    key: str
    drawn: Drawn
    input: Value
    priority: int = 0
    cancelled: bool = False
    """Whether a client cancels it."""
    chosen: bool = False
    """Whether that client cancels all runs that are annotated like it, instead of naming it."""
    later: bool = False
    """Whether its start is deferred."""
    bulk: bool = False
    """Whether one batch asks for it twice."""
    by_token: bool = False
    """Whether its signals are sent with tokens, which tell nobody its id."""
    retried: bool = False
    """Whether a client asks for what did not complete of it, once it has ended."""
    rerun: bool = False
    """Whether a client runs it again, from a step, once it has ended."""
    twice: bool = False
    """Whether two clients start it under one key."""
    contested: bool = False
    """Whether somebody else asks for another run under the same key."""
    usurped: str | None = None
    """The id of the run that they were given; they ought to be refused."""
    ids: list[str] = field(factory=list[str])
    """The ids that its starters were told."""
    answer: CancelledRun | None = None
    """What its canceller was told."""
    refused: list[str] = field(factory=list[str])
    """What its client was refused: by the names of the act and of the error."""
    renewed: bool = False
    """Whether its client was told that it runs again."""


def random_plays(random: Random, drawn: list[Drawn]) -> list[Played]:
    """Some runs of these flows."""
    plays: list[Played] = []
    versions = Counter(each.flow.slug for each in drawn)
    for number in range(random.randint(1, 3)):
        fate, flow = random.choice(FATES), random.choice(drawn)
        plays.append(
            Played(
                f"run{number}",
                flow,
                random_input(random),
                priority=random.choice(PRIORITIES),
                cancelled=fate in ("cancelled", "chosen"),
                chosen=fate == "chosen",
                later=fate == "later" and versions[flow.flow.slug] == 1,
                bulk=fate == "bulk",
                by_token=random.random() < 0.3,
                retried=fate == "retried",
                rerun=fate == "rerun",
                twice=fate == "twice",
                contested=fate == "contested",
            )
        )
    return plays


async def play_all(world: World, plays: Sequence[Played]) -> None:
    """Let the clients of all runs act, side by side."""
    within_s = world.random.choice(WITHIN_S)
    async with asyncio.TaskGroup() as clients:
        for played in plays:
            clients.create_task(_client(world, played, within_s))


async def _client(world: World, played: Played, within_s: float) -> None:
    await asyncio.sleep(world.random.uniform(0, within_s / 4))
    async with asyncio.TaskGroup() as starts:
        for _ in range(2 if played.twice else 1):
            starts.create_task(_start(world, played))
    async with asyncio.TaskGroup() as acts:
        for step in played.drawn.signals:
            acts.create_task(_send(world, played, step, within_s))
        if played.cancelled:
            acts.create_task(_cancel(world, played, within_s))
        if played.contested:
            acts.create_task(_contest(world, played))
        if played.rerun or played.retried:
            acts.create_task(_rerun(world, played))


async def _start(world: World, played: Played) -> None:
    after_s = world.random.uniform(0, LATER_S) if played.later else 0.0

    async def act(kernel: Kernel) -> bool:
        run = await _started(kernel, played, after_s)
        played.ids.append(run.id)
        world.ledger.runs[played.key] = run.id
        return True

    await world.insist(f"start {played.key}", act)
    while not world.exists(played.ids[-1]):  # noqa: ASYNC110 as a client would that polls
        await asyncio.sleep(1)


async def _started(kernel: Kernel, played: Played, after_s: float) -> RunHandle:
    """Start a run, in one of the ways there are."""
    flow, annotations = played.drawn.flow, {OF: played.key}
    if played.later:
        deferred = await kernel.start_later(
            flow,
            played.input,
            after=after_s,
            key=played.key,
            priority=played.priority,
            annotations=annotations,
        )
        return await deferred.run()
    start = Start(input=played.input, key=played.key, priority=played.priority, annotations=annotations)
    if not played.bulk:
        return (await kernel.start_many(flow, [start]))[0]
    again = await kernel.start_many(flow, [start, start])
    assert len({run.id for run in again}) == 1, "one key in one batch has two runs"
    return again[0]


async def _contest(world: World, played: Played) -> None:
    """Ask for another run under a key that is taken."""

    async def act(kernel: Kernel) -> bool:
        try:
            run = await kernel.start(played.drawn.flow, {**played.input, "mode": "another"}, key=played.key)
        except IdempotencyConflict:
            return True
        played.usurped = run.id
        return True

    await world.insist(f"contest {played.key}", act)


async def _send(world: World, played: Played, step: str, within_s: float) -> None:
    """Answer a step in every generation that asks."""
    await asyncio.sleep(world.random.uniform(0, within_s))

    async def act(kernel: Kernel) -> bool:
        run = kernel.run(played.ids[0])
        generation = (await run.read()).generation
        try:
            if played.by_token:
                await kernel.resume(await run.resume_token(step), _answer(step))
            else:
                await run.signal(step, _answer(step), key=f"of generation {generation}")
        except UsageError as error:  # it has ended, or was skipped, or nobody asks any more
            played.refused.append(f"signal: {type(error).__name__}")
        return True

    await world.insist(f"send {played.key}", act)


def _answer(step: str) -> int:
    return len(step)


async def _cancel(world: World, played: Played, within_s: float) -> None:
    await asyncio.sleep(world.random.uniform(0, within_s))

    async def act(kernel: Kernel) -> bool:
        if not played.chosen:
            played.answer = await kernel.cancel(played.ids[0], reason=REASON)
            return True
        alike = RunFilter(annotations={OF: played.key}, statuses=frozenset(RunStatus))
        async for each in kernel.cancel_runs(alike, reason=REASON):
            if each.answer is None:
                return False
            assert each.run.id == played.ids[0], "somebody else's run was chosen"
            played.answer = each.answer
        return True

    await world.insist(f"cancel {played.key}", act)


async def _rerun(world: World, played: Played) -> None:
    """Wait for the end of a run, and run it again from one of its steps."""
    step = world.random.choice(list(played.drawn.flow.steps))

    async def act(kernel: Kernel) -> bool:
        run = kernel.run(played.ids[0])
        record = await run.read()
        if record.generation == 1 and record.status in TERMINAL_RUN:
            try:
                await (run.retry() if played.retried else run.rerun(step))
            except UsageError as error:
                played.refused.append(f"{'retry' if played.retried else 'rerun'}: {type(error).__name__}")
                return True
        played.renewed = True
        await _answer_again(run, played)
        return True

    while not world.has_ended(played.ids[0]):  # noqa: ASYNC110 as a client would that polls
        await asyncio.sleep(1)
    await world.insist(f"rerun {played.key}", act)


async def _answer_again(run: RunHandle, played: Played) -> None:
    """Answer what is asked again."""
    for step in played.drawn.signals:
        try:
            await run.signal(step, _answer(step), key="of generation 2")
        except UsageError as error:
            played.refused.append(f"signal: {type(error).__name__}")
