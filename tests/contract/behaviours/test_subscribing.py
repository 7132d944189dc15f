"""Subscribers: who is called for what, how often, and who holds up whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import EventRecord, Flow, InvalidArgument, Kernel, KernelInUse, LimitExceeded
from fairlead.kernel.events import EventLost, RunCompleted, decode_published
from fairlead.ports import Ports
from fairlead.ports.outbox import SINKS_MAX
from tests.support.flushing import PATIENCE, flush, single
from tests.support.hands import Hands


@pytest.fixture
async def silent(world: Ports) -> Ports:
    """The ports without a sink of their own."""
    return evolve(world, sink=None)


def heed(event: EventRecord) -> None:
    """A subscriber with a name."""


async def complete(kernel: Kernel, count: int = 1) -> list[str]:
    """So many runs that have completed."""
    runs = [(await kernel.start("single", None)).id for _ in range(count)]
    await Hands(kernel).drain(1)
    return runs


async def test_a_subscriber_is_called_for_its_types_in_order(silent: Ports) -> None:
    """Of each run, in sequence; async in the loop, plain in a thread."""
    kernel = Kernel(flows=[single()], ports=silent)
    heard: list[tuple[str, str]] = []
    threads: list[str] = []

    async def ends(event: EventRecord) -> None:
        assert isinstance(decode_published(event), RunCompleted)
        heard.append(("ends", event.type))

    def steps(event: EventRecord) -> None:
        heard.append(("steps", event.type))
        threads.append(threading.current_thread().name)

    kernel.subscribe("run.completed", ends, name="ends")
    kernel.subscribe(["step.started", "step.completed"], steps, name="steps")
    await complete(kernel)
    for name in ("ends", "steps"):
        assert (await flush(kernel, name)).published == 5
        assert (await flush(kernel, name)).idle

    assert heard == [("ends", "run.completed"), ("steps", "step.started"), ("steps", "step.completed")]
    assert threading.current_thread().name not in threads


@pytest.mark.fault(75)
async def test_a_failing_subscriber_repeats_nothing_to_others(silent: Ports, clock: ManualClock) -> None:
    """It alone is told again, from the event that it failed at; what it had done before is not done again."""
    kernel = Kernel(flows=[single()], ports=evolve(silent, sink={"audit": (audit := CollectingSink())}))
    failing = True
    heard: list[str] = []

    async def mail(event: EventRecord) -> None:
        if failing and event.type == "step.completed":
            raise ConnectionError("the mail server is down")
        heard.append(event.type)

    kernel.subscribe("*", mail, name="mail")
    (run_id,) = await complete(kernel)
    for _ in range(3):
        for name in ("audit", "mail"):
            await flush(kernel, name)
        clock.advance(10)
    assert heard == ["run.created", "run.started", "step.started"]
    failing = False
    await flush(kernel, "mail")

    assert heard == ["run.created", "run.started", "step.started", "step.completed", "run.completed"]
    assert [event.sequence for event in audit.of_run(run_id)] == [1, 2, 3, 4, 5]


@pytest.mark.fault(75)
async def test_a_hanging_subscriber_holds_up_only_itself(silent: Ports, clock: ManualClock) -> None:
    """Others are called meanwhile, in the same process; a plain function that hangs keeps one thread."""
    kernel = Kernel(flows=[single()], ports=silent)
    goes_on = threading.Event()
    counted: list[str] = []

    def hangs(event: EventRecord) -> None:
        goes_on.wait(30)

    async def count(event: EventRecord) -> None:
        counted.append(event.type)

    kernel.subscribe("run.completed", hangs, name="hangs")
    kernel.subscribe("run.completed", count, name="count")
    await complete(kernel, 3)
    hanging = asyncio.ensure_future(flush(kernel, "hangs", patience=PATIENCE))
    counting = await flush(kernel, "count")
    held = await hanging
    assert counting.published == 15
    assert counted == ["run.completed"] * 3
    assert (held.stuck, len(held.held_back)) == (True, 1)

    goes_on.set()
    for _ in range(20):
        await asyncio.sleep(0.01)
        clock.advance(2)
        await flush(kernel, "hangs")
    assert [(sink.name, sink.waiting) for sink in await kernel.sinks()] == [("count", 0), ("hangs", 0)]


async def test_events_are_kept_for_the_subscriber_of_another_process(silent: Ports) -> None:
    """A process without the subscriber starts and completes runs; the one that has it is told of them."""
    heard: list[str] = []

    async def hear(event: EventRecord) -> None:
        heard.append(event.run_id)

    flow = single()
    kernel = Kernel(flows=[flow], ports=silent)
    kernel.subscribe("run.completed", hear, name="hear")
    await kernel.register()
    runs = await complete(Kernel(flows=[flow], ports=silent), 3)
    while not (await flush(kernel, "hear")).idle:
        pass

    assert sorted(heard) == sorted(runs)


async def test_a_loss_is_told_to_who_asks_for_it(
    silent: Ports,
) -> None:
    """Under the number of the lost event, with its type; others just go on."""
    kernel = Kernel(flows=[single()], ports=silent)
    heard: dict[str, list[Any]] = {"asks": [], "does not": []}

    def hear(name: str) -> Callable[[EventRecord], None]:
        def heard_by(event: EventRecord) -> None:
            if event.type == "step.started":
                raise ValueError("not this one")
            heard[name].append((event.sequence, event.type, decode_published(event)))

        return heard_by

    types = ["step.started", "step.completed"]
    kernel.subscribe([*types, "event.lost"], hear("asks"), name="asks", max_attempts=1)
    kernel.subscribe(types, hear("does not"), name="does not", max_attempts=1)
    await complete(kernel)
    for _ in range(4):
        for name in heard:
            await flush(kernel, name)

    lost = EventLost(lost="step.started", step="work")
    assert [each[:2] for each in heard["asks"]] == [(3, "event.lost"), (4, "step.completed")]
    assert heard["asks"][0][2] == lost
    assert [each[:2] for each in heard["does not"]] == [(4, "step.completed")]


async def test_subscribing_comes_before_the_first_use(silent: Ports) -> None:
    """Later is an error that says so, whatever the kernel was used for."""
    kernel = Kernel(flows=[single()], ports=silent)
    await kernel.start("single", None)

    with pytest.raises(KernelInUse, match="subscribe before the kernel is first used"):
        kernel.subscribe("run.completed", print, name="late")


@pytest.mark.parametrize(
    ("types", "handler", "name", "said"),
    [
        ("run.complete", print, "a", "did you mean 'run.completed'"),
        ([], print, "a", "at least one type"),
        ("*", "print", "a", "a function that takes an event"),
        ("*", partial(heed), None, "pass name="),
        ("*", print, "", "printable text of 1 to 128 characters"),
        ("*", print, "a\nb", "printable text of 1 to 128 characters"),
        ("*", print, "taken", "the kernel has the sinks taken"),
    ],
)
async def test_what_is_wrong_is_said_at_once(silent: Ports, types: Any, handler: Any, name: Any, said: str) -> None:
    """Before anything is stored."""
    kernel = Kernel(flows=[single()], ports=silent)
    kernel.subscribe("*", print, name="taken")

    with pytest.raises(InvalidArgument, match=said):
        kernel.subscribe(types, handler, name=name)


@pytest.mark.parametrize("count", [0, -1, True, 2.0, "3", None])
async def test_attempts_are_counted_from_one_on(silent: Ports, count: Any) -> None:
    """Anything else is refused where it is said."""
    with pytest.raises(InvalidArgument, match="max_attempts must be a whole number from 1 on"):
        Kernel(flows=[single()], ports=silent).subscribe("*", print, name="a", max_attempts=count)


async def test_a_function_has_a_name_of_its_own(silent: Ports) -> None:
    """Its module and qualified name."""
    kernel = Kernel(flows=[single()], ports=silent)
    kernel.subscribe("*", heed)

    assert kernel.sink_names == (f"{__name__}.heed",)


async def test_too_many_sinks_are_refused(silent: Ports) -> None:
    """By the first use, with the limit; nothing was started."""
    flow: Flow[Any] = single()
    kernel = Kernel(flows=[flow], ports=silent)
    for number in range(SINKS_MAX + 1):
        kernel.subscribe("*", print, name=f"sink-{number}")

    with pytest.raises(LimitExceeded, match="sinks of one store"):
        await kernel.start(flow, None)
    assert (await kernel.runs()).runs == []
