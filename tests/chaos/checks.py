"""What must hold after a campaign, whatever was done in it: each check yields what contradicts a promise.

The names are those of FAULTS: P1 what was acknowledged is durable, P2 outcomes are recorded once, P5 events are
complete and in order, P6 nothing begins after a cancel, P7 one run for a key. `INVARIANTS` are what the database itself
can tell. No check is about speed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from fairlead.kernel import RunStatus, TaskStatus
from fairlead.ports.statuses import TERMINAL_RUN
from tests.chaos.acknowledged import Acknowledged, End, TaskState
from tests.chaos.facts import Facts, TaskFact
from tests.chaos.flows import MAX_ATTEMPTS_OF
from tests.chaos.jobs import expected
from tests.chaos.ledger import Execution, Published
from tests.chaos.waiting import fleeting

SUSPENDS: Final = "/order/"
"""In the ids of tasks that suspend: their checks have attempts of their own, which begin with 1 again."""

STORE_AWAY: Final = "leases ran out while the store could not be reached"
"""What a worker logs that cannot keep its leases."""

Check = Callable[[Facts, Acknowledged], Iterator[str]]


def invariants(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """The doctor finds nothing."""
    for name, rows in facts.broken.items():
        yield f"{name}: {len(rows)} rows, such as {', '.join(rows[:3])}"


def starts(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """Every acknowledged start is one run, and every run was asked for (P1, P7)."""
    gone = forgotten(facts)
    for key, started in told.starts.items():
        left = started.run_ids - gone
        if len(left) > 1:
            yield f"the start with key {key} was answered with several runs: {sorted(left)}"
        for run_id in left:
            run = facts.runs.get(run_id)
            if run is None:
                yield f"run {run_id}, acknowledged for key {key}, does not exist"
            elif (run.flow, run.key) != (started.flow, key):
                yield f"run {run_id} of {run.flow} has key {run.key}, not {key} of {started.flow}"
    for run in facts.runs.values():
        if run.flow != "beat" and run.key not in told.starts:
            yield f"nobody has started run {run.id} of {run.flow}"
    for (flow, found), count in Counter((run.flow, run.key) for run in facts.runs.values()).items():
        if count > 1:
            yield f"{count} runs of {flow} have the key {found}"


def transactions(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """What was in one transaction is there together: once it was committed, and never else (behaviour 12)."""
    keys = {(run.flow, run.key) for run in facts.runs.values()}
    signals = {(signal.run, signal.key) for signal in facts.signals}
    for each in told.transactions:
        there = {"the row": each.row in facts.rows}
        there |= {f"the run with key {key}": (flow, key) in keys for key, flow in each.starts.items()}
        there |= {f"the signal for run {run}": (run, key) in signals for run, key in each.signals.items()}
        found = set(there.values())
        right = [{True}, {False}] if each.end is End.UNKNOWN else [{each.end is End.COMMITTED}]
        if found not in right:
            told_of = ", ".join(f"{what} {'exists' if exists else 'does not exist'}" for what, exists in there.items())
            yield f"transaction {each.row} ({each.end}): {told_of}"


def ends(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """Every run has ended, or waits for a signal that nobody sends; and none has failed that should not (I31)."""
    lost = {task.run for task in facts.tasks.values() if _spent_in_losses(task)}
    for run in facts.runs.values():
        if run.id in told.unanswered:
            if run.status is not RunStatus.RUNNING:
                yield f"run {run.id} should wait for its signal, and is {run.status} ({run.reason})"
        elif run.status not in TERMINAL_RUN:
            yield f"run {run.id} of {run.flow} is {run.status} for ever"
        elif run.status is RunStatus.FAILED and run.flow != "doomed" and run.id not in lost:
            yield f"run {run.id} of {run.flow} has failed: {run.reason}"
        elif run.status is RunStatus.CANCELLED and run.id not in told.cancels and run.id not in told.deadlines:
            yield f"nobody has cancelled run {run.id} of {run.flow}"


def outputs(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """What a completed run has come to follows from its input."""
    known = told.by_run()
    for run in facts.runs.values():
        started = known.get(run.id)
        if run.status is not RunStatus.COMPLETED or started is None:
            continue
        if run.flow == "doomed":
            yield f"run {run.id} of {run.flow} has completed"
        elif run.output != (right := expected(run.flow, started.job, run.id)):
            yield f"run {run.id} of {run.flow} came to {run.output}, not {right}"


def cancels(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """After an acknowledged cancel nothing was claimed, nothing recorded, nothing told (P1, P6, I23, I24)."""
    begun: dict[str, set[int]] = defaultdict(set)
    for line in facts.executions:
        begun[line.task].add(line.attempt)
    for run_id, then in told.cancels.items():
        run = facts.runs.get(run_id)
        if run is None:
            yield f"run {run_id}, whose cancel was acknowledged, does not exist"
            continue
        if (run.status, then.status) != (RunStatus.CANCELLED, RunStatus.CANCELLED):
            yield f"run {run_id} was cancelled, read as {then.status} then, and is {run.status} now"
        if (run.generation, run.events + 1) != (then.generation, then.next_sequence):
            yield f"run {run_id} has gone on after its cancel: {run.events + 1 - then.next_sequence} events"
        now = {task.id: TaskState(task.status, task.token, task.attempts) for task in _tasks_of(facts)[run_id]}
        for task in now.keys() | then.tasks.keys():
            if now.get(task) != then.tasks.get(task):
                yield f"task {task} has gone on after the cancel: from {then.tasks.get(task)} to {now.get(task)}"
            elif SUSPENDS not in task and (late := begun[task] - set(range(then.tasks[task].attempts + 1))):
                yield f"task {task} was executed in attempts {sorted(late)} after the cancel"
    for run_id in told.ended_before_cancel | told.deadlines:
        run = facts.runs.get(run_id)
        if run is None or run.status not in TERMINAL_RUN:
            yield f"run {run_id}, whose cancel was acknowledged, is {'gone' if run is None else run.status}"


def signals(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """Every acknowledged signal is kept, and consumed where its run has completed (P1, I23)."""
    kept = {(signal.run, signal.key): signal for signal in facts.signals}
    by_token = {signal.run: signal for signal in facts.signals if signal.key.startswith("token:")}
    for run_id, key in told.signals.items():
        signal = kept.get((run_id, key)) if key else by_token.get(run_id)
        run = facts.runs.get(run_id)
        if signal is None:
            yield f"the signal for run {run_id} was acknowledged, and does not exist"
        elif run is not None and run.status is RunStatus.COMPLETED and not signal.consumed:
            yield f"run {run_id} has completed without the signal that was acknowledged"


def reruns(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """Every acknowledged rerun took place."""
    for run_id, generation in told.generations.items():
        run = facts.runs.get(run_id)
        if run is None or run.generation < generation:
            yield f"run {run_id} was begun anew in generation {generation}, and is in {run and run.generation}"


def executions(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """A task is executed as often as it may be at most, each time by its own claim; one outcome counts (P2, I9)."""
    begun: dict[str, list[Execution]] = defaultdict(list)
    ended: dict[str, set[int]] = defaultdict(set)
    for line in facts.executions:
        if line.what == "begin":
            begun[line.task].append(line)
        else:
            ended[line.task].add(line.attempt)
    gone = forgotten(facts)
    for name, lines in begun.items():
        task = facts.tasks.get(name)
        if task is None and name.partition("/")[0] in gone:
            continue
        if task is None:
            yield f"task {name} was executed, and does not exist"
            continue
        runs = [line for line in lines if line.phase == "run"]
        most = MAX_ATTEMPTS_OF[task.flow]
        if len(runs) > most or any(line.attempt > most for line in lines):
            yield f"task {name} was executed {len(runs)} times, which may be {most}"
        if len(lines) > task.token:
            yield f"task {name} was executed {len(lines)} times by {task.token} claims"
    for task in facts.tasks.values():
        if task.status is not TaskStatus.COMPLETED or task.recorded is None:
            continue
        if task.recorded not in ended[task.id]:
            yield f"the outcome of task {task.id} is of attempt {task.recorded}, which never ended"
        if SUSPENDS not in task.id and task.recorded != task.attempts:
            yield f"the outcome of task {task.id} is of attempt {task.recorded}, and the last was {task.attempts}"


def events(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """What the sink got is, after deduplication, 1…n of each run, in order and to the last (P5, I20)."""
    got: dict[str, list[Published]] = defaultdict(list)
    for line in facts.published:
        known = got[line.run]
        if line.sequence <= len(known):
            if (known[line.sequence - 1].type, known[line.sequence - 1].data) != (line.type, line.data):
                yield f"event {line.sequence} of run {line.run} was published in two versions"
        else:
            if line.sequence > len(known) + 1:
                yield f"event {line.sequence} of run {line.run} was published before {len(known) + 1}"
            known.append(line)
    for run in facts.runs.values():
        if len(got[run.id]) != run.events:
            yield f"run {run.id} has {run.events} events, and the sink got {len(got[run.id])}"
    for run_id in got.keys() - facts.runs.keys() - forgotten(facts):
        yield f"the sink got events of run {run_id}, which does not exist"


def ticks(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """A run for each tick of the schedule, and no second one."""
    found = Counter(facts.ticks.found)
    for tick in facts.ticks.expected:
        if found[tick] != 1:
            yield f"the tick of {tick} has {found[tick]} runs"
    for tick in found.keys() - set(facts.ticks.expected):
        yield f"there is a run for {tick}, which is no tick"


def stops(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """A worker that is told to stop loses no attempt: what it has at hand ends, or is given back.

    Unless it could not keep its leases, or give them back, and says so.
    """
    begun = {(line.task, line.attempt, line.pid) for line in facts.executions if line.what == "begin"}
    for lost in facts.lost:
        stopped = facts.stopped.get(lost.worker)
        if stopped is None or lost.task in stopped.said or STORE_AWAY in stopped.said:
            continue
        if (lost.task, lost.attempt, stopped.pid) in begun:
            yield f"attempt {lost.attempt} of task {lost.task} was lost with {lost.worker}, which ended in order"


def deaths(facts: Facts, told: Acknowledged) -> Iterator[str]:
    """No worker ended by itself, none met what cannot be, and all ended in order when they were told to."""
    yield from facts.deaths


CHECKS: Final[tuple[Check, ...]] = (
    invariants,
    starts,
    transactions,
    ends,
    outputs,
    cancels,
    signals,
    reruns,
    executions,
    events,
    ticks,
    stops,
    deaths,
)


def violations(facts: Facts, told: Acknowledged) -> list[str]:
    """All that contradicts a promise, with the name of the check that found it."""
    return [f"{check.__name__}: {found}" for check in CHECKS for found in check(facts, told)]


def forgotten(facts: Facts) -> set[str]:
    """Runs that are gone and may be: they are kept for a while only, and everything was told of them, to their end."""
    last = {line.run: line for line in facts.published if line.flow == fleeting.slug}
    complete = {run_id for run_id, line in last.items() if line.type == "run.completed"}
    return complete - facts.runs.keys()


def _spent_in_losses(task: TaskFact) -> bool:
    return (
        task.status is TaskStatus.FAILED
        and task.reason == "worker_lost"
        and task.attempts >= MAX_ATTEMPTS_OF[task.flow]
    )


def _tasks_of(facts: Facts) -> dict[str, list[TaskFact]]:
    found: dict[str, list[TaskFact]] = defaultdict(list)
    for task in facts.tasks.values():
        found[task.run].append(task)
    return found
