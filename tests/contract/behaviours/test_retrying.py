"""Acceptance behaviour 60, for maps: only what did not complete of a run is done again, element by element."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, NothingToRerun, RunHandle, RunStatus
from fairlead.kernel.commands import SETTLE_BATCH_MAX
from fairlead.ports import Ports
from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands
from tests.support.troubled import PatientClock


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def mapped(*, tolerate: Any = 0, window: int = 10_000) -> Flow[Any]:
    """A map over the input, a map over that one, and a step behind both."""
    flow = Flow("mapped", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures=tolerate, max_concurrency=window)
    def read(item: object) -> object:
        return item

    @flow.map(over=read, tolerate_failures=tolerate, max_concurrency=window)
    def embed(item: object) -> object:
        return item

    @flow.step
    def report(embed: list[object | None]) -> object:
        return embed

    return flow


async def begun(world: Ports, flow: Flow[Any], size: int, *, slots: int = 0) -> tuple[Hands, RunHandle]:
    """A run over an array of that size."""
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel, slots=slots)
    run = await kernel.start(flow.slug, list(range(size)))
    await hands.claim_runs()
    return hands, run


async def work(hands: Hands, step: str, *, failing: Iterable[int] = (), value: str) -> list[int]:
    """Execute what there is of a step, window after window, until there is no more; answers the elements."""
    failing = set(failing)
    done: list[int] = []
    held: list[ClaimedTask] = []
    while tasks := [*held, *await hands.claim_tasks()]:
        mine = [task for task in tasks if task.key.step == step]
        held = [task for task in tasks if task.key.step != step]
        if not mine:
            break
        # What completes comes before what fails: a failure may end the run.
        for task in sorted(mine, key=lambda task: task.key.element in failing):
            if task.key.element in failing:
                await hands.fail(task)
            else:
                await hands.complete(task, f"{value} {task.key.element}")
        done += [task.key.element for task in mine]
    for task in held:
        await hands.release(task)
    return sorted(done)


async def test_only_elements_that_did_not_complete_run_again(world: Ports) -> None:
    """One has failed, some were cancelled with it; the outputs of the others stay, and all are in order of index."""
    hands, run = await begun(world, mapped(window=4), 8)
    first = {task.key.element: task for task in await hands.claim_tasks()}
    for element in (0, 2):
        await hands.complete(first[element], f"old {element}")
    await hands.fail(first[3])

    answer = await run.retry()

    assert (answer.steps, answer.elements) == (("read", "embed", "report"), {"read": 6})
    assert await work(hands, "read", value="new") == [1, 3, 4, 5, 6, 7]
    assert await run.outputs("read") == [f"{'old' if n in (0, 2) else 'new'} {n}" for n in range(8)]
    await hands.drain("later")
    assert await run.status() is RunStatus.COMPLETED


async def test_the_window_of_a_retry_is_that_of_its_map(world: Ports) -> None:
    """Never more than `max_concurrency` tasks of it are live, and they are of what is left, in order."""
    hands, run = await begun(world, mapped(window=3), 10)
    tasks = {task.key.element: task for task in await hands.claim_tasks()}
    await hands.complete(tasks[1], "old 1")
    await hands.fail(tasks[2])
    await run.retry()

    seen: list[list[int]] = []
    while batch := [task for task in await hands.claim_tasks() if task.key.step == "read"]:
        seen.append([task.key.element for task in batch])
        await hands.complete_all(batch, "new")

    assert seen == [[0, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert await run.outputs("read") == ["new", "old 1", *["new"] * 8]


async def test_a_retry_of_a_retry_keeps_what_both_have_completed(world: Ports) -> None:
    """Each time less is left; an element that failed twice is retried a third time."""
    hands, run = await begun(world, mapped(), 6)
    assert await work(hands, "read", failing=[5], value="one") == [0, 1, 2, 3, 4, 5]

    await run.retry()
    assert await work(hands, "read", failing=[5], value="two") == [5]
    answer = await run.retry()

    assert (answer.generation, answer.elements) == (3, {"read": 1})
    assert await work(hands, "read", value="three") == [5]
    assert await run.outputs("read") == [*(f"one {n}" for n in range(5)), "three 5"]
    await hands.drain("later")
    assert await run.status() is RunStatus.COMPLETED


async def test_a_rerun_after_a_retry_begins_from_nothing(world: Ports) -> None:
    """What was completed before counts no longer, also where it fails this time and is retried again."""
    hands, run = await begun(world, mapped(), 4)
    await work(hands, "read", failing=[3], value="one")
    await run.retry()
    await work(hands, "read", value="two")
    await hands.drain("later")

    await run.rerun("read")
    assert await work(hands, "read", failing=[1], value="three") == [0, 1, 2, 3]
    answer = await run.retry()

    assert (answer.generation, answer.elements) == (4, {"read": 1})
    assert await work(hands, "read", value="four") == [1]
    assert await run.outputs("read") == ["three 0", "four 1", "three 2", "three 3"]


async def test_tolerated_failures_are_retried_where_their_map_is_named(world: Ports) -> None:
    """A completed run: its nulls are filled, and what depends on the map is done again as a whole."""
    hands, run = await begun(world, mapped(tolerate="all"), 5)
    await work(hands, "read", failing=[1, 4], value="old")
    assert await work(hands, "embed", failing=[2], value="old") == [0, 2, 3]
    await hands.drain("old")
    assert await run.outputs("embed") == ["old 0", None, None, "old 3", None]

    with pytest.raises(
        NothingToRerun, match=r"or one to retry whose failed elements were tolerated: 2 of 'read', 1 of 'embed'"
    ):
        await run.retry()
    answer = await run.retry("read")

    assert (answer.steps, answer.elements) == (("read", "embed", "report"), {"read": 2})
    assert await work(hands, "read", value="new") == [1, 4]
    assert await run.outputs("read") == ["old 0", "new 1", "old 2", "old 3", "new 4"]
    assert await work(hands, "embed", value="new") == [0, 1, 2, 3, 4]


async def test_a_map_over_gaps_is_retried_without_them(world: Ports) -> None:
    """What has no element has no task this time either: only what failed in the map itself runs again."""
    hands, run = await begun(world, mapped(tolerate="all"), 6)
    await work(hands, "read", failing=[0, 3], value="old")
    await work(hands, "embed", failing=[1, 5], value="old")
    await hands.drain("old")

    answer = await run.retry("embed")

    assert (answer.steps, answer.elements) == (("embed", "report"), {"embed": 2})
    assert await work(hands, "embed", failing=[5], value="new") == [1, 5]
    assert await run.outputs("embed") == [None, "new 1", "old 2", None, "old 4", None]
    embed = next(step for step in (await run.details()).steps if (step.slug, step.generation) == ("embed", 2))
    assert (embed.gaps, embed.kept, embed.failed_tasks) == (2, 2, 1)


async def test_a_map_over_a_retried_one_has_its_gaps(world: Ports) -> None:
    """An element that failed again is a gap; those of every generation that counts have tasks."""
    hands, run = await begun(world, mapped(tolerate="all", window=2), 6)
    await work(hands, "read", failing=[0, 3, 4], value="old")
    await hands.drain("old")
    await run.retry("read")

    assert await work(hands, "read", failing=[3], value="new") == [0, 3, 4]

    assert await run.outputs("read") == ["new 0", "old 1", "old 2", None, "new 4", "old 5"]
    assert await work(hands, "embed", value="new") == [0, 1, 2, 4, 5]
    assert await run.outputs("embed") == ["new 0", "new 1", "new 2", None, "new 4", "new 5"]


async def test_a_retried_map_whose_source_begins_anew_begins_anew_as_a_whole(world: Ports) -> None:
    """Its elements are others then."""
    hands, run = await begun(world, mapped(tolerate=1), 4)
    await work(hands, "read", failing=[1], value="old")
    await work(hands, "embed", failing=[2, 3], value="old")
    assert await run.status() is RunStatus.FAILED

    answer = await run.retry("read")

    assert answer.elements == {"read": 1}
    await work(hands, "read", value="new")
    assert await work(hands, "embed", value="new") == [0, 1, 2, 3]


async def test_a_retry_beyond_what_is_tolerated_fails_the_run_again(world: Ports) -> None:
    """Failures are counted anew: all that had failed before runs again, so that none is counted twice."""
    hands, run = await begun(world, mapped(tolerate=1), 4)
    await work(hands, "read", failing=[0, 3], value="old")
    assert await run.status() is RunStatus.FAILED

    await run.retry()
    assert await work(hands, "read", failing=[3], value="new") == [0, 3]

    assert await run.outputs("read") == ["new 0", "old 1", "old 2", None]
    await run.cancel()
    await run.retry("read")
    await work(hands, "read", value="newest")
    assert await run.outputs("read") == ["new 0", "old 1", "old 2", "newest 3"]


async def test_what_a_retry_completed_is_no_null_to_conditions(world: Ports) -> None:
    """A failed element reads as null; done again it does not."""
    flow = Flow("picky", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures="all")
    def read(item: object) -> object:
        return item

    @flow.step(when={"read": [None]})
    def mend(read: list[object | None]) -> object:
        return read

    @flow.step(when={"read": ["old 0"]})
    def keep(read: list[object | None]) -> object:
        return read

    hands, run = await begun(world, flow, 2)
    await work(hands, "read", failing=[1], value="old")
    await hands.drain("done")
    assert await run.result() == {"mend": "done", "keep": "done"}

    await run.retry("read")
    await work(hands, "read", value="new")
    await hands.drain("done again")

    assert await run.result() == {"keep": "done again"}


async def test_a_skipped_map_is_retried_where_it_is_named(world: Ports) -> None:
    """`on_exhausted="skip"` cut it short: what it had completed counts, the rest runs."""
    flow = Flow("skipping", version=1, max_attempts=1)

    @flow.map(over="input", on_exhausted="skip", max_concurrency=3)
    def read(item: object) -> object:
        return item

    @flow.step
    def report(read: list[object]) -> object:
        return read

    hands, run = await begun(world, flow, 5)
    tasks = {task.key.element: task for task in await hands.claim_tasks()}
    await hands.complete(tasks[2], "old 2")
    await hands.fail(tasks[0])
    await hands.drain("without")
    assert (await run.status(), await run.outputs("read")) == (RunStatus.COMPLETED, [])

    answer = await run.retry("read")

    assert (answer.steps, answer.elements) == (("read", "report"), {"read": 4})
    assert await work(hands, "read", value="new") == [0, 1, 3, 4]
    assert await run.outputs("read") == ["new 0", "new 1", "old 2", "new 3", "new 4"]


async def test_a_plain_step_is_retried_as_a_whole(world: Ports) -> None:
    """It has one task; skipped for its failure, it is done again where it is named."""
    flow = Flow("plain", version=1, max_attempts=1)

    @flow.step(on_exhausted="skip")
    def charge() -> object:
        return None

    @flow.step
    def notify(charge: object | None) -> object:
        return charge

    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("plain", None)
    await hands.claim_runs()
    await hands.fail(await hands.claim_task())
    await hands.drain("told")

    answer = await run.retry("charge")

    assert (answer.steps, answer.elements) == (("charge", "notify"), {})
    assert await hands.drain("done") == 2
    assert await run.result() == {"notify": "done"}


async def test_an_empty_map_behind_a_rerun_step_completes_at_once(world: Ports) -> None:
    """Also where that is all that begins anew, and the generation ends as it begins."""
    flow = Flow("empty", version=1)

    @flow.step
    def find() -> list[int]:
        return []

    @flow.map(over=find)
    def each(item: int) -> int:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("empty", None)
    await hands.drain([])
    assert await run.result() == {"each": []}

    answer = await run.rerun("each")

    record = await run.read()
    assert answer.steps == ("each",)
    assert (record.status, record.generation, record.ended_at) == (RunStatus.COMPLETED, 2, record.started_at)
    assert await run.result() == {"each": []}


async def test_a_large_map_is_retried_by_its_few_failures(world: Ports) -> None:
    """Of a thousand elements three are left: three tasks, found wherever they are."""
    hands, run = await begun(world, mapped(tolerate=0.5), 1_000)
    failing = (0, 499, 999)
    tasks = await hands.claim_tasks(1_000)
    outcomes = [
        hands.failed(task) if task.key.element in failing else hands.completed(task, task.key.element)
        for task in tasks
        if task.key.step == "read"
    ]
    for first in range(0, len(outcomes), SETTLE_BATCH_MAX):
        await hands.settle(outcomes[first : first + SETTLE_BATCH_MAX])
    await run.cancel()

    answer = await run.retry("read")

    assert answer.elements == {"read": 3}
    again = [task for task in await hands.claim_tasks(1_000) if task.key.step == "read"]
    assert sorted(task.key.element for task in again) == list(failing)
    await hands.complete_all(again, "new")
    outputs = await run.outputs("read")
    assert [index for index, output in enumerate(outputs) if output == "new"] == list(failing)
    assert len(outputs) == 1_000
