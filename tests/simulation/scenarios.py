"""Small flows that between them use every rule, with what must come out of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Any

from attrs import field, frozen

from fairlead.kernel import CancelledRun, Context, Flow, GiveUp, RunStatus, Suspend
from fairlead.kernel.commands import SentSignal
from fairlead.kernel.references import INLINE_BYTES_MAX

LONG_S = 45.0
"""How long some handlers take: longer than a lease, so that heartbeats matter, and shorter than their timeout."""


@frozen
class Ledger:
    """What really happened, kept outside all faults."""

    executions: Counter[str] = field(factory=Counter[str])
    """How often each task's handler was called, by task id."""
    acknowledged: dict[str, str] = field(factory=dict[str, str])
    """The run ids that clients were told, by key."""
    cancelled: dict[str, CancelledRun] = field(factory=dict[str, CancelledRun])
    """What clients were told who cancelled a run, by key."""
    retried: set[str] = field(factory=set[str])
    """The keys of runs whose clients know that they have been retried."""
    signals: dict[Signal, SentSignal] = field(factory=dict["Signal", SentSignal])
    """What clients were told who sent a signal."""

    def enter(self, ctx: Context) -> None:
        """A handler was called."""
        self.executions[ctx.idempotency_key] += 1


@frozen
class Signal:
    """A signal that a client sends."""

    key: str
    """Of the run."""
    step: str
    payload: int
    after_s: float


@frozen(kw_only=True)
class Scenario:
    """A flow, its inputs by key, and how each run must end."""

    name: str
    flow: Callable[[Ledger], Flow[Any]]
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    """The output of each run by key; the name of an exception class for a run that fails."""
    status: RunStatus = RunStatus.COMPLETED
    cancelled_after_s: Mapping[str, float] = field(factory=dict[str, float])
    """When some of the runs are cancelled, by key; the others, and those that end before that, end as expected."""
    retried: Mapping[str, str] = field(factory=dict[str, str])
    """Of which step what failed is retried once a run has ended, by key; then it ends as expected."""
    signals: tuple[Signal, ...] = ()
    """Each is answered with that it was taken, by its step or to be kept for it."""
    max_attempts: int = 20
    """More than any scenario strikes, so that a handler's own failures decide how a run ends."""
    inline_bytes_max: int = INLINE_BYTES_MAX
    """The largest payload that stands in its row."""


