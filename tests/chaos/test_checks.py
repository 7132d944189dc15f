"""Each check can fail: a sound campaign passes all, and each kind of damage is found by the check that is for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.kernel import RunStatus, TaskStatus
from tests.chaos.acknowledged import Acknowledged, End, Frozen, Started, TaskState, Transaction
from tests.chaos.checks import CHECKS, violations
from tests.chaos.facts import Facts, LostAttempt, RunFact, SignalFact, TaskFact, Ticks
from tests.chaos.jobs import DOOMED_ATTEMPTS, MAX_ATTEMPTS, Job, expected
from tests.chaos.ledger import Execution, Published
from tests.chaos.workers import Stopped

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DONE, ASKED, CANCELLED, WAITING, DOOMED, GONE = "done", "asked", "cancelled", "waiting", "doomed", "gone"
JOB = Job(value=7)
Damage = Callable[[Facts, Acknowledged], None]


def run_of(name: str, flow: str, status: RunStatus, **more: Any) -> RunFact:
    """A run with two events, whose key is its name."""
    output = expected(flow, JOB, name) if status is RunStatus.COMPLETED else None
    return evolve(RunFact(id=name, flow=flow, key=name, status=status, generation=1, events=2, output=output), **more)


def task_of(run: str, step: str, flow: str, status: TaskStatus, **more: Any) -> TaskFact:
    """A task that was claimed once."""
    recorded = 1 if status is TaskStatus.COMPLETED else None
    task = TaskFact(id=f"{run}/{step}/1/0", flow=flow, status=status, token=1, attempts=1, recorded=recorded)
    return evolve(task, **more)


def execution_of(task: TaskFact, attempt: int, what: str) -> Execution:
    """A line of the ledger."""
    return Execution(task=task.id, attempt=attempt, what=what, phase="run", pid=1)


def sound() -> tuple[Facts, Acknowledged]:
    """A campaign in which all went well."""
    runs = [
        run_of(DONE, "chain", RunStatus.COMPLETED),
        run_of(ASKED, "asked", RunStatus.COMPLETED),
        run_of(CANCELLED, "chain", RunStatus.CANCELLED),
        run_of(WAITING, "asked", RunStatus.RUNNING),
        run_of(DOOMED, "doomed", RunStatus.FAILED),
    ]
    tasks = [
        task_of(DONE, "first", "chain", TaskStatus.COMPLETED),
        task_of(ASKED, "close", "asked", TaskStatus.COMPLETED),
        task_of(CANCELLED, "first", "chain", TaskStatus.CANCELLED),
        task_of(DOOMED, "hopeless", "doomed", TaskStatus.FAILED, token=3, attempts=3),
    ]
    executions = [execution_of(task, 1, what) for task in tasks for what in ("begin", "end")]
    published = [
        Published(run=run.id, flow=run.flow, sequence=sequence, type="run.created", data=f"{run.id} {sequence}")
        for run in runs
        for sequence in (1, 2, 1)
    ]
    gone = task_of(GONE, "pass_by", "fleeting", TaskStatus.COMPLETED)
    executions += [execution_of(gone, 1, what) for what in ("begin", "end")]
    published += [
        Published(run=GONE, flow="fleeting", sequence=sequence, type=what, data="")
        for sequence, what in ((1, "run.created"), (2, "run.completed"))
    ]
    at = [NOON, NOON + timedelta(seconds=2)]
    facts = Facts(
        runs={run.id: run for run in runs},
        tasks={task.id: task for task in tasks},
        signals=[SignalFact(run=ASKED, key="the answer", consumed=True)],
        rows=frozenset({"kept"}),
        lost=[LostAttempt(task=FIRST, attempt=1, worker="killed")],
        stopped={"stopped": Stopped(pid=1, said=f"task {CLOSED} came too late")},
        executions=executions,
        published=published,
        ticks=Ticks(expected=at, found=at),
    )
    told = Acknowledged()
    for run in runs:
        assert run.key is not None
        told.starts[run.key] = Started(run.flow, JOB, run_ids={run.id})
    told.signals[ASKED] = "the answer"
    told.unanswered.add(WAITING)
    told.starts[GONE] = Started("fleeting", JOB, run_ids={GONE})
    told.transactions = [
        Transaction(row="kept", end=End.COMMITTED, starts={DONE: "chain"}, signals={ASKED: "the answer"}),
        Transaction(row="rolled back", end=End.ROLLED_BACK, starts={"no key": "chain"}),
        Transaction(row="unknown", end=End.UNKNOWN, starts={"another key": "chain"}),
    ]
    told.generations[DONE] = 1
    told.cancels[CANCELLED] = Frozen(
        RunStatus.CANCELLED, 1, 3, {f"{CANCELLED}/first/1/0": TaskState(TaskStatus.CANCELLED, 1, 1)}
    )
    return facts, told


def change_run(name: str, **more: Any) -> Damage:
    """Another row of that run."""

    def damage(facts: Facts, told: Acknowledged) -> None:
        facts.runs = {**facts.runs, name: evolve(facts.runs[name], **more)}

    return damage


def change_task(name: str, **more: Any) -> Damage:
    """Another row of that task."""

    def damage(facts: Facts, told: Acknowledged) -> None:
        facts.tasks = {**facts.tasks, name: evolve(facts.tasks[name], **more)}

    return damage


def lose_run(name: str) -> Damage:
    """No row of that run."""

    def damage(facts: Facts, told: Acknowledged) -> None:
        facts.runs = {run_id: run for run_id, run in facts.runs.items() if run_id != name}

    return damage


def execute(name: str, attempt: int, *, times: int = 1) -> Damage:
    """Further lines in the ledger."""

    def damage(facts: Facts, told: Acknowledged) -> None:
        line = Execution(task=name, attempt=attempt, what="begin", phase="run", pid=1)
        facts.executions = [*facts.executions, *[line] * times]

    return damage


def publish(*sequences: int, data: str = "") -> Damage:
    """Exactly these events of one run."""

    def damage(facts: Facts, told: Acknowledged) -> None:
        others = [line for line in facts.published if line.run != DONE]
        mine = [
            Published(
                run=DONE, flow="chain", sequence=each, type="run.created", data=data if place == 1 else f"{DONE} {each}"
            )
            for place, each in enumerate(sequences)
        ]
        facts.published = [*others, *mine]

    return damage


def setting(name: str, value: object) -> Damage:
    """Another fact."""
    return lambda facts, told: setattr(facts, name, value)


def answered_twice(facts: Facts, told: Acknowledged) -> None:
    """One key, two runs."""
    told.starts[DONE].run_ids.add(ASKED)


def happen(row: str, end: End, **more: Any) -> Damage:
    """Another transaction."""
    return lambda facts, told: told.transactions.append(Transaction(row=row, end=end, **more))


def forget_early(facts: Facts, told: Acknowledged) -> None:
    """The run that is gone has not ended, by all that was told of it."""
    facts.published = [line for line in facts.published if (line.run, line.type) != (GONE, "run.completed")]


def one_key_for_two(facts: Facts, told: Acknowledged) -> None:
    """Two rows with one key."""
    facts.runs = {**facts.runs, "second": evolve(facts.runs[DONE], id="second")}


def never_ended(facts: Facts, told: Acknowledged) -> None:
    """The outcome is of an execution that nobody saw ending."""
    facts.executions = [line for line in facts.executions if line.what == "begin"]


def vanished_task(facts: Facts, told: Acknowledged) -> None:
    """A task that was there when the cancel was acknowledged."""
    facts.tasks = {name: task for name, task in facts.tasks.items() if task.run != CANCELLED}
    facts.executions = [line for line in facts.executions if not line.task.startswith(CANCELLED)]


FIRST, CLOSED, STOPPED, HOPELESS = "done/first/1/0", "asked/close/1/0", "cancelled/first/1/0", "doomed/hopeless/1/0"

DAMAGES: dict[str, list[Damage]] = {
    "invariants": [setting("broken", {"I1": ["a row"]})],
    "starts": [lose_run(DONE), change_run(DONE, key="other"), answered_twice, one_key_for_two, forget_early],
    "transactions": [
        happen("kept", End.ROLLED_BACK),
        happen("lost", End.COMMITTED),
        happen("none", End.KILLED, starts={DONE: "chain"}),
        happen("none", End.ROLLED_BACK, signals={ASKED: "the answer"}),
        happen("kept", End.COMMITTED, signals={ASKED: "another"}),
        happen("kept", End.COMMITTED, starts={DONE: "chain", "another": "chain"}),
        happen("kept", End.UNKNOWN, starts={"another": "chain"}),
        happen("none", End.UNKNOWN, starts={DONE: "chain"}),
    ],
    "ends": [
        change_run(DONE, status=RunStatus.RUNNING, output=None),
        change_run(DONE, status=RunStatus.FAILED, output=None),
        change_run(DONE, status=RunStatus.CANCELLED, output=None),
        change_run(WAITING, status=RunStatus.FAILED),
    ],
    "outputs": [
        change_run(DONE, output=0),
        change_run(DONE, output=None),
        change_run(DOOMED, status=RunStatus.COMPLETED),
    ],
    "cancels": [
        lose_run(CANCELLED),
        change_run(CANCELLED, status=RunStatus.COMPLETED),
        change_run(CANCELLED, events=3),
        change_run(CANCELLED, generation=2),
        change_task(STOPPED, token=2),
        change_task(STOPPED, status=TaskStatus.COMPLETED),
        vanished_task,
        execute(STOPPED, 2),
    ],
    "signals": [
        setting("signals", []),
        setting("signals", [SignalFact(run=ASKED, key="the answer", consumed=False)]),
        setting("signals", [SignalFact(run=ASKED, key="another", consumed=True)]),
    ],
    "reruns": [lambda facts, told: told.generations.update({DONE: 2})],
    "executions": [
        execute("nowhere/first/1/0", 1),
        execute(FIRST, MAX_ATTEMPTS + 1),
        execute(HOPELESS, 3, times=DOOMED_ATTEMPTS),
        execute(FIRST, 1),
        never_ended,
        change_task(FIRST, attempts=2),
        change_task(CLOSED, recorded=2),
    ],
    "events": [
        publish(1),
        publish(2, 1),
        publish(1, 2, 3),
        publish(1, 1, 2, data="another version"),
        publish(),
        lambda facts, told: facts.__setattr__(
            "published",
            [*facts.published, Published(run="nowhere", flow="chain", sequence=1, type="run.created", data="")],
        ),
    ],
    "ticks": [
        lambda facts, told: setattr(facts, "ticks", evolve(facts.ticks, found=[NOON])),
        lambda facts, told: setattr(facts, "ticks", evolve(facts.ticks, found=[*facts.ticks.found, NOON])),
        lambda facts, told: setattr(facts, "ticks", evolve(facts.ticks, found=[*facts.ticks.found, NOON.min])),
    ],
    "stops": [setting("lost", [LostAttempt(task=FIRST, attempt=1, worker="stopped")])],
    "deaths": [setting("deaths", ["worker 1 ended by itself"])],
}


def test_a_sound_campaign_has_no_violation() -> None:
    """Otherwise nothing that follows would mean anything."""
    assert violations(*sound()) == []


def test_every_check_is_tried() -> None:
    """A check without damage is one that perhaps cannot fail."""
    assert DAMAGES.keys() == {check.__name__ for check in CHECKS}


@pytest.mark.parametrize(
    ("check", "damage"),
    [(name, damage) for name, damages in DAMAGES.items() for damage in damages],
    ids=[f"{name} {number}" for name, damages in DAMAGES.items() for number in range(len(damages))],
)
def test_damage_is_found(check: str, damage: Damage) -> None:
    """By the check that is for it."""
    facts, told = sound()
    damage(facts, told)

    assert check in {found.partition(":")[0] for found in violations(facts, told)}
