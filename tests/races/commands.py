"""Everything that can be done with the runs of the scene `everything_at_once`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

from fairlead.kernel.commands import (
    AnnotateRuns,
    Annotation,
    Fired,
    FlushOutbox,
    PauseSchedule,
    PruneRuns,
    RemoveSchedule,
    ReplayDeadLetters,
    SettleTasks,
    SweepJobs,
    WithdrawDeferred,
    WriteNotes,
)
from fairlead.ports.notes import LogLevel, NewLogEntry, ProgressRecord
from fairlead.ports.outbox import DeadLetterFilter
from fairlead.ports.records import ClaimedTask, Lease
from fairlead.ports.sink import DEFAULT_SINK
from tests.support.hands import LEASE, Hands

from .arenas import Scene
from .flows import FLOW, MINUTE, QUIET_QUEUE
from .meeting import Command

NOTHING = timedelta(0)


# Clients


async def _start(hands: Hands, scene: Scene) -> object:
    run = await hands.kernel.start(FLOW, [4], key="deferred")
    return run.created


async def _start_otherwise(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.start(FLOW, [0], key="deferred")


async def _start_later(hands: Hands, scene: Scene) -> object:
    deferred = await hands.kernel.start_later(FLOW, [4], after=MINUTE, key="deferred")
    return deferred.name


def _cancel(name: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        return await hands.kernel.cancel(scene.runs[name])

    return Command(command)


def _signal(value: int, key: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        return await hands.kernel.signal(scene.runs["active"], "answer", value, key=key)

    return Command(command)


async def _resume(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.resume(scene.token, 3)


async def _mint(hands: Hands, scene: Scene) -> object:
    return len(await hands.kernel.run(scene.runs["active"]).resume_token("answer"))


async def _withdraw(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.dispatch(WithdrawDeferred(scene.deferred))


async def _rerun(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.run(scene.runs["ended"]).rerun()


async def _retry(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.run(scene.runs["ended"]).retry("each")


def _annotate(name: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        await hands.kernel.annotate(scene.runs[name], {"by": "a client"})
        return None

    return Command(command)


async def _replay(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.dispatch(ReplayDeadLetters(chosen=DeadLetterFilter()))


async def _prune(hands: Hands, scene: Scene) -> dict[str, object]:
    ended_before = hands.kernel.ports.clock.now() + MINUTE
    pruned = await hands.kernel.dispatch(PruneRuns(ended_before=ended_before))
    return {f"run {number}": "pruned" for number in range(pruned.runs)}


async def _remove_sink(hands: Hands, scene: Scene) -> object:
    """Who of two has removed it, cannot be told: each goes on with what the other has begun."""
    await hands.kernel.remove_sink(DEFAULT_SINK)
    return None


async def _pause_schedule(hands: Hands, scene: Scene) -> object:
    return (await hands.kernel.dispatch(PauseSchedule("minutely"))).status


async def _change_schedule(hands: Hands, scene: Scene) -> object:
    return (await hands.kernel.schedule(FLOW, cron="0 * * * *", input=[6], name="minutely")).record.cron


async def _remove_schedule(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.dispatch(RemoveSchedule("minutely"))


# Hosts


def _claim_runs(slots: int) -> Command:
    async def command(hands: Hands, scene: Scene) -> dict[str, object]:
        return _claimed(await Hands(hands.kernel, slots=slots).claim_runs())

    return Command(command, skips=True)


async def _claim_tasks(hands: Hands, scene: Scene) -> dict[str, object]:
    return _claimed(await hands.claim_tasks(queue=QUIET_QUEUE))


def _complete(*names: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        settlement = await hands.settle([hands.completed(scene.tasks[name], 1) for name in names])
        return sorted(f"{lease.key}: {verdict}" for lease, verdict in settlement.verdicts.items())

    return Command(command)


async def _complete_at_once(hands: Hands, scene: Scene) -> dict[str, object]:
    outcomes = (hands.completed(scene.tasks["active/work"], 1), hands.completed(scene.tasks["other/work"], 1))
    settlement = await hands.kernel.dispatch(SettleTasks(outcomes=outcomes, capacity=hands.capacity(10)))
    return {str(lease.key): verdict for lease, verdict in settlement.verdicts.items() if verdict != "deferred"}


async def _fail(hands: Hands, scene: Scene) -> object:
    return await hands.fail(scene.tasks["active/work"], retryable=False)


async def _fail_element(hands: Hands, scene: Scene) -> object:
    return await hands.fail(scene.tasks["active/each/1"])


async def _retry_later(hands: Hands, scene: Scene) -> object:
    return await hands.fail(scene.tasks["active/work"], retryable=True)


async def _suspend(hands: Hands, scene: Scene) -> object:
    return await hands.suspend(scene.tasks["other/compute"], 1, check_after=NOTHING)


async def _release(hands: Hands, scene: Scene) -> object:
    return await hands.release(scene.tasks["active/work"])


async def _heartbeat(hands: Hands, scene: Scene) -> dict[str, object]:
    answer = await hands.heartbeat(*scene.tasks.values())
    told = {"extended": answer.extended, "lost": answer.lost, "cancelled": answer.cancelled}
    return {str(lease.key): what for what, leases in told.items() for lease in leases}


async def _annotate_as_handler(hands: Hands, scene: Scene) -> dict[str, object]:
    task = scene.tasks["active/work"]
    annotation = Annotation(run_id=task.key.run_id, values=b'{"by":"a handler"}', lease=Lease(task.key, task.token))
    (verdict,) = await hands.kernel.dispatch(AnnotateRuns(annotations=(annotation,)))
    return {} if verdict == "deferred" else {"annotation": verdict}


def _note(task: Callable[[Scene], ClaimedTask]) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        noting, now = task(scene), hands.kernel.ports.clock.now()
        entry = NewLogEntry(
            key=noting.key,
            token=noting.token,
            attempt=noting.attempt,
            sequence=1,
            at=now,
            level=LogLevel.INFO,
            message="at work",
            fields=b"{}",
        )
        progress = ProgressRecord(
            key=noting.key, token=noting.token, attempt=noting.attempt, at=now, done=1, total=2, message=None
        )
        return await hands.kernel.dispatch(WriteNotes(entries=(entry,), progress=(progress,)))

    return Command(command)


async def _reap(hands: Hands, scene: Scene) -> dict[str, object]:
    return await _found(hands.reap())


async def _wake(hands: Hands, scene: Scene) -> dict[str, object]:
    return await _found(hands.wake())


async def _expire(hands: Hands, scene: Scene) -> dict[str, object]:
    return await _found(hands.expire())


async def _sweep(hands: Hands, scene: Scene) -> dict[str, object]:
    await hands.kernel.dispatch(SweepJobs(older_than=NOTHING))
    return {}


async def _fire(hands: Hands, scene: Scene) -> dict[str, object]:
    fired: Fired = await hands.fire()
    counts = {"started": fired.started, "cancelled": fired.cancelled, "signalled": fired.signalled}
    did: dict[str, object] = {f"{number + 1} {what}": True for what, count in counts.items() for number in range(count)}
    return {**did, **{trouble.name: trouble.problem for trouble in fired.troubles}}


async def _flush(hands: Hands, scene: Scene) -> dict[str, object]:
    flusher = f"flusher of {asyncio.current_task()}"
    await hands.kernel.dispatch(FlushOutbox(worker=flusher, lease_duration=LEASE))
    return {}


def _claimed(tasks: Iterable[ClaimedTask]) -> dict[str, object]:
    return {str(task.key): "claimed" for task in tasks}


async def _found(number: Awaitable[int]) -> dict[str, object]:
    """A number of things that were found is no answer: it depends on who comes first."""
    await number
    return {}


COMMANDS: Mapping[str, Command] = {
    "start": Command(_start),
    "start otherwise": Command(_start_otherwise),
    "start later": Command(_start_later),
    "cancel": _cancel("active"),
    "cancel the pending": _cancel("pending"),
    "signal": _signal(1, "first"),
    "another signal": _signal(2, "other"),
    "a conflicting signal": _signal(2, "first"),
    "resume": Command(_resume),
    "mint a token": Command(_mint),
    "withdraw": Command(_withdraw),
    "rerun": Command(_rerun),
    "retry elements": Command(_retry),
    "annotate": _annotate("active"),
    "annotate the ended": _annotate("ended"),
    "replay": Command(_replay),
    "prune": Command(_prune, skips=True),
    "remove the sink": Command(_remove_sink),
    "pause the schedule": Command(_pause_schedule, schedules=True),
    "change the schedule": Command(_change_schedule, schedules=True),
    "remove the schedule": Command(_remove_schedule, schedules=True),
    "claim runs": _claim_runs(slots=0),
    "claim runs with tasks": _claim_runs(slots=10),
    "claim tasks": Command(_claim_tasks, skips=True),
    "complete": _complete("active/work"),
    "complete the other": _complete("other/work", "other/each/0"),
    "complete a batch": _complete("other/work", "active/work", "active/each/0", "other/each/1"),
    "complete what is free": Command(_complete_at_once, skips=True),
    "fail": Command(_fail),
    "fail an element": Command(_fail_element),
    "retry a task": Command(_retry_later),
    "suspend": Command(_suspend),
    "release": Command(_release),
    "heartbeat": Command(_heartbeat, skips=True),
    "annotate as a handler": Command(_annotate_as_handler, skips=True),
    "note": _note(lambda scene: scene.tasks["active/work"]),
    "note late": _note(lambda scene: scene.tasks["ended/work"]),
    "reap": Command(_reap, skips=True),
    "wake": Command(_wake, skips=True),
    "expire": Command(_expire, skips=True),
    "sweep": Command(_sweep, skips=True),
    "fire": Command(_fire, skips=True, fires=True),
    "flush": Command(_flush, skips=True, in_parts=True),
}