def _chain(ledger: Ledger) -> Flow[Any]:
    flow = Flow("chain", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def first(input: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return input + 1

    @flow.step
    async def second(first: int, ctx: Context) -> int:
        ledger.enter(ctx)
        await asyncio.sleep(LONG_S)
        return first * 10

    @flow.step(start_delay=5)
    async def third(second: int, input: int, ctx: Context) -> list[int]:
        ledger.enter(ctx)
        return [second, input]

    return flow


def _fan(ledger: Ledger) -> Flow[Any]:
    flow = Flow("fan", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def numbers(input: int, ctx: Context) -> list[int]:
        ledger.enter(ctx)
        return list(range(input))

    @flow.map(over=numbers, max_concurrency=2)
    async def double(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return item * 2

    @flow.map(over=double)
    async def succeed(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return item + 1

    @flow.step
    async def total(succeed: list[int], numbers: list[int], ctx: Context) -> int:
        ledger.enter(ctx)
        return sum(succeed) + len(numbers)

    return flow


def _shaky(ledger: Ledger) -> Flow[Any]:
    flow = Flow("shaky", version=1, max_attempts=20, base_delay=1, jitter=0)

    @flow.map(over="input")
    async def each(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        if ctx.attempt < 3 and item % 2:
            raise RuntimeError("not yet")
        return item

    @flow.step
    async def total(each: list[int], ctx: Context) -> int:
        ledger.enter(ctx)
        return sum(each)

    return flow


def _doomed(ledger: Ledger) -> Flow[Any]:
    flow = Flow("doomed", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def beside(ctx: Context) -> int:
        ledger.enter(ctx)
        return 1

    @flow.step
    async def fails(ctx: Context) -> int:
        ledger.enter(ctx)
        raise GiveUp("never")

    @flow.step
    async def after(fails: int, beside: int) -> int:
        raise AssertionError("a step behind a failed one must not run")

    return flow


def _choosy(ledger: Ledger) -> Flow[Any]:
    flow = Flow("choosy", version=1, max_attempts=20, base_delay=1)

    @flow.map(over="input", tolerate_failures=2, max_concurrency=2)
    async def read(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        if item < 0:
            raise GiveUp("unreadable")
        return item

    @flow.map(over=read, max_concurrency=2)
    async def double(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return item * 2

    @flow.map(over=double, tolerate_failures=0.1, on_exhausted="skip")
    async def polish(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        if item > 4:
            raise GiveUp("too large")
        return item

    many = flow.branch(when={"double": [6]})

    @many.step
    async def report(double: list[int | None], ctx: Context) -> list[int | None]:
        ledger.enter(ctx)
        return double

    @many.otherwise().step
    async def apologise(ctx: Context) -> str:
        ledger.enter(ctx)
        return "sorry"

    @flow.step
    async def close(
        report: list[int | None] | None, apologise: str | None, polish: list[int | None], ctx: Context
    ) -> list[Any]:
        ledger.enter(ctx)
        return [report, apologise, len(polish)]

    return flow


def _large(ledger: Ledger) -> Flow[Any]:
    flow = Flow("large", version=1, max_attempts=20, base_delay=1, input=list[str])

    @flow.map(over="input")
    async def twice(item: str, ctx: Context) -> str:
        ledger.enter(ctx)
        return item * 2

    @flow.step
    async def made(twice: AsyncIterable[str], ctx: Context) -> AsyncIterable[str]:
        ledger.enter(ctx)

        async def each() -> AsyncIterator[str]:
            async for word in twice:
                yield word.upper()

        return each()

    @flow.map(over=made)
    async def length(item: str, ctx: Context) -> int:
        ledger.enter(ctx)
        return len(item)

    @flow.step
    async def total(length: list[int], made: list[str], ctx: Context) -> str:
        ledger.enter(ctx)
        return f"{sum(length)} in {'-'.join(made)}"

    return flow


def _mended(ledger: Ledger) -> Flow[Any]:
    flow = Flow("mended", version=1, max_attempts=20, base_delay=1)

    @flow.map(over="input", tolerate_failures="all", max_concurrency=2)
    async def read(item: int, ctx: Context) -> list[int]:
        ledger.enter(ctx)
        generation = int(ctx.idempotency_key.split("/")[2])
        if item % 2 and generation == 1:
            raise GiveUp("torn")
        return [item, generation]

    @flow.map(over=read)
    async def bind(item: list[int], ctx: Context) -> list[int]:
        ledger.enter(ctx)
        return [*item, int(ctx.idempotency_key.split("/")[2])]

    return flow


def _once(ledger: Ledger) -> Flow[Any]:
    flow = Flow("once", version=1, max_attempts=1)

    @flow.map(over="input")
    async def each(item: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return item

    @flow.step(start_delay=5)
    async def late(each: list[int], ctx: Context) -> int:
        ledger.enter(ctx)
        return sum(each)

    @flow.step
    async def last(late: int, ctx: Context) -> int:
        ledger.enter(ctx)
        return late * 10

    return flow


def _patient(ledger: Ledger) -> Flow[Any]:
    flow = Flow("patient", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def compute(input: int, ctx: Context) -> int | Suspend[list[int]]:
        ledger.enter(ctx)
        return Suspend(state=[input], check_after=30, give_up_after=100_000)

    @flow.check(compute)
    async def look(state: list[int], ctx: Context) -> int | Suspend[list[int]]:
        ledger.enter(ctx)
        if len(state) < 2:
            return Suspend(state=[*state, 3], check_after=5)
        return sum(state)

    approval = flow.signal("approval", int, timeout=100_000)
    pause = flow.sleep("pause", 20)

    @flow.step(after=[pause])
    async def close(compute: int, approval: int, ctx: Context) -> list[int]:
        ledger.enter(ctx)
        return [compute, approval]

    flow.signal("confirmed", int, after=[approval])

    @flow.step
    async def last(close: list[int], confirmed: int, ctx: Context) -> list[int]:
        ledger.enter(ctx)
        return [*close, confirmed]

    return flow


def _late(ledger: Ledger) -> Flow[Any]:
    flow = Flow("late", version=1, max_attempts=20, base_delay=1)

    @flow.step(on_exhausted="skip")
    async def hopeless(ctx: Context) -> int | Suspend[None]:
        ledger.enter(ctx)
        return Suspend(state=None, check_after=30, give_up_after=90)

    @flow.check(hopeless)
    async def look(state: None, ctx: Context) -> int | Suspend[None]:
        ledger.enter(ctx)
        return Suspend(state=None, check_after=50)

    flow.signal("approval", int, timeout=70, on_timeout="skip")
    flow.signal("second", int, timeout=10, on_timeout="skip_cascade")

    @flow.step(after=["second"])
    async def never(ctx: Context) -> int:
        raise AssertionError("it is skipped with what it waits for")

    @flow.step
    async def close(approval: int | None, hopeless: int | None, ctx: Context) -> list[int | None]:
        ledger.enter(ctx)
        return [approval, hopeless]

    return flow


def _overdue(ledger: Ledger) -> Flow[Any]:
    flow = Flow("overdue", version=1, max_attempts=20, base_delay=1, run_timeout=70)

    @flow.step
    async def quick(ctx: Context) -> int:
        ledger.enter(ctx)
        return 1

    pause = flow.sleep("pause", 1_000_000)

    @flow.step(after=[pause])
    async def never(quick: int) -> int:
        raise AssertionError("its run has ended by then")

    return flow


ONCE = Scenario(
    name="once",
    flow=_once,
    inputs={"a": [1, 2, 3], "none": []},
    expected={"a": {"last": 60}, "none": {"last": 0}},
    max_attempts=1,
)
"""A single attempt per task: an attempt that is lost fails the run."""

SCENARIOS = (
    Scenario(
        name="chain",
        flow=_chain,
        inputs={"a": 1, "b": 5},
        expected={"a": {"third": [20, 1]}, "b": {"third": [60, 5]}},
    ),
    Scenario(
        name="cancelled",
        flow=_chain,
        inputs={"running": 1, "waiting": 2},
        expected={"running": {"third": [20, 1]}, "waiting": {"third": [30, 2]}},
        cancelled_after_s={"running": 20, "waiting": LONG_S + 3},
    ),
    Scenario(name="fan", flow=_fan, inputs={"a": 3, "none": 0}, expected={"a": {"total": 12}, "none": {"total": 0}}),
    Scenario(name="shaky", flow=_shaky, inputs={"a": [1, 2, 3]}, expected={"a": {"total": 6}}),
    Scenario(
        name="large",
        flow=_large,
        inputs={"a": ["first word", "second word"]},
        expected={"a": {"total": "42 in FIRST WORDFIRST WORD-SECOND WORDSECOND WORD"}},
        inline_bytes_max=10,
    ),
    Scenario(
        name="doomed",
        flow=_doomed,
        inputs={"a": None},
        expected={"a": "handler_failed"},
        status=RunStatus.FAILED,
    ),
    Scenario(
        name="choosy",
        flow=_choosy,
        inputs={"a": [1, -1, 2, 3, -2], "b": [-1, 1]},
        expected={"a": {"close": [[2, None, 4, 6, None], None, 0]}, "b": {"close": [None, "sorry", 2]}},
    ),
    Scenario(
        name="patient",
        flow=_patient,
        inputs={"a": 5},
        expected={"a": {"last": [8, 1, 2]}},
        signals=(Signal("a", "approval", 1, after_s=0), Signal("a", "confirmed", 2, after_s=100)),
        inline_bytes_max=5,
    ),
    Scenario(
        name="mended",
        flow=_mended,
        inputs={"a": [0, 1, 2]},
        expected={"a": {"bind": [[0, 1, 2], [1, 2, 2], [2, 1, 2]]}},
        retried={"a": "read"},
        inline_bytes_max=10,
    ),
    Scenario(name="late", flow=_late, inputs={"a": None}, expected={"a": {"close": [None, None]}}),
    Scenario(name="overdue", flow=_overdue, inputs={"a": None}, expected={"a": "timed_out"}, status=RunStatus.FAILED),
)
