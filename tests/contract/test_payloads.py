"""Persistence: payloads come back byte for byte, and outputs are aligned with their elements."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import OutputPage, OutputRequest, RunPayload, StepOutput
from fairlead.ports.records import FlowRow
from fairlead.ports.statuses import RunStatus, StepStatus
from tests.support.records import (
    completed,
    events,
    failed,
    keys,
    new_run,
    new_tasks,
    run_claim,
    run_id,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import apply, claim_all, complete_run, look_at_run, look_at_step, run_with_tasks, start

PAYLOADS = {
    "null": b"null",
    "numbers": b"[-0.0,0.0,0,1,1.0,1e22,1e-7,5e-324,1.7976931348623157e308,0.1]",
    "long integer": b"[123456789012345678901234567890123456789012345678901234567890]",
    "key order": b'{"b":1,"a":2,"":3,"B":4}',
    "unicode": '{"\u00e9":"e\u0301","\U0001f680":"\u200b\u2028\ufeff"}'.encode(),
    "escapes": b'"\\u0001\\t\\n\\"\\\\/\\u001f\\u007f"',
    "deep": b"[" * 500 + b"]" * 500,
    "wide": b"[" + b",".join(b'"%d"' % n for n in range(20_000)) + b"]",
    "long": b'"' + b"x" * 300_000 + b'"',
    "empty": b'{"a":[],"b":{},"c":""}',
    "reference": b' {"prefix":"runs/1/input","size_bytes":7}',
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
async def test_every_payload_comes_back_byte_for_byte(store: Persistence, flow: FlowRow, payload: bytes) -> None:
    """Input, configuration, facts, outputs, errors and events: the store looks into none of them."""
    run = run_id(1)
    first = new_run(flow, input=payload, config=payload, facts=payload)
    await store.insert_runs([replace(first, event=replace(first.event, events=b"[" + payload + b"]"))])
    async with store.transaction() as transaction:
        (pending,) = await transaction.claim_runs(run_claim(flow))
        await transaction.apply(
            Changes(
                runs=(run_update(run),),
                new_steps=(step_write(run, elements=2, remaining=2, facts=payload),),
                new_tasks=(new_tasks(flow, run, count=2),),
            )
        )
    one, two = await store.claim_tasks(task_claim(flow))
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.FAILED, error=payload),),
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=2, remaining=0, error=payload),),
            tasks=(completed(one, output=payload), failed(two, error=payload)),
        ),
    )

    request = OutputRequest(run, "pack")
    read = await store.read_payloads([run], [request])
    record = await store.read_run(run)
    (step,) = await store.read_steps(run)
    (event,) = await store.read_events(run)
    assert record is not None
    assert (pending.input, pending.config, pending.facts) == (payload, payload, payload)
    assert read.runs == {run: RunPayload(input=payload, config=payload)}
    assert list(read.outputs[request].outputs) == [payload, None]
    assert (await look_at_run(store, run)).facts == payload
    assert (await look_at_step(store, run)).facts == payload
    assert (record.error, step.error) == (payload, payload)
    assert [task.error for task in await store.read_tasks(run)] == [None, payload]
    assert event.events == b"[" + payload + b"]"


async def test_text_comes_back_as_it_was_given(store: Persistence, flow: FlowRow) -> None:
    """Keys, reasons and workers are any text but NUL."""
    text = "'; drop table runs; -- %s {} \\ \U0001f680 caf\u00e9\n\t\x01"
    await store.insert_runs([new_run(flow, key=text)])
    await apply(store, run_id(1), Changes(runs=(run_update(run_id(1), reason=text),)))

    record = await store.read_run(run_id(1))

    assert record is not None
    assert (record.key, record.reason) == (text, text)


async def test_payloads_of_many_runs_are_read_at_once(store: Persistence, flow: FlowRow) -> None:
    """Inputs and outputs of several runs; what does not exist is absent."""
    await store.insert_runs([new_run(flow, 1, input=b"1"), new_run(flow, 2, input=b"2", config=b'{"c":2}')])
    done = await complete_run(store, flow, 3, output=b"33")
    request = OutputRequest(done, "pack")
    missing = [
        OutputRequest(done, "nothing"),
        OutputRequest(run_id(1), "pack"),
        OutputRequest(run_id(404), "pack"),
    ]

    read = await store.read_payloads([run_id(2), run_id(404), run_id(1)], [*missing, request])

    assert read.runs == {
        run_id(1): RunPayload(input=b"1", config=None),
        run_id(2): RunPayload(input=b"2", config=b'{"c":2}'),
    }
    assert set(read.outputs) == {request}
    assert list(read.outputs[request].outputs) == [b"33"]


async def test_nothing_is_read_by_an_empty_request(store: Persistence, flow: FlowRow) -> None:
    """Asking for nothing is no error."""
    read = await store.read_payloads([], [])

    assert (read.runs, read.outputs) == ({}, {})


async def test_one_input_can_be_asked_for_twice(store: Persistence, flow: FlowRow) -> None:
    """Repetitions in a batch, from several tasks of one run, are one answer."""
    done = await complete_run(store, flow)
    request = OutputRequest(done, "pack")

    read = await store.read_payloads([done, done], [request, request])

    assert set(read.runs) == {done}
    assert list(read.outputs[request].outputs) == [b'"done"']


async def test_outputs_of_a_map_are_aligned_with_its_elements(store: Persistence, flow: FlowRow) -> None:
    """In order of index as numbers, None where an element failed within tolerance; no element 12 of 12."""
    run = await run_with_tasks(store, flow, steps={"pack": 12})
    tasks = await claim_all(store, flow)
    gaps = {0, 5, 11}
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=12, remaining=0, failed=3),),
            tasks=tuple(
                failed(task) if key.element in gaps else completed(task, output=b"%d" % key.element)
                for key, task in tasks.items()
            ),
        ),
    )
    whole = OutputRequest(run, "pack")
    ten, gap = OutputRequest(run, "pack", 10), OutputRequest(run, "pack", 5)

    read = await store.read_payloads([], [whole, OutputRequest(run, "pack", 12), gap, ten])

    assert set(read.outputs) == {whole, ten, gap}
    assert read.outputs[whole] == StepOutput(
        generation=1,
        status=StepStatus.COMPLETED,
        elements=12,
        outputs=[None if n in gaps else b"%d" % n for n in range(12)],
    )
    assert (read.outputs[ten].elements, list(read.outputs[ten].outputs)) == (12, [b"10"])
    assert list(read.outputs[gap].outputs) == [None]


async def test_failures_that_a_map_tolerates_and_gaps_of_the_next_have_no_output(
    store: Persistence, flow: FlowRow
) -> None:
    """Element 1 failed and has no task in the map behind it, where 2 failed besides: each is absent in its place."""
    run = await run_with_tasks(store, flow, steps={"pack": 4})
    tasks = {key.element: task for key, task in (await claim_all(store, flow)).items()}
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=4, remaining=0, failed=1),),
            new_steps=(step_write(run, "ship", elements=4, remaining=3, gaps=1),),
            tasks=(failed(tasks[1]), *(completed(tasks[n], output=b"%d" % n) for n in (0, 2, 3))),
            new_tasks=(new_tasks(flow, run, "ship"), new_tasks(flow, run, "ship", first=2, count=2)),
        ),
    )
    tasks = {key.element: task for key, task in (await claim_all(store, flow)).items()}
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, "ship", status=StepStatus.COMPLETED, elements=4, remaining=0, failed=1, gaps=1),),
            tasks=(failed(tasks[2]), *(completed(tasks[n], output=b"null") for n in (0, 3))),
        ),
    )
    pack, ship, gap = OutputRequest(run, "pack"), OutputRequest(run, "ship"), OutputRequest(run, "ship", 1)

    read = await store.read_payloads([], [pack, ship, gap])

    assert list(read.outputs[pack].outputs) == [b"0", None, b"2", b"3"]
    assert list(read.outputs[ship].outputs) == [b"null", None, None, b"null"]
    assert (read.outputs[gap].elements, list(read.outputs[gap].outputs)) == (4, [None])


async def test_the_output_of_a_large_map_is_read_whole(store: Persistence, flow: FlowRow) -> None:
    """A thousand outputs in one answer."""
    run = await run_with_tasks(store, flow, steps={"pack": 1000})
    tasks = await claim_all(store, flow)
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=1000, remaining=0),),
            tasks=tuple(completed(task, output=b"%d" % key.element) for key, task in tasks.items()),
        ),
    )
    request = OutputRequest(run, "pack")

    read = await store.read_payloads([], [request])

    assert list(read.outputs[request].outputs) == [b"%d" % n for n in range(1000)]


async def test_an_empty_map_has_an_empty_output(store: Persistence, flow: FlowRow) -> None:
    """No elements, no outputs, and still a completed step."""
    run = await run_with_tasks(store, flow, steps={})
    empty = step_write(run, status=StepStatus.COMPLETED, elements=0, remaining=0)
    await apply(store, run, Changes(new_steps=(empty,)))
    request = OutputRequest(run, "pack")

    read = await store.read_payloads([], [request])

    assert read.outputs[request] == StepOutput(generation=1, status=StepStatus.COMPLETED, elements=0, outputs=[])


@pytest.mark.parametrize("status", [StepStatus.RUNNING, StepStatus.FAILED, StepStatus.CANCELLED, StepStatus.SKIPPED])
async def test_a_step_that_is_not_completed_has_no_output(
    store: Persistence, flow: FlowRow, status: StepStatus
) -> None:
    """Its status is told, and what single tasks recorded is not taken for the step's output."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    (first,) = keys(run, "pack", [0])
    await apply(
        store,
        run,
        Changes(steps=(step_write(run, status=status, elements=2, remaining=1),), tasks=(completed(tasks[first]),)),
    )
    request, one = OutputRequest(run, "pack"), OutputRequest(run, "pack", 0)

    read = await store.read_payloads([], [request, one])

    assert read.outputs[request] == StepOutput(generation=1, status=status, elements=2, outputs=[])
    assert read.outputs[one] == StepOutput(generation=1, status=status, elements=2, outputs=[])


