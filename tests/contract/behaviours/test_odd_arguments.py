"""Fault 56 beyond slugs: every argument that is text has one verdict in every adapter, and none of them is a crash."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import pytest

from fairlead.hosts.errors import HostOptionError
from fairlead.hosts.node import NodeHost
from fairlead.kernel import (
    DeadLetterFilter,
    Flow,
    FlowDefinitionError,
    InvalidAnnotations,
    InvalidArgument,
    InvalidCron,
    InvalidInput,
    InvalidSignal,
    Kernel,
    RunFilter,
    RunHandle,
    RunNotFound,
    UnknownFlow,
    UnknownZone,
)
from fairlead.ports.errors import UsageError
from tests.support.large_payloads import World
from tests.support.odd_data import Unspeakable

pytestmark = pytest.mark.fault(56)

UNPRINTABLE = ("\0", "\ud800", "a\n")
MESSAGE_LENGTH_MAX = 1_500

NO_TEXT = (5, 10**5_000, b"x", (), Unspeakable())

Call: TypeAlias = Callable[[Kernel, RunHandle, Any], Any]

REFUSALS: Mapping[str, tuple[Call, type[UsageError]]] = {
    "slug of a flow": (lambda kernel, run, odd: Flow(odd, version=1), FlowDefinitionError),
    "version of a flow": (lambda kernel, run, odd: Flow("odd", version=odd + "x"), FlowDefinitionError),
    "slug of a step": (lambda kernel, run, odd: flow_to_be().step(lambda: None, slug=odd), FlowDefinitionError),
    "slug of a signal": (lambda kernel, run, odd: flow_to_be().signal(odd, str), FlowDefinitionError),
    "queue of a step": (lambda kernel, run, odd: Flow("odd", version=1, queue=odd), FlowDefinitionError),
    "queue of a host": (lambda kernel, run, odd: NodeHost(kernel, queues=[odd]), HostOptionError),
    "worker id": (lambda kernel, run, odd: NodeHost(kernel, worker=odd), HostOptionError),
    "flow to start": (lambda kernel, run, odd: kernel.start(odd, None), UnknownFlow),
    "key of a start": (lambda kernel, run, odd: kernel.start("asking", None, key=odd), InvalidInput),
    "step with settings": (lambda kernel, run, odd: kernel.start("asking", None, config={odd: {}}), InvalidInput),
    "annotation's key": (lambda kernel, run, odd: kernel.start("asking", None, annotations={odd: 1}), InvalidInput),
    "key of a later start": (
        lambda kernel, run, odd: kernel.start_later("asking", None, after=9, key=odd),
        InvalidInput,
    ),
    "step that is answered": (lambda kernel, run, odd: run.signal(odd, "yes"), FlowDefinitionError),
    "key of a signal": (lambda kernel, run, odd: run.signal("answer", "yes", key=odd), InvalidSignal),
    "reason of a cancel": (lambda kernel, run, odd: run.cancel(reason=odd), InvalidArgument),
    "reason of a later cancel": (
        lambda kernel, run, odd: kernel.cancel_later(run.id, after=9, reason=odd),
        InvalidArgument,
    ),
    "step to rerun": (lambda kernel, run, odd: run.rerun(odd), FlowDefinitionError),
    "key of a new annotation": (lambda kernel, run, odd: run.annotate({odd: 1}), InvalidAnnotations),
    "name of a schedule": (
        lambda kernel, run, odd: kernel.schedule("asking", cron="@daily", name=odd),
        InvalidArgument,
    ),
    "schedule to find": (lambda kernel, run, odd: kernel.find_schedule(odd), InvalidArgument),
    "cron expression": (lambda kernel, run, odd: kernel.schedule("asking", cron=odd), InvalidCron),
    "time zone": (lambda kernel, run, odd: kernel.schedule("asking", cron="@daily", zone=odd), UnknownZone),
    "deferred command": (lambda kernel, run, odd: kernel.find_deferred(odd), InvalidArgument),
    "name of a subscriber": (lambda kernel, run, odd: kernel.subscribe("*", print, name=odd), InvalidArgument),
    "sink to remove": (lambda kernel, run, odd: kernel.remove_sink(odd), InvalidArgument),
    "flow of runs": (lambda kernel, run, odd: kernel.runs(RunFilter(flow=odd)), InvalidArgument),
    "key of runs": (lambda kernel, run, odd: kernel.runs(RunFilter(key=odd)), InvalidArgument),
    "status of runs": (lambda kernel, run, odd: kernel.runs(RunFilter(statuses=frozenset([odd]))), InvalidArgument),
    "time of runs": (lambda kernel, run, odd: kernel.runs(RunFilter(created_from=odd)), InvalidArgument),
    "annotation of runs": (
        lambda kernel, run, odd: kernel.runs(RunFilter(annotations={odd: 1})),
        InvalidAnnotations,
    ),
    "flow of runs to cancel": (lambda kernel, run, odd: kernel.cancel_runs(RunFilter(flow=odd)), InvalidArgument),
    "key of runs to retry": (lambda kernel, run, odd: kernel.retry_runs(RunFilter(key=odd)), InvalidArgument),
    "sink of dead letters": (lambda kernel, run, odd: kernel.dead_letters(DeadLetterFilter(sink=odd)), InvalidArgument),
    "flow of dead letters": (lambda kernel, run, odd: kernel.dead_letters(DeadLetterFilter(flow=odd)), InvalidArgument),
    "type of dead letters": (
        lambda kernel, run, odd: kernel.replay_dead_letters(DeadLetterFilter(type=odd)),
        InvalidArgument,
    ),
    "run of dead letters": (
        lambda kernel, run, odd: kernel.replay_dead_letters(DeadLetterFilter(run_id=odd)),
        InvalidArgument,
    ),
}
"""By what the argument is: the call, and what refuses it."""

OF_RUNS: Mapping[str, Callable[[Kernel, Any], Any]] = {
    "read": lambda kernel, odd: kernel.run(odd).read(),
    "result": lambda kernel, odd: kernel.run(odd).result(timeout=1),
    "cancel": lambda kernel, odd: kernel.cancel(odd),
    "signal": lambda kernel, odd: kernel.signal(odd, "answer", "yes"),
    "rerun": lambda kernel, odd: kernel.rerun(odd, "answer"),
    "annotate": lambda kernel, odd: kernel.run(odd).annotate({"a": 1}),
    "why": lambda kernel, odd: kernel.why(odd),
}
"""What is done to a run."""


def asking() -> Flow[Any]:
    """A flow that waits for an answer."""
    flow: Flow[Any] = Flow("asking", version=1)
    flow.signal("answer", str)
    return flow


def flow_to_be() -> Any:
    """A flow, untyped, so that anything can be tried."""
    return Flow("odd", version=1)


async def verdict(call: Callable[[], Any]) -> str:
    """What refuses a call; how it was answered, where nothing does."""
    try:
        answer = call()
        if inspect.isasyncgen(answer):
            return f"yields {[each async for each in answer]!r:.100}"
        return f"gives {await answer!r:.100}" if inspect.isawaitable(answer) else f"gives {answer!r:.100}"
    except Exception as error:
        return type(error).__name__ if len(str(error)) < MESSAGE_LENGTH_MAX else "a message that nobody reads"


@pytest.mark.parametrize("odd", [*UNPRINTABLE, *NO_TEXT, "x" * 100_000], ids=lambda odd: type(odd).__name__)
async def test_arguments_that_are_refused(watched: World, odd: Any) -> None:
    """By the same error everywhere, whose message can be read; nothing is stored, and the run goes on."""
    kernel = watched.kernel(asking())
    run = await kernel.start("asking", None)
    long = isinstance(odd, str) and odd.isprintable()
    wanted, found = dict[str, str](), dict[str, str]()
    for name, (call, refusal) in REFUSALS.items():
        if name == "version of a flow" and not isinstance(odd, str):
            continue
        if long and name.partition(" of ")[2] in {"runs", "runs to cancel", "runs to retry", "dead letters"}:
            continue  # nothing has so long a name, and nothing is found
        if long and name == "deferred command":
            continue
        wanted[name] = refusal.__name__
        found[name] = await verdict(partial(call, kernel, run, odd))

    assert found == wanted
    assert [each.id for each in (await kernel.runs()).runs] == [run.id]
    assert (await kernel.schedules(), await kernel.deferred()) == ([], [])
    assert (await run.signal("answer", "yes", key="'; drop table runs; --")).run_id == run.id


@pytest.mark.parametrize("odd", [*UNPRINTABLE, *NO_TEXT, "", "../x", "x" * 100_000], ids=lambda odd: type(odd).__name__)
async def test_runs_that_cannot_be(watched: World, odd: Any) -> None:
    """Text that is no id is the id of no run; what is no text is no argument."""
    kernel = watched.kernel(asking())
    wanted = RunNotFound if isinstance(odd, str) else InvalidArgument

    found = {name: await verdict(partial(call, kernel, odd)) for name, call in OF_RUNS.items()}

    assert found == dict.fromkeys(OF_RUNS, wanted.__name__)


async def test_filters_that_nothing_can_meet(watched: World) -> None:
    """Numbers and times that no store holds are refused, too; what only nobody has, is not found."""
    kernel = watched.kernel(asking())
    odd_runs: list[RunFilter] = [
        RunFilter(created_before=datetime(2026, 1, 1)),
        RunFilter(statuses=frozenset(["ended"])),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    ]
    for chosen in odd_runs:
        with pytest.raises(InvalidArgument):
            await kernel.runs(chosen)
    for sequence in (0, 2**31, 10**5_000, True, "1"):
        with pytest.raises(InvalidArgument):
            await kernel.dead_letters(DeadLetterFilter(sequence=sequence))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    latest = datetime.max.replace(tzinfo=UTC)
    for few in (RunFilter(flow="'; drop table runs; --"), RunFilter(key=""), RunFilter(created_from=latest)):
        assert (await kernel.runs(few)).runs == []
