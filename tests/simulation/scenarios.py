"""Small flows that between them use every rule, with what must come out of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from fairlead.kernel import Context, Flow, GiveUp, RunStatus, Suspend
from fairlead.kernel.references import INLINE_BYTES_MAX

LONG_S = 45.0
"""How long some handlers take: longer than a lease, so that heartbeats matter, and shorter than their timeout."""


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
    flow: Callable[[], Flow[Any]]
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    """The output of each run by key; the reason of a run that fails. None where chance decides it."""
    status: RunStatus = RunStatus.COMPLETED
    cancelled_after_s: Mapping[str, float] = field(factory=dict[str, float])
    """When some of the runs are cancelled, by key; the others, and those that end before that, end as expected."""
    retried: Mapping[str, str] = field(factory=dict[str, str])
    """Of which step what failed is retried once a run has ended, by key; then it ends as expected."""
    agree: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether the recorded outputs of the steps fit each other, by step."""
    annotated: Mapping[str, Any] = field(factory=dict[str, Any])
    """What each run is annotated with in the end."""
    signals: tuple[Signal, ...] = ()
    """Each is answered with that it was taken, by its step or to be kept for it."""
    inline_bytes_max: int = INLINE_BYTES_MAX
    """The largest payload that stands in its row."""


def _chain() -> Flow[Any]:
    flow = Flow("chain", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def first(input: int) -> int:
        return input + 1

    @flow.step
    async def second(first: int) -> int:
        await asyncio.sleep(LONG_S)
        return first * 10

    @flow.step(start_delay=5)
    async def third(second: int, input: int) -> list[int]:
        return [second, input]

    return flow


def _fan() -> Flow[Any]:
    flow = Flow("fan", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def numbers(input: int) -> list[int]:
        return list(range(input))

    @flow.map(over=numbers, max_concurrency=2)
    async def double(item: int) -> int:
        return item * 2

    @flow.map(over=double)
    async def succeed(item: int) -> int:
        return item + 1

    @flow.step
    async def total(succeed: list[int], numbers: list[int]) -> int:
        return sum(succeed) + len(numbers)

    return flow


def _shaky() -> Flow[Any]:
    flow = Flow("shaky", version=1, max_attempts=20, base_delay=1, jitter=0)

    @flow.map(over="input")
    async def each(item: int, ctx: Context) -> int:
        if ctx.attempt < 3 and item % 2:
            raise RuntimeError("not yet")
        return item

    @flow.step
    async def total(each: list[int]) -> int:
        return sum(each)

    return flow


def _doomed() -> Flow[Any]:
    flow = Flow("doomed", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def beside() -> int:
        return 1

    @flow.step
    async def fails() -> int:
        raise GiveUp("never")

    @flow.step
    async def after(fails: int, beside: int) -> int:
        raise AssertionError("a step behind a failed one must not run")

    return flow


def _choosy() -> Flow[Any]:
    flow = Flow("choosy", version=1, max_attempts=20, base_delay=1)

    @flow.map(over="input", tolerate_failures=2, max_concurrency=2)
    async def read(item: int) -> int:
        if item < 0:
            raise GiveUp("unreadable")
        return item

    @flow.map(over=read, max_concurrency=2)
    async def double(item: int) -> int:
        return item * 2

    @flow.map(over=double, tolerate_failures=0.1, on_exhausted="skip")
    async def polish(item: int) -> int:
        if item > 4:
            raise GiveUp("too large")
        return item

    many = flow.branch(when={"double": [6]})

    @many.step
    async def report(double: list[int | None]) -> list[int | None]:
        return double

    @many.otherwise().step
    async def apologise() -> str:
        return "sorry"

    @flow.step
    async def close(report: list[int | None] | None, apologise: str | None, polish: list[int | None]) -> list[Any]:
        return [report, apologise, len(polish)]

    return flow


def _large() -> Flow[Any]:
    flow = Flow("large", version=1, max_attempts=20, base_delay=1, input=list[str])

    @flow.map(over="input")
    async def twice(item: str) -> str:
        return item * 2

    @flow.step
    async def made(twice: AsyncIterable[str]) -> AsyncIterable[str]:

        async def each() -> AsyncIterator[str]:
            async for word in twice:
                yield word.upper()

        return each()

    @flow.map(over=made)
    async def length(item: str) -> int:
        return len(item)

    @flow.step
    async def total(length: list[int], made: list[str]) -> str:
        return f"{sum(length)} in {'-'.join(made)}"

    return flow


def _mended() -> Flow[Any]:
    flow = Flow("mended", version=1, max_attempts=20, base_delay=1)

    @flow.map(over="input", tolerate_failures="all", max_concurrency=2)
    async def read(item: int, ctx: Context) -> list[int]:
        generation = int(ctx.idempotency_key.split("/")[2])
        if item % 2 and generation == 1:
            raise GiveUp("torn")
        return [item, generation]

    @flow.map(over=read)
    async def bind(item: list[int], ctx: Context) -> list[int]:
        return [*item, int(ctx.idempotency_key.split("/")[2])]

    return flow


def _once() -> Flow[Any]:
    flow = Flow("once", version=1, max_attempts=1)

    @flow.map(over="input")
    async def each(item: int) -> int:
        return item

    @flow.step(start_delay=5)
    async def late(each: list[int]) -> int:
        return sum(each)

    @flow.step
    async def last(late: int) -> int:
        return late * 10

    return flow


def _patient() -> Flow[Any]:
    flow = Flow("patient", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def compute(input: int) -> int | Suspend[list[int]]:
        return Suspend(state=[input], check_after=30, give_up_after=100_000)

    @flow.check(compute)
    async def look(state: list[int]) -> int | Suspend[list[int]]:
        if len(state) < 2:
            return Suspend(state=[*state, 3], check_after=5)
        return sum(state)

    approval = flow.signal("approval", int, timeout=100_000)
    pause = flow.sleep("pause", 20)

    @flow.step(after=[pause])
    async def close(compute: int, approval: int) -> list[int]:
        return [compute, approval]

    flow.signal("confirmed", int, after=[approval])

    @flow.step
    async def last(close: list[int], confirmed: int) -> list[int]:
        return [*close, confirmed]

    return flow


def _late() -> Flow[Any]:
    flow = Flow("late", version=1, max_attempts=20, base_delay=1)

    @flow.step(on_exhausted="skip")
    async def hopeless() -> int | Suspend[None]:
        return Suspend(state=None, check_after=30, give_up_after=90)

    @flow.check(hopeless)
    async def look(state: None) -> int | Suspend[None]:
        return Suspend(state=None, check_after=50)

    flow.signal("approval", int, timeout=70, on_timeout="skip")
    flow.signal("second", int, timeout=10, on_timeout="skip_cascade")

    @flow.step(after=["second"])
    async def never() -> int:
        raise AssertionError("it is skipped with what it waits for")

    @flow.step
    async def close(approval: int | None, hopeless: int | None) -> list[int | None]:
        return [approval, hopeless]

    return flow


def _overdue() -> Flow[Any]:
    flow = Flow("overdue", version=1, max_attempts=20, base_delay=1, run_timeout=70)

    @flow.step
    async def quick() -> int:
        return 1

    pause = flow.sleep("pause", 1_000_000)

    @flow.step(after=[pause])
    async def never(quick: int) -> int:
        raise AssertionError("its run has ended by then")

    return flow


def _fickle() -> Flow[Any]:
    flow = Flow("fickle", version=1, max_attempts=20, base_delay=1)

    @flow.step
    async def draw(input: int, ctx: Context) -> list[str]:
        await asyncio.sleep(LONG_S)
        return [f"{number}, drawn by attempt {ctx.attempt}" for number in range(input)]

    @flow.map(over=draw, start_delay=90)
    async def copy(item: str) -> str:
        await asyncio.sleep(1)
        return item

    return flow


def _noting() -> Flow[Any]:
    flow = Flow("noting", version=1, max_attempts=20, base_delay=1, input=int)

    @flow.step
    def lines(input: int, ctx: Context) -> Iterable[str]:
        def each() -> Iterator[str]:
            for number in range(input):
                ctx.progress(number, input)
                yield f"line {number}"

        ctx.log("reads", count=input)
        return each()

    @flow.map(over=lines, max_concurrency=2)
    async def measure(item: str, ctx: Context) -> int:
        ctx.log("measures", line=item)
        await asyncio.sleep(3)
        ctx.progress(1, 1, item)
        ctx.annotate(**{item.replace(" ", "_"): len(item)})
        return len(item)

    @flow.step
    def total(measure: Iterable[int], lines: Iterable[str], ctx: Context) -> list[Any]:
        async def looked_up() -> int:
            await asyncio.sleep(2)
            return 100

        first = ctx.wait_for(looked_up())
        ctx.annotate(total=True)
        return [first + sum(measure), "".join(lines)]

    @flow.step
    def last(total: list[Any], ctx: Context) -> list[Any]:
        ctx.log("ends")
        return total

    return flow


ONCE = Scenario(
    name="once",
    flow=_once,
    inputs={"a": [1, 2, 3], "none": []},
    expected={"a": {"last": 60}, "none": {"last": 0}},
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
    Scenario(
        name="fickle",
        flow=_fickle,
        inputs={"a": 4},
        expected={},
        agree=lambda outputs: outputs["copy"] == outputs["draw"],
    ),
    Scenario(
        name="noting",
        flow=_noting,
        inputs={"a": 3},
        expected={"a": {"last": [118, "line 0line 1line 2"]}},
        annotated={"line_0": 6, "line_1": 6, "line_2": 6, "total": True},
    ),
    Scenario(name="overdue", flow=_overdue, inputs={"a": None}, expected={"a": "timed_out"}, status=RunStatus.FAILED),
)
