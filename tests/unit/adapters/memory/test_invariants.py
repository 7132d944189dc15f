"""Each invariant's predicate finds what breaks it, and nothing in a store that real work has filled."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import timedelta

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock, MemoryPersistence, SequentialIds, memory_ports
from fairlead.adapters.memory.invariants import INVARIANTS, broken_invariants
from fairlead.adapters.memory.rows import Run, Step, StoredRun, Task
from fairlead.adapters.memory.store import Store
from fairlead.kernel import Kernel
from fairlead.ports.outbox import DeadLetter, DeadLetterKey, EventRecord, HeldRun, shard_of
from fairlead.ports.records import FlowRow, Lease
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.hands import LEASE, Hands
from tests.support.survey import survey


class World:
    """A store in which runs are pending, running, completed, failed and cancelled, after retries and lost leases."""

    def __init__(self) -> None:
        self.store = Store()
        self.clock = ManualClock()
        persistence = MemoryPersistence(self.store)
        ports = memory_ports(clock=self.clock, sink=CollectingSink(), new_id=SequentialIds())
        self.kernel = Kernel(flows=[survey()], ports=evolve(ports, persistence=persistence))
        self.hands = Hands(self.kernel)
        self._ids: dict[str, str] = {}

    async def fill(self) -> World:
        """Start six runs and take each to its state."""
        self._ids["completed"] = await self._start("completed", [1, 2])
        await self.hands.drain([1, 2])
        self._ids["empty"] = await self._start("empty", [])
        await self.hands.drain([])
        self._ids["failed"] = await self._start("failed", [1])
        await self._read()
        await self.hands.fail(await self.hands.claim_task(), retry_after=timedelta(0))
        await self.hands.fail(await self.hands.claim_task())
        self._ids["cancelled"] = await self._start("cancelled", [1, 2])
        await self._read([1, 2])
        await self.kernel.cancel(self._ids["cancelled"], reason="no longer wanted")
        self._ids["running"] = await self._start("running", [1, 2, 3])
        await self._read([1, 2, 3])
        lost, done, _ = await self.hands.claim_tasks()
        await self.hands.complete(done)
        self.clock.advance(LEASE * 2)
        assert await self.hands.reap() == 2
        await self.hands.heartbeat(lost)
        await self.hands.claim_tasks(1)
        self._ids["pending"] = await self._start("pending", [1])
        return self

    def run(self, which: str) -> StoredRun:
        """The run in that state."""
        return self.store.runs[self._ids[which]]

    def row(self, which: str) -> Run:
        """Its row."""
        return self.run(which).row

    def step(self, which: str, slug: str) -> Step:
        """One of its steps."""
        return self.run(which).steps[self._ids[which], slug, 1]

    def task(self, which: str, status: TaskStatus, slug: str = "weigh") -> Task:
        """The first of its tasks that has this status."""
        return next(task for task in self.run(which).tasks.values() if task.status is status and task.key.step == slug)

    def change_events(self, which: str, kind: str) -> None:
        """Replace the events of one type by something else, and leave their number as it is."""
        for batch in self.run(which).events.values():
            batch.events = batch.events.replace(kind.encode(), b"nothing.happened")

    def add_events(self, which: str, events: bytes) -> None:
        """Tell one event more at the end."""
        run = self.run(which)
        last = copy(run.batches()[-1])
        last.first_sequence += last.count
        last.count = 1
        last.events = events
        run.events[last.first_sequence] = last

    async def _start(self, key: str, value: object) -> str:
        return (await self.kernel.start("survey", value, key=key)).id

    async def _read(self, value: object = (1,)) -> None:
        """Claim the pending run and complete its first step."""
        await self.hands.claim_runs()
        await self.hands.complete(await self.hands.claim_task(), value)


@pytest.fixture
async def world() -> World:
    """A healthy, filled store."""
    return await World().fill()


def _end_pending(world: World) -> None:
    world.row("pending").ended_at = world.clock.now()


def _start_pending(world: World) -> None:
    world.row("pending").started_at = world.clock.now()


def _settle_nothing(world: World) -> None:
    world.task("completed", TaskStatus.COMPLETED).settled_token = 0


def _keep_no_attempt(world: World) -> None:
    failed = world.task("failed", TaskStatus.FAILED)
    del world.run("failed").attempts[Lease(failed.key, failed.token)]


def _settle_under_a_future_token(world: World) -> None:
    task = world.task("running", TaskStatus.RUNNING)
    task.settled_token = task.token + 1


def _give_more_attempts_than_tokens(world: World) -> None:
    task = world.task("running", TaskStatus.RUNNING)
    task.attempts = task.token + 1


def _lease_a_queued_task(world: World) -> None:
    world.task("running", TaskStatus.QUEUED).lease_until = world.clock.now()


def _take_a_lease_away(world: World) -> None:
    world.task("running", TaskStatus.RUNNING).worker = None


def _start_before_dependencies(world: World) -> None:
    world.step("running", "weigh").remaining_dependencies = 1


def _leave_a_ready_step_waiting(world: World) -> None:
    world.step("running", "total").remaining_dependencies = 0


def _miscount_tasks(world: World) -> None:
    world.step("running", "weigh").remaining_tasks = 3


def _misplace_the_cursor(world: World) -> None:
    world.step("running", "weigh").cursor = 2


def _skip_a_step_with_tasks(world: World) -> None:
    step = world.step("running", "weigh")
    step.status, step.started_at = StepStatus.SKIPPED, None


def _leave_out_an_element(world: World) -> None:
    world.step("running", "weigh").gaps = 1


def _count_gaps_below_zero(world: World) -> None:
    world.step("running", "total").gaps = -1


def _wait_for_more_than_there_is(world: World) -> None:
    world.step("running", "total").remaining_dependencies = 2


def _count_dependencies_below_zero(world: World) -> None:
    world.step("completed", "total").remaining_dependencies = -1


def _miscount_steps(world: World) -> None:
    world.row("running").remaining_steps = 1


def _complete_a_step_early(world: World) -> None:
    step = world.step("completed", "weigh")
    step.remaining_tasks = 1


def _leave_a_step_open(world: World) -> None:
    step = world.step("running", "weigh")
    step.remaining_tasks = 0


def _complete_a_step_without_a_task(world: World) -> None:
    task = world.task("completed", TaskStatus.COMPLETED)
    task.status, task.output = TaskStatus.CANCELLED, None


def _complete_a_run_early(world: World) -> None:
    world.step("completed", "total").status = StepStatus.FAILED


def _leave_a_run_open(world: World) -> None:
    row = world.row("completed")
    row.status, row.ended_at = RunStatus.RUNNING, None


def _lose_an_element(world: World) -> None:
    tasks = world.run("completed").tasks
    del tasks[next(key for key in tasks if key.step == "weigh" and key.element == 0)]


def _miscount_gaps(world: World) -> None:
    world.step("completed", "weigh").gaps = 1


def _lose_an_output(world: World) -> None:
    world.task("completed", TaskStatus.COMPLETED).output = None


def _end_a_run_twice(world: World) -> None:
    world.add_events("completed", b'[{"type":"run.completed"}]')


def _end_a_run_silently(world: World) -> None:
    world.change_events("completed", "run.completed")


def _cancel_a_run_silently(world: World) -> None:
    world.change_events("cancelled", "run.cancelled")


def _tell_after_the_end(world: World) -> None:
    world.add_events("completed", b'[{"type":"step.started","step":"read"}]')


def _complete_a_step_silently(world: World) -> None:
    world.change_events("completed", "step.completed")


def _start_a_run_silently(world: World) -> None:
    world.change_events("running", "run.started")


def _create_a_run_silently(world: World) -> None:
    world.change_events("pending", "run.created")


def _start_a_step_silently(world: World) -> None:
    world.change_events("running", "step.started")


def _start_a_step_at_no_time(world: World) -> None:
    world.step("running", "weigh").started_at = None


def _start_a_step_that_waits(world: World) -> None:
    world.step("running", "total").started_at = world.clock.now()


def _start_a_step_without_tasks(world: World) -> None:
    world.step("empty", "weigh").started_at = world.clock.now()


def _retry_silently(world: World) -> None:
    world.change_events("failed", "task.retrying")


def _tell_of_nothing(world: World) -> None:
    world.add_events("running", b'[{"type":"step.started","step":"unheard-of"}]')


def _leave_a_gap(world: World) -> None:
    run = world.run("running")
    del run.events[run.batches()[1].first_sequence]


def _miscount_events(world: World) -> None:
    world.run("pending").batches()[0].events = b"[]"


def _garble_events(world: World) -> None:
    world.run("pending").batches()[0].events = b"not json"


def _repeat_a_number(world: World) -> None:
    world.row("pending").next_sequence = 1


def _share_a_key(world: World) -> None:
    world.row("pending").key = "running"


def _forget_a_task(world: World) -> None:
    task = world.task("failed", TaskStatus.FAILED)
    task.status = TaskStatus.RUNNING


def _forget_a_step(world: World) -> None:
    world.step("failed", "total").status = StepStatus.CREATED


def _leave_a_task_to_a_cancelled_run(world: World) -> None:
    world.task("cancelled", TaskStatus.CANCELLED).status = TaskStatus.QUEUED


def _suspend_for_nothing(world: World) -> None:
    world.step("running", "weigh").status = StepStatus.SUSPENDED


def _keep_no_signal(world: World) -> None:
    world.row("pending").signals = 1


def _publish_out_of_order(world: World) -> None:
    world.run("running").batches()[-1].published = True


def _deliver_out_of_order(world: World) -> None:
    world.run("running").batches()[-1].delivered = 1


def _hold_too_far(world: World) -> None:
    _stand(world, 2)


def _publish_nothing(world: World) -> None:
    for batch in world.run("pending").batches():
        batch.delivered = 1


def _publish_what_nobody_has(world: World) -> None:
    (batch,) = world.run("pending").batches()
    batch.published = True
    batch.at += timedelta(hours=1)


def _lose_a_row(world: World) -> None:
    (batch,) = world.run("pending").batches()
    world.store.outbox.sinks["default"].take(batch)


def _hold_a_row_without_its_run(world: World) -> None:
    (batch,) = world.run("pending").batches()
    batch.held = 1
    world.store.outbox.sinks["default"].take(batch)


def _bury_what_is_to_come(world: World) -> None:
    _bury(world, 1)
    _stand(world, 1)


def _bury_nothing(world: World) -> None:
    _bury(world, 2)


def _stand(world: World, sequence: int) -> None:
    """Say that the sink stands before an event of the pending run."""
    run_id = world.row("pending").id
    shard = world.store.outbox.sinks["default"].shards[shard_of(run_id)]
    shard.held[run_id] = HeldRun(
        run_id=run_id, next_sequence=sequence, attempts=1, not_before=world.clock.now(), problem="no"
    )


def _bury(world: World, sequence: int) -> None:
    """Make an event of the pending run a dead letter, and nothing else."""
    run_id, now = world.row("pending").id, world.clock.now()
    event = EventRecord(
        run_id=run_id, flow="survey", generation=1, sequence=sequence, type="run.created", step=None, at=now, data=b"{}"
    )
    letter = DeadLetter(sink="default", event=event, attempts=1, problem="no", died_at=now)
    shard = world.store.outbox.sinks["default"].shards[shard_of(run_id)]
    shard.letters[DeadLetterKey(run_id, sequence)] = letter


def _change_the_shape(world: World) -> None:
    world.row("running").fingerprint = "another"


def _hide_a_queued_task(world: World) -> None:
    world.task("running", TaskStatus.QUEUED).entry = None


def _hide_a_lease(world: World) -> None:
    world.store.leased.discard(world.task("running", TaskStatus.RUNNING).key)


CASES: list[tuple[str, Callable[[World], None]]] = [
    ("I1_terminal_is_absorbing", _end_pending),
    ("I2_statuses_agree", _start_pending),
    ("I2_statuses_agree", _skip_a_step_with_tasks),
    ("I3_one_outcome", _settle_nothing),
    ("I3_one_outcome", _keep_no_attempt),
    ("I4_outcome_of_latest_claim", _settle_under_a_future_token),
    ("I5_tokens_increase", _give_more_attempts_than_tokens),
    ("I6_one_live_lease", _lease_a_queued_task),
    ("I6_one_live_lease", _take_a_lease_away),
    ("I10_dependencies_settled", _start_before_dependencies),
    ("I10_dependencies_settled", _leave_a_ready_step_waiting),
    ("I11_remaining_tasks", _miscount_tasks),
    ("I11_remaining_tasks", _misplace_the_cursor),
    ("I11_remaining_tasks", _leave_out_an_element),
    ("I11_remaining_tasks", _count_gaps_below_zero),
    ("I12_remaining_dependencies", _wait_for_more_than_there_is),
    ("I12_remaining_dependencies", _count_dependencies_below_zero),
    ("I13_remaining_steps", _miscount_steps),
    ("I14_step_completion", _complete_a_step_early),
    ("I14_step_completion", _leave_a_step_open),
    ("I14_step_completion", _complete_a_step_without_a_task),
    ("I15_run_completion", _complete_a_run_early),
    ("I15_run_completion", _leave_a_run_open),
    ("I16_outputs_aligned", _lose_an_element),
    ("I16_outputs_aligned", _miscount_gaps),
    ("I16_outputs_aligned", _lose_an_output),
    ("I17_one_terminal_event", _end_a_run_twice),
    ("I17_one_terminal_event", _end_a_run_silently),
    ("I17_one_terminal_event", _cancel_a_run_silently),
    ("I17_one_terminal_event", _tell_after_the_end),
    ("I18_changes_have_events", _complete_a_step_silently),
    ("I18_changes_have_events", _start_a_run_silently),
    ("I18_changes_have_events", _create_a_run_silently),
    ("I18_changes_have_events", _start_a_step_silently),
    ("I18_changes_have_events", _start_a_step_at_no_time),
    ("I18_changes_have_events", _start_a_step_that_waits),
    ("I18_changes_have_events", _start_a_step_without_tasks),
    ("I18_changes_have_events", _retry_silently),
    ("I18_changes_have_events", _tell_of_nothing),
    ("I19_sequence", _leave_a_gap),
    ("I19_sequence", _miscount_events),
    ("I19_sequence", _garble_events),
    ("I19_sequence", _repeat_a_number),
    ("I20_sinks_get_prefixes", _publish_out_of_order),
    ("I20_sinks_get_prefixes", _deliver_out_of_order),
    ("I20_sinks_get_prefixes", _hold_too_far),
    ("I21_published_means_accepted", _publish_nothing),
    ("I21_published_means_accepted", _publish_what_nobody_has),
    ("I22_one_run_per_key", _share_a_key),
    ("I25_nothing_live_in_terminal_run", _forget_a_task),
    ("I25_nothing_live_in_terminal_run", _forget_a_step),
    ("I25_nothing_live_in_terminal_run", _leave_a_task_to_a_cancelled_run),
    ("I26_suspended_waits", _suspend_for_nothing),
    ("I27_consumed_once", _keep_no_signal),
    ("I30_shape_never_changes", _change_the_shape),
    ("I32_queued_tasks_are_findable", _hide_a_queued_task),
    ("I32_queued_tasks_are_findable", _hide_a_lease),
    ("I33_nothing_is_lost", _lose_a_row),
    ("I33_nothing_is_lost", _hold_a_row_without_its_run),
    ("I33_nothing_is_lost", _bury_what_is_to_come),
    ("I33_nothing_is_lost", _bury_nothing),
]


def test_a_store_at_work_is_healthy(world: World) -> None:
    """Nothing is reported of runs in every state, after retries, lost leases and an empty map."""
    runs = ("completed", "empty", "failed", "running", "cancelled", "pending")
    statuses = [world.row(which).status for which in runs]

    assert statuses == ["completed", "completed", "failed", "running", "cancelled", "pending"]
    assert broken_invariants(world.store) == {}


@pytest.mark.parametrize(("name", "break_it"), CASES, ids=[f"{name}-{case.__name__}" for name, case in CASES])
def test_a_broken_invariant_is_named(world: World, name: str, break_it: Callable[[World], None]) -> None:
    """The predicate finds the row that was tampered with."""
    break_it(world)

    assert name in broken_invariants(world.store)


def test_every_predicate_is_shown_to_find_something() -> None:
    """No predicate goes without a case that breaks it."""
    assert {name for name, _ in CASES} == {invariant.__name__ for invariant in INVARIANTS}


async def test_a_replaced_shape_is_no_violation(world: World) -> None:
    """Runs stay pinned to the shape they started with while another one takes its place."""
    (row,) = world.store.flows.values()
    world.store.flows["survey", "1", "another"] = FlowRow(
        flow_id=2, slug=row.slug, version=row.version, fingerprint="another", shape=b"{}"
    )

    assert broken_invariants(world.store) == {}