async def test_an_output_is_that_of_the_highest_generation(store: Persistence, flow: FlowRow) -> None:
    """A rerun step's earlier output is history, before and after the new one is there."""
    run = await complete_run(store, flow, output=b'"old"')
    request = OutputRequest(run, "pack")
    rerun = Changes(
        new_steps=(step_write(run, generation=2),),
        new_tasks=(new_tasks(flow, run, generation=2),),
        events=(events(run, 6, ["step.started"], generation=2),),
    )
    await apply(store, run, rerun)

    during = await store.read_payloads([], [request])
    (task,) = await store.claim_tasks(task_claim(flow))
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, generation=2, status=StepStatus.COMPLETED, remaining=0),),
            tasks=(completed(task, output=b'"new"'),),
        ),
    )
    after = await store.read_payloads([], [request])

    assert during.outputs[request] == StepOutput(generation=2, status=StepStatus.RUNNING, elements=1, outputs=[])
    assert list(after.outputs[request].outputs) == [b'"new"']


async def test_inputs_can_be_read_at_any_time(store: Persistence, flow: FlowRow) -> None:
    """A pending run's input is there before anybody claims it, and stays after the end."""
    await start(store, flow, 1)
    before = await store.read_payloads([run_id(1)], [])

    assert before.runs[run_id(1)].input == b'{"order":1}'
    done = await complete_run(store, flow, 2)
    assert (await store.read_payloads([done], [])).runs[done].input == b'{"order":1}'


