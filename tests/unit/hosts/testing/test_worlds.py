"""A test's world: in any thread, for one call at a time, with an end that leaves nothing; what hangs is reported."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import warnings
from collections.abc import Generator
from datetime import datetime
from typing import Any

import pytest

from fairlead.hosts.errors import HostOptionError
from fairlead.hosts.testing import (
    Blocking,
    Deadlock,
    FlowTest,
    FlowTestInUse,
    FlowTestOver,
    LeftBehind,
    NotEndedInTime,
    RealTimeLimit,
)
from fairlead.kernel import Context, Flow, Suspend
from tests.support.tested_flows import FakePayments, Payment, charge, fulfil, order, reserve


@pytest.fixture
def released() -> Generator[threading.Event]:
    """Set when the test is over: what hangs in it goes on then."""
    event = threading.Event()
    yield event
    event.set()


def _flow(handler: Any, **options: Any) -> Flow[Any]:
    flow: Flow[Any] = Flow("tested", version=1, **options)
    flow.step(slug="step")(handler)
    return flow


async def test_an_async_test_uses_it_as_a_plain_one_does(flow_test: FlowTest) -> None:
    """Though a loop runs in its thread, which stands still meanwhile and goes on afterwards."""
    loop = asyncio.get_running_loop()

    run = flow_test.run(fulfil, order, resources={"payments": FakePayments(failures=1)})

    assert run.status == "completed"
    assert asyncio.get_running_loop() is loop
    await asyncio.sleep(0)


def test_nothing_is_left_of_it() -> None:
    """No thread, whatever the handlers were."""
    before = set(threading.enumerate())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with FlowTest() as flow_test:
            flow_test.run(fulfil, order, resources={"payments": FakePayments()})
            flow_test.start(fulfil, order, resources={"payments": FakePayments()})

    assert set(threading.enumerate()) <= before


def test_worlds_know_nothing_of_each_other() -> None:
    """Each has its own store and time."""
    with FlowTest() as one, FlowTest() as other:
        one.run(fulfil, order, stub={charge: Payment("paid")})
        one.advance(60)

        assert other.runs() == []
        assert (one.now - other.now).total_seconds() >= 60


def test_a_call_within_a_call_is_refused(flow_test: FlowTest) -> None:
    """Such as that of a stub, which would wait for itself."""
    problems: list[FlowTestInUse] = []

    def drives(order: object) -> Payment:
        with pytest.raises(FlowTestInUse, match=r"give it flow_test\.kernel") as caught:
            flow_test.run_until_idle()
        problems.append(caught.value)
        return Payment("paid")

    assert flow_test.run(fulfil, order, stub={charge: drives}).status == "completed"
    assert len(problems) == 1


def test_before_and_after_there_is_no_world() -> None:
    """A FlowTest is used within its block, and opened once at a time."""
    flow_test = FlowTest()
    with pytest.raises(FlowTestOver, match="is not open"):
        flow_test.run(fulfil, order)
    with flow_test:
        run = flow_test.run(fulfil, order, stub={charge: Payment("paid"), reserve: "r"})
        with pytest.raises(FlowTestOver, match="open already"):
            flow_test.__enter__()

    with pytest.raises(FlowTestOver, match="is over"):
        flow_test.run(fulfil, order)
    with pytest.raises(FlowTestOver):
        _ = run.status
    assert repr(run) == "<run of fulfil: completed>"
    with flow_test:
        assert flow_test.runs() == []


def test_options_are_checked() -> None:
    """Durations of both kinds of time, and where the virtual one begins."""
    with pytest.raises(HostOptionError, match=r"'now' must be an aware datetime.*found datetime.*2026, 1, 1"):
        FlowTest(now=datetime(2026, 1, 1))
    with pytest.raises(HostOptionError, match="real_limit"):
        FlowTest(real_limit=-1)
    with FlowTest() as flow_test:
        with pytest.raises(HostOptionError, match="duration"):
            flow_test.advance(float("nan"))
        with pytest.raises(HostOptionError, match="timeout"):
            flow_test.run(fulfil, order, timeout=-1)


def test_a_plain_handler_that_hangs_is_reported(released: threading.Event) -> None:
    """With the place where it hangs; the world is lost then."""

    def hangs(input: object) -> None:
        released.wait()

    with FlowTest(real_limit=1) as flow_test:
        with pytest.raises(RealTimeLimit, match="more than 1 real seconds") as caught:
            flow_test.run(_flow(hangs), 1)
        (where,) = caught.value.where
        assert re.fullmatch(r"step 'step', attempt 1, in .*hangs, .*\.py, line \d+: released\.wait\(\)", where)
        with pytest.raises(FlowTestOver, match="hangs"):
            flow_test.run_until_idle()


def test_an_async_handler_that_blocks_its_loop_is_reported(released: threading.Event) -> None:
    """No other code can stop it, so the test goes on without it."""

    async def blocks(input: object) -> None:
        released.wait()

    with FlowTest(real_limit=1) as flow_test, pytest.raises(RealTimeLimit, match=r"step 'step'.*blocks.*wait"):
        flow_test.run(_flow(blocks), 1)


def test_a_handler_that_never_lets_time_pass_is_reported() -> None:
    """It goes round and round at one moment, so no timeout strikes; the world goes on after it."""
    over = threading.Event()

    async def spins(input: object) -> None:
        turns = 0
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)

    with FlowTest(real_limit=1) as flow_test:
        with pytest.raises(RealTimeLimit, match=r"step with flow-test-1.*attempt 1(.|\n)*in .*spins"):
            flow_test.run(_flow(spins), 1)
        over.set()
        (run,) = flow_test.runs()
        assert run.wait().status == "completed"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_that_takes_real_time_is_warned_of(flow_test: FlowTest, is_async: bool) -> None:
    """Once, by step and line: virtual time does not pass where `time.sleep` waits."""

    def sleeps(input: object) -> None:
        time.sleep(3.5)

    async def sleeps_in_the_loop(input: object) -> None:
        time.sleep(3.5)  # noqa: ASYNC251

    with pytest.warns(Blocking, match=r"step 'step', attempt 1, in .*sleeps.*time\.sleep\(3\.5\)") as warned:
        run = flow_test.run(_flow(sleeps_in_the_loop if is_async else sleeps), 1)

    assert run.status == "completed"
    assert [each.filename for each in warned] == [__file__]


def test_a_handler_that_was_stopped_tells_where_it_waited(flow_test: FlowTest) -> None:
    """Its attempt and the report name the line; so does a run that has not ended."""

    async def waits(input: object) -> None:
        await asyncio.Event().wait()

    line = r"waits, .*test_worlds\.py, line \d+: await asyncio\.Event\(\)\.wait\(\)"
    with pytest.raises(NotEndedInTime, match=f"run.wait.*(.|\n)*in .*{line}"):
        flow_test.run(_flow(waits, max_attempts=1), 1, timeout=5)
    (run,) = flow_test.runs()

    assert run.wait().reason == "timed_out"

    assert re.search(line, run.attempts[0].place or "")
    assert re.search(f"attempt 1: timed_out, StepTimeout.*; in .*{line}", flow_test.report())


def test_what_goes_on_without_end_is_reported() -> None:
    """A check that never finds anything would be repeated for ever; the error says what the run waits for."""
    flow: Flow[Any] = Flow("endless", version=1)

    @flow.step
    def waits(input: int) -> int | Suspend[int]:
        return Suspend(state=0, check_after=1)

    @flow.check(waits)
    def is_ready(state: int) -> int | Suspend[int]:
        return Suspend(state=0, check_after=1)

    with FlowTest(real_limit=1) as flow_test, pytest.raises(RealTimeLimit, match="waits waits for outside work"):
        flow_test.run(flow, 1)


def test_a_coroutine_that_waits_for_nobody_is_a_deadlock(flow_test: FlowTest) -> None:
    """It says who waits, and where."""

    async def waits() -> None:
        await asyncio.Event().wait()

    flow_test.use(fulfil)
    with pytest.raises(Deadlock, match="waits"):
        flow_test.call(waits())
    with FlowTest() as empty, pytest.raises(Deadlock):
        empty.call(waits())


def test_a_coroutine_may_take_its_virtual_time(flow_test: FlowTest) -> None:
    """Its sleeps pass at once, and its errors are raised."""

    async def sleeps() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    async def fails() -> None:
        raise LookupError("here")

    wrong: Any = sleeps
    assert flow_test.call(sleeps()) == pytest.approx(3600)
    with pytest.raises(HostOptionError, match=r"a coroutine, as flow_test\.kernel\.doctor\(\) makes one; found"):
        flow_test.call(wrong)
    with pytest.raises(LookupError, match="here"):
        flow_test.call(fails())


def test_tasks_that_handlers_leave_behind_are_warned_of() -> None:
    """By name and place; they are cancelled."""
    ended: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append("lingers")

    tasks: list[asyncio.Task[None]] = []

    async def leaves(input: object) -> None:
        tasks.append(asyncio.create_task(lingers(), name="straggler"))

    with pytest.warns(LeftBehind, match=r"task straggler in .*lingers"), FlowTest() as flow_test:
        assert flow_test.run(_flow(leaves), 1).status == "completed"

    assert ended == ["lingers"]


def test_what_is_left_behind_is_named_though_no_handler_wrote_it() -> None:
    """A task of asyncio's own code, by its coroutine."""
    tasks: list[asyncio.Task[Any]] = []

    async def leaves(input: object) -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait(), name="straggler"))

    with pytest.warns(LeftBehind, match=r"task straggler in Event\.wait"), FlowTest() as flow_test:
        flow_test.run(_flow(leaves), 1)


