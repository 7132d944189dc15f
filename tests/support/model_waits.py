"""The invariants of what waits, as questions to the model's rows: what a wait is for, and that it ends once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from fairlead.kernel.commands import SendSignal
from fairlead.kernel.decisions.signal import Reception
from fairlead.kernel.errors import NotASignal, SignalConflict, SignalNotAwaited, SignalSpent, SignalWaiting
from fairlead.kernel.plan import Plan, StepKind
from fairlead.ports.records import RunRow, StepRow, TaskPhase, TaskRow, WaitsFor
from fairlead.ports.statuses import LIVE_TASK, TERMINAL_RUN, TERMINAL_STEP, RunStatus, StepStatus, TaskStatus

from .model import Model

WAITS_FOR = {StepKind.SIGNAL: WaitsFor.SIGNAL, StepKind.SLEEP: WaitsFor.TIME}
WITHOUT_ANSWER = {StepStatus.CREATED, StepStatus.SUSPENDED}
"""Of a signal step that waits, or will."""
UNCLAIMED = {StepKind.SIGNAL, StepKind.SLEEP}


def check_waits(model: Model, plan: Plan, run: RunRow, step: StepRow, tasks: list[TaskRow]) -> None:
    """I26 and I27 of one step, and that its events tell of its wait."""
    kind = plan.steps[step.slug].kind
    live = [task for task in tasks if task.status in LIVE_TASK]
    if step.status is StepStatus.SUSPENDED:
        (waiting,) = live
        assert waiting.status is TaskStatus.SUSPENDED or waiting.phase is TaskPhase.CHECK, "I26"
    for task in tasks:
        _check_task(plan, step, task)
    events = model.told(run.id, step.generation)
    told = Counter(event["type"] for event in events if event.get("step") == step.slug)
    assert told["step.suspended"] <= 1, "I17: a step is suspended once, however often it is checked"
    resumed = step.status is StepStatus.COMPLETED and told["step.suspended"] == 1
    assert told["step.resumed"] == resumed, "I18: step.resumed"
    assert step.status is not StepStatus.SUSPENDED or told["step.suspended"], "I18: step.suspended"
    assert kind is not StepKind.MAP or not told["step.suspended"], "a map is never suspended, only its tasks"
    _check_signals(model, run, step, kind)


def _check_task(plan: Plan, step: StepRow, task: TaskRow) -> None:
    suspended = task.status is TaskStatus.SUSPENDED
    kind = plan.steps[step.slug].kind
    assert suspended is (task.waits_for is not None), "I26: it waits for something, or it does not"
    assert suspended or task.wake_at is None, "I26"
    if not suspended:
        assert kind not in UNCLAIMED or task.status is not TaskStatus.RUNNING, "no host runs it"
        return
    assert task.waits_for is WAITS_FOR.get(kind, WaitsFor.CHECK), "I26"
    assert (task.wake_at is None) is (kind is StepKind.SIGNAL and plan.steps[step.slug].wait_s is None), "I26"
    assert step.status is (StepStatus.RUNNING if kind is StepKind.MAP else StepStatus.SUSPENDED), "I26"
    assert task.give_up_at is None or (task.wake_at is not None and task.wake_at <= task.give_up_at)


def _check_signals(model: Model, run: RunRow, step: StepRow, kind: StepKind) -> None:
    sent = [signal for signal in model.sent(run.id) if signal.step == step.slug]
    assert kind is StepKind.SIGNAL or not sent, "only signal steps are signalled"
    consumed = [signal for signal in sent if signal.consumed_at is not None]
    kept = [signal for signal in sent if signal.consumed_at is None]
    if kind is StepKind.SIGNAL:
        past = [each for place, each in model.past.items() if place[:2] == (run.id, step.slug)]
        done = sum(each.status is StepStatus.COMPLETED for each in (*past, step))
        assert len(consumed) == done, "I23, I27: a signal is consumed once, in one generation"
    assert step.status is not StepStatus.SUSPENDED or not kept, "I23: a step that waits takes what is kept for it"
    assert len(kept) <= 1, "one signal is kept at most"
    for signal in consumed:
        outputs = [output for key, output in model.outputs.items() if key[:2] == (run.id, step.slug)]
        assert signal.payload in outputs, "the payload is the output"


def check_deadline(model: Model, plan: Plan, run: RunRow) -> None:
    """A run that is at work has the deadline that its claim gave it; another one has none."""
    timeout_s = plan.run_timeout_s
    if run.status is RunStatus.RUNNING and timeout_s is not None:
        assert run.deadline_at == model.claimed_at[run.id] + timedelta(seconds=timeout_s)
    else:
        assert run.deadline_at is None


def expected_reception(model: Model, plan: Plan, command: SendSignal) -> object:
    """What should be done with a signal, told by the model's rows: a `Reception`, or the class of the refusal."""
    run = model.runs[command.run_id]
    known = model.signals.get((run.id, command.step, command.key))
    if known is not None:
        row = model.steps.get((run.id, command.step))
        if known.consumed_at is not None and row is not None and row.status in WITHOUT_ANSWER:
            return SignalSpent
        return Reception.REPEATED if known.request_digest == command.digest else SignalConflict
    if run.status in TERMINAL_RUN:
        return SignalNotAwaited
    if getattr(plan.steps.get(command.step), "kind", None) is not StepKind.SIGNAL:
        return NotASignal
    step = model.steps.get((run.id, command.step))
    tasks = [] if step is None else model.tasks_of(step)
    if any(task.status is TaskStatus.SUSPENDED for task in tasks):
        return Reception.DELIVER
    if tasks or (step is not None and step.status in TERMINAL_STEP):
        return SignalNotAwaited
    return SignalWaiting if any(signal.step == command.step for signal in model.kept(run.id)) else Reception.KEEP