PAGED = [b'"%s"' % (b"x" * size) for size in (8, 8, 98, 8, 8, 8)]
"""Outputs of 10 and 100 bytes, by element; element 1 has none."""


async def _paged_map(store: Persistence, flow: FlowRow) -> str:
    run = await run_with_tasks(store, flow, steps={"pack": len(PAGED)})
    tasks = await claim_all(store, flow)
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=len(PAGED), remaining=0, failed=1),),
            tasks=tuple(
                failed(task) if key.element == 1 else completed(task, output=PAGED[key.element])
                for key, task in tasks.items()
            ),
        ),
    )
    return run


@pytest.mark.parametrize(
    ("first", "limit", "size_bytes_max", "expected"),
    [
        (0, 10, 1000, [0, 1, 2, 3, 4, 5]),
        (0, 3, 1000, [0, 1, 2]),
        (3, 2, 1000, [3, 4]),
        (0, 10, 110, [0, 1, 2]),
        (0, 10, 109, [0, 1]),
        (2, 10, 1, [2]),
        (1, 10, 1, [1]),
        (3, 10, 20, [3, 4]),
        (5, 10, 1000, [5]),
        (6, 10, 1000, []),
        (7, 10, 1000, []),
    ],
)
async def test_outputs_are_read_by_the_page(
    store: Persistence, flow: FlowRow, first: int, limit: int, size_bytes_max: int, expected: list[int]
) -> None:
    """Consecutive outputs, as many as fit in number and in bytes, always the first; None where an element has none."""
    run = await _paged_map(store, flow)

    page = await store.read_output_page(
        OutputPage(run_id=run, step="pack", first=first, limit=limit, size_bytes_max=size_bytes_max)
    )

    assert page == StepOutput(
        generation=1,
        status=StepStatus.COMPLETED,
        elements=len(PAGED),
        outputs=[None if index == 1 else PAGED[index] for index in expected],
    )