def test_a_thread_that_still_waits_is_freed(flow_test: FlowTest) -> None:
    """A plain handler that waits for the loop when the test ends."""

    def waits(input: object, ctx: Context) -> None:
        ctx.wait_for(asyncio.sleep(50))

    flow_test.start(_flow(waits), 1)
    flow_test.advance(1)

    assert flow_test.runs()[0].step("step").status == "running"


def test_real_time_is_not_spent() -> None:
    """A handler that sleeps for most of its time takes none."""
    began_s = time.monotonic()

    async def sleeps(input: object) -> float:
        await asyncio.sleep(3000)
        return asyncio.get_running_loop().time()

    with FlowTest() as flow_test:
        run = flow_test.run(_flow(sleeps, timeout=3600), 1)
        assert run.attempts[0].returned == pytest.approx(3000)

    assert time.monotonic() - began_s < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"now": "2026"}, "'now' must be an aware datetime.*found '2026'"),
        ({"sink": "x"}, "'sink' must be an EventSink, or several by name; found 'x'"),
        ({"sink": {"one": 3}}, "'sink' must be an EventSink, or several by name; found 3"),
    ],
)
def test_a_world_of_something_else_is_refused(options: dict[str, Any], message: str) -> None:
    """Before it is opened, with what was found."""
    with pytest.raises(HostOptionError, match=message):
        FlowTest(**options)


@pytest.mark.parametrize("option", ["stub", "signals"])
def test_what_is_given_to_steps_is_given_by_step(flow_test: FlowTest, option: str) -> None:
    """A list of steps says nothing of what each of them gets."""
    flow: Flow[Any] = Flow("empty", version=1)
    wrong: dict[str, Any] = {option: ["step"]}

    with pytest.raises(HostOptionError, match=rf"'{option}' must be a mapping, \{{step: …\}}; found \['step'\]"):
        flow_test.run(flow, **wrong)