async def test_elements_without_a_row_are_part_of_a_page(store: Persistence, flow: FlowRow) -> None:
    """A map over a map with failed elements has no task for them; they read as None wherever the page begins."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=5, remaining=0, gaps=3),),
            tasks=tuple(completed(task, output=b"%d" % key.element) for key, task in tasks.items()),
        ),
    )

    whole = await store.read_output_page(OutputPage(run_id=run, step="pack", first=0, limit=9, size_bytes_max=99))
    behind = await store.read_output_page(OutputPage(run_id=run, step="pack", first=3, limit=9, size_bytes_max=99))

    assert whole is not None
    assert behind is not None
    assert list(whole.outputs) == [b"0", b"1", None, None, None]
    assert list(behind.outputs) == [None, None]


async def test_a_page_that_begins_without_a_row_ends_before_what_is_too_large(
    store: Persistence, flow: FlowRow
) -> None:
    """It is the first element wanted that always fits, not the first one that has an output."""
    run = await run_with_tasks(store, flow, steps={"pack": 1})
    behind_the_gap = (new_tasks(flow, run, first=2),)
    waiting = (step_write(run, elements=3, remaining=2, cursor=2, gaps=1),)
    await apply(store, run, Changes(steps=waiting, new_tasks=behind_the_gap))
    tasks = await claim_all(store, flow)
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, status=StepStatus.COMPLETED, elements=3, remaining=0, cursor=2, gaps=1),),
            tasks=tuple(completed(task, output=b'"large"') for task in tasks.values()),
        ),
    )

    pages = [
        await store.read_output_page(OutputPage(run_id=run, step="pack", first=first, limit=9, size_bytes_max=1))
        for first in (1, 2)
    ]

    assert [None if page is None else list(page.outputs) for page in pages] == [[None], [b'"large"']]


@pytest.mark.parametrize("status", [StepStatus.RUNNING, StepStatus.SKIPPED])
async def test_a_step_that_is_not_completed_has_no_page(store: Persistence, flow: FlowRow, status: StepStatus) -> None:
    """Its status is told; of a step that does not exist nothing is."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    (first,) = keys(run, "pack", [0])
    await apply(
        store,
        run,
        Changes(steps=(step_write(run, status=status, elements=2, remaining=1),), tasks=(completed(tasks[first]),)),
    )
    page = OutputPage(run_id=run, step="pack", first=0, limit=9, size_bytes_max=99)

    assert await store.read_output_page(page) == StepOutput(generation=1, status=status, elements=2, outputs=[])
    assert await store.read_output_page(replace(page, step="none")) is None
    assert await store.read_output_page(replace(page, run_id=run_id(404))) is None
    assert await store.read_output_page(replace(page, run_id="no id")) is None
