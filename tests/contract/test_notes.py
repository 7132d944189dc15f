"""Notes: what attempts say while they run, kept once, in order, readable at once; and what runs are annotated with."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import AnnotationsWrite, Changes
from fairlead.ports.errors import UnstorableValue
from fairlead.ports.notes import AnnotationValue, LogLevel, LogRecord, NewLogEntry, ProgressRecord
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import RunFilter
from fairlead.ports.records import FlowRow, TaskKey
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, events, load_request, new_run, retried, run_id, run_update, task_claim
from tests.support.scenes import apply, complete_run, run_with_tasks, take_over


def key(run: int = 1, *, step: str = "pack", generation: int = 1, element: int = 0) -> TaskKey:
    """A task of a run."""
    return TaskKey(run_id(run), step, generation, element)


def entry(sequence: int = 1, *, of: TaskKey | None = None, message: str = "hello", **named: Any) -> NewLogEntry:
    """What an attempt noted."""
    made = NewLogEntry(
        key=of or key(),
        token=1,
        attempt=1,
        sequence=sequence,
        at=at(sequence),
        level=LogLevel.INFO,
        message=message,
    )
    return replace(made, **named)


def progress(done: float = 1, *, of: TaskKey | None = None, token: int = 1, seconds: float = 0) -> ProgressRecord:
    """How far an attempt is."""
    return ProgressRecord(key=of or key(), token=token, attempt=token, at=at(seconds), done=done)


def messages(found: Any) -> list[str]:
    """What the entries say, in order."""
    return [each.message for each in found]


@pytest.fixture
async def runs(store: Persistence, flow: FlowRow) -> Persistence:
    """A store with two runs, whose tasks all run under their first tokens."""
    for number in (1, 2):
        await run_with_tasks(store, flow, number, steps={"pack": 12}, worker="worker-1", lease_until=at(60))
    return store


# Logs


async def test_a_run_has_no_logs_at_first(runs: Persistence) -> None:
    """Nor has a run that does not exist, or cannot."""
    assert list(await runs.read_logs(run_id(1), limit=10)) == []
    assert list(await runs.read_logs(run_id(99), limit=10)) == []
    assert list(await runs.read_logs("nonsense", limit=10)) == []


@pytest.mark.parametrize("level", LogLevel)
async def test_an_entry_is_read_as_it_was_written(store: Persistence, flow: FlowRow, level: LogLevel) -> None:
    """Byte for byte, with its task and attempt and a number."""
    await run_with_tasks(store, flow, steps={"caf\u00e9": 3})
    (task,) = await store.claim_tasks(task_claim(flow, only=[key(step="caf\u00e9", element=2)]))
    await apply(store, run_id(1), Changes(tasks=(replace(retried(task, ready_at=at(0)), attempts=0),)))
    await store.claim_tasks(task_claim(flow, only=[task.key]))
    noted = entry(
        7,
        of=task.key,
        token=2,
        attempt=1,
        message="a 'quoted'\nline \U0001f680",
        level=level,
        fields=b'{"b":1e22,"a":-0.0}',
    )
    await store.write_notes([noted], [])

    assert list(await store.read_logs(run_id(1), limit=10)) == [
        LogRecord(
            number=1,
            key=noted.key,
            token=2,
            attempt=1,
            at=noted.at,
            level=level,
            message=noted.message,
            fields=noted.fields,
        )
    ]


async def test_entries_are_numbered_in_their_order(runs: Persistence) -> None:
    """Each run has numbers of its own, whatever the times say, over several writes."""
    await runs.write_notes([entry(5, message="a"), entry(1, of=key(2), message="b"), entry(2, message="c")], [])
    await runs.write_notes([entry(1, message="d")], [])

    found = await runs.read_logs(run_id(1), limit=10)
    assert messages(found) == ["a", "c", "d"]
    assert [each.number for each in found] == [1, 2, 3]
    assert [each.number for each in await runs.read_logs(run_id(2), limit=10)] == [1]


async def test_logs_are_read_page_by_page(runs: Persistence) -> None:
    """Behind a number, so many at a time."""
    await runs.write_notes([entry(number, message=str(number)) for number in range(1, 8)], [])

    first = await runs.read_logs(run_id(1), limit=3)
    second = await runs.read_logs(run_id(1), after=first[-1].number, limit=3)
    third = await runs.read_logs(run_id(1), after=second[-1].number, limit=3)
    assert [messages(page) for page in (first, second, third)] == [["1", "2", "3"], ["4", "5", "6"], ["7"]]
    assert list(await runs.read_logs(run_id(1), after=third[-1].number, limit=3)) == []


async def test_the_last_entries_can_be_read(runs: Persistence) -> None:
    """In their order, behind a number too."""
    await runs.write_notes([entry(number, message=str(number)) for number in range(1, 8)], [])

    assert messages(await runs.read_logs(run_id(1), limit=3, last=True)) == ["5", "6", "7"]
    assert messages(await runs.read_logs(run_id(1), after=6, limit=3, last=True)) == ["7"]
    assert messages(await runs.read_logs(run_id(1), limit=30, last=True)) == [str(number) for number in range(1, 8)]
    assert list(await runs.read_logs(run_id(1), limit=0, last=True)) == []


async def test_an_entry_is_kept_once(runs: Persistence) -> None:
    """A write that is repeated, since its answer was lost, alone or among others; the first word stands."""
    await runs.write_notes([entry(1, message="a"), entry(2, message="b")], [])
    await runs.write_notes([entry(1, message="other"), entry(2, message="b"), entry(3, message="c")], [])

    found = await runs.read_logs(run_id(1), limit=10)
    assert messages(found) == ["a", "b", "c"]
    assert [each.number for each in found] == sorted({each.number for each in found})


async def test_attempts_are_told_apart(runs: Persistence, flow: FlowRow) -> None:
    """The same sequence number under another token, or of another task, is another entry."""
    await take_over(runs, flow, key(), seconds=5)
    await runs.write_notes([entry(), entry(token=2), entry(of=key(element=1))], [])

    found = await runs.read_logs(run_id(1), limit=10)
    assert [(each.key.element, each.token) for each in found] == [(0, 1), (0, 2), (1, 1)]


async def test_notes_of_runs_that_are_gone_are_dropped(runs: Persistence) -> None:
    """So nothing is left of a run that was pruned while somebody still noted something."""
    await runs.write_notes([entry(of=key(99)), entry()], [progress(of=key(99)), progress()])
    await runs.write_notes([entry(of=key()._replace(run_id="nonsense"))], [])

    assert list(await runs.read_logs(run_id(99), limit=10)) == []
    assert list(await runs.read_progress(run_id(99), limit=10)) == []
    assert len(await runs.read_logs(run_id(1), limit=10)) == 1
    assert len(await runs.read_progress(run_id(1), limit=10)) == 1


async def test_nothing_to_write_is_nothing(runs: Persistence) -> None:
    """An empty write."""
    await runs.write_notes([], [])

    assert list(await runs.read_logs(run_id(1), limit=10)) == []


@pytest.mark.fault(55)
@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_text_that_cannot_be_stored_is_refused_with_all_of_its_batch(runs: Persistence, text: str) -> None:
    """NUL characters and lone surrogates: the writer replaces them, and finds out where it did not."""
    for entries, told in (
        ([entry(1), entry(2, message=text)], [progress()]),
        ([entry(1)], [replace(progress(), message=text)]),
    ):
        with pytest.raises(UnstorableValue):
            await runs.write_notes(entries, told)

    assert list(await runs.read_logs(run_id(1), limit=10)) == []
    assert list(await runs.read_progress(run_id(1), limit=10)) == []


async def test_a_reader_who_follows_misses_nothing(runs: Persistence) -> None:
    """However many write at once: whoever has read a number has read all below it."""
    writers, each_writes = 8, 12
    seen: list[LogRecord] = []

    async def write(writer: int) -> None:
        for sequence in range(1, each_writes + 1):
            other = entry(sequence, of=key(2, element=writer))
            await runs.write_notes([entry(sequence, of=key(element=writer)), other], [])

    async def follow() -> None:
        while len(seen) < writers * each_writes:
            seen.extend(await runs.read_logs(run_id(1), after=seen[-1].number if seen else 0, limit=7))
            await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), *(write(writer) for writer in range(writers)))

    assert sorted(seen, key=lambda each: each.number) == seen
    assert list(await runs.read_logs(run_id(1), limit=1_000)) == seen


async def test_writing_notes_waits_for_nobody_who_settles(runs: Persistence) -> None:
    """Whoever holds a run and its tasks goes on with them, and so does the writer."""
    async with runs.transaction() as transaction:
        await transaction.load(load_request(run_id(1), tasks=[key()], lock_tasks=True))
        async with asyncio.timeout(5):
            await runs.write_notes([entry()], [progress()])

    assert len(await runs.read_logs(run_id(1), limit=10)) == 1


# Progress


async def test_progress_is_read_as_it_was_written(runs: Persistence) -> None:
    """With and without total and message."""
    plain = progress(0.5)
    full = replace(progress(3, of=key(element=1), seconds=1), total=12.0, message="caf\u00e9 3 of 12")
    await runs.write_notes([], [plain, full])

    assert list(await runs.read_progress(run_id(1), limit=10)) == [full, plain]


async def test_the_latest_progress_of_a_task_stands(runs: Persistence) -> None:
    """In one write and over several; one that is late changes nothing."""
    await runs.write_notes([], [progress(1, seconds=1), progress(2, seconds=2), progress(1.5, seconds=1.5)])
    await runs.write_notes([], [progress(0, seconds=0)])
    before = await runs.read_progress(run_id(1), limit=10)
    await runs.write_notes([], [progress(3, seconds=2)])

    assert [each.done for each in before] == [2]
    assert [each.done for each in await runs.read_progress(run_id(1), limit=10)] == [3]


async def test_progress_of_the_attempt_before_changes_nothing(runs: Persistence, flow: FlowRow) -> None:
    """The higher token counts, whatever the clocks of the two hosts say."""
    await runs.write_notes([], [progress(50, token=1, seconds=10)])
    await take_over(runs, flow, key(), seconds=30)
    await runs.write_notes([], [progress(1, token=2, seconds=5)])
    await runs.write_notes([], [progress(60, token=1, seconds=20)])

    (found,) = await runs.read_progress(run_id(1), limit=10)
    assert (found.token, found.done) == (2, 1)


async def test_progress_told_last_is_read_first(runs: Persistence) -> None:
    """So many at a time; at one time by key."""
    elements = [(0, 5.0), (1, 9.0), (2, 5.0), (3, 1.0)]
    await runs.write_notes([], [progress(of=key(element=element), seconds=told) for element, told in elements])

    found = await runs.read_progress(run_id(1), limit=3)
    assert [each.key.element for each in found] == [1, 0, 2]


# Annotations


async def annotate(store: Persistence, run: int, annotations: bytes) -> None:
    """Write a run's annotations in a transaction."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(run_id(run), wait=True))
        await transaction.apply(Changes(annotations=(AnnotationsWrite(run_id=run_id(run), annotations=annotations),)))


async def found_by(store: Persistence, **wanted: AnnotationValue) -> list[str]:
    """The ids of the runs that are annotated so."""
    page = await store.list_runs(RunFilter(annotations=wanted), limit=100, after=None)
    return [run.id for run in page.runs]


async def test_annotations_are_read_as_they_were_written(runs: Persistence) -> None:
    """Byte for byte; runs without any are absent."""
    await annotate(runs, 1, b'{"b":1e22,"a":"caf\xc3\xa9"}')

    assert await runs.read_annotations([run_id(1), run_id(2), run_id(99), "nonsense"]) == {
        run_id(1): b'{"b":1e22,"a":"caf\xc3\xa9"}'
    }
    assert await runs.read_annotations([]) == {}


async def test_a_transaction_reads_the_annotations_of_runs_it_holds(runs: Persistence) -> None:
    """And of no others."""
    await annotate(runs, 1, b'{"a":1}')
    await annotate(runs, 2, b'{"a":2}')
    async with runs.transaction() as transaction:
        await transaction.load(load_request(run_id(1)))

        assert await transaction.load_annotations([run_id(1), run_id(2), run_id(99)]) == {run_id(1): b'{"a":1}'}


async def test_annotations_are_written_with_everything_else_or_not_at_all(runs: Persistence) -> None:
    """A transaction that raises leaves none."""
    with suppress(KeyError):
        async with runs.transaction() as transaction:
            await transaction.load(load_request(run_id(1)))
            write = AnnotationsWrite(run_id=run_id(1), annotations=b'{"a":1}')
            await transaction.apply(Changes(annotations=(write,)))
            raise KeyError

    assert await runs.read_annotations([run_id(1)]) == {}
    assert await found_by(runs, a=1) == []


async def test_a_run_is_inserted_with_its_annotations(store: Persistence, flow: FlowRow) -> None:
    """One alone, or among others; not where its key is another run's."""
    annotated = new_run(flow, 1, key="k", annotations=b'{"a":1}')
    await store.insert_runs([annotated])
    await store.insert_runs([annotated])
    await store.insert_runs([new_run(flow, 2), new_run(flow, 3, annotations=b'{"a":3}')])
    await store.insert_runs([new_run(flow, 4, key="k", annotations=b'{"a":4}'), new_run(flow, 5)])
    await store.insert_runs([new_run(flow, 6, key="k", digest="other", annotations=b'{"a":6}')])

    assert await store.read_annotations([run_id(number) for number in range(1, 7)]) == {
        run_id(1): b'{"a":1}',
        run_id(3): b'{"a":3}',
    }


async def test_runs_are_found_by_their_annotations(store: Persistence, flow: FlowRow) -> None:
    """All that are asked for must hold, with everything else that the filter says; newest first, page by page."""
    for number in range(1, 7):
        document = b'{"customer":"acme","tier":%d}' % (number % 2)
        await store.insert_runs([new_run(flow, number, created_at=at(number), key=f"k{number}", annotations=document)])
    await store.insert_runs([new_run(flow, 7, created_at=at(7))])

    assert await found_by(store, customer="acme", tier=1) == [run_id(5), run_id(3), run_id(1)]
    assert await found_by(store, customer="acme", tier=2) == []
    assert await found_by(store, customer="other") == []
    chosen = RunFilter(annotations={"tier": 0}, created_from=at(4), flow="orders")
    page = await store.list_runs(chosen, limit=1, after=None)
    rest = await store.list_runs(chosen, limit=1, after=page.next)
    assert [run.id for run in (*page.runs, *rest.runs)] == [run_id(6), run_id(4)]
    assert rest.next is None
    by_key = await store.list_runs(RunFilter(flow="orders", key="k2", annotations={"tier": 1}), limit=5, after=None)
    assert list(by_key.runs) == []


async def test_a_filter_without_annotations_admits_all(runs: Persistence) -> None:
    """An empty mapping asks for nothing."""
    assert len(await found_by(runs)) == 2


@pytest.mark.parametrize(
    ("written", "wanted", "equal"),
    [
        (b'"1"', "1", True),
        (b'"1"', 1, False),
        (b"1", "1", False),
        (b"1", 1, True),
        (b"1", 1.0, True),
        (b"1.0", 1, True),
        (b"1.50", 1.5, True),
        (b"1", True, False),
        (b"true", 1, False),
        (b"true", True, True),
        (b"true", "true", False),
        (b"false", False, True),
        (b"false", 0, False),
        (b"0", -0.0, True),
        (b"-0.0", 0, True),
        (b"0.1", 0.1, True),
        (b"1e22", 1e22, True),
        (b"1e22", 10**22, True),
        (b"1e23", 10**23, True),
        (b"12345678901234567890", 12345678901234567890, True),
        (b"12345678901234567890", 12345678901234567891, False),
        (b'"caf\\u00e9"', "caf\u00e9", True),
        (b'"a"', "A", False),
        (b'"a "', "a", False),
        (b'""', "", True),
        (b"null", "null", False),
    ],
)
async def test_values_are_compared_alike_everywhere(
    runs: Persistence, written: bytes, wanted: AnnotationValue, equal: bool
) -> None:
    """Numbers by value, truth values and texts as themselves."""
    await annotate(runs, 1, b'{"a":' + written + b',"b":2}')

    assert await found_by(runs, a=wanted) == ([run_id(1)] if equal else [])


async def test_what_is_written_later_is_what_is_found(runs: Persistence) -> None:
    """The document is replaced as a whole."""
    await annotate(runs, 1, b'{"a":1,"b":2}')
    await annotate(runs, 1, b'{"a":3}')

    assert await found_by(runs, a=1) == []
    assert await found_by(runs, b=2) == []
    assert await found_by(runs, a=3) == [run_id(1)]


async def test_what_was_noted_of_a_run_goes_with_it(store: Persistence, flow: FlowRow) -> None:
    """And nothing of others."""
    gone, kept = await complete_run(store, flow, 1), await complete_run(store, flow, 2)
    for number in (1, 2):
        await store.write_notes([entry(of=key(number))], [progress(of=key(number))])
        await annotate(store, number, b'{"a":1}')
    await store.delete_runs([gone], ended_before=at(1000))

    found = [
        (len(await store.read_logs(run, limit=9)), len(await store.read_progress(run, limit=9))) for run in (gone, kept)
    ]
    assert found == [(0, 0), (1, 1)]
    assert await store.read_annotations([gone, kept]) == {kept: b'{"a":1}'}
    assert await found_by(store, a=1) == [kept]


@pytest.mark.parametrize(
    ("document", "told", "sound"),
    [
        (b'{"a":1,"b":"x"}', [b'{"a":1}', b'{"b":"x"}'], True),
        (b'{"a":2}', [b'{"a":1,"b":1}', b'{"b":null}', b'{"a":2}'], True),
        (b"{}", [b'{"a":1}', b'{"a":null}'], True),
        (b'{"a":1}', [], False),
        (b'{"a":1}', [b'{"a":2}'], False),
        (b'{"a":1}', [b'{"a":1,"b":1}'], False),
        (b'{"a":1}', [b'{"a":1}', b'{"a":null}'], False),
        (b'{"a":1}', [b'{"a":"1"}'], False),
        (b'{"a":1}', [b'{"a":true}'], False),
    ],
)
async def test_annotations_are_what_was_told_of_them(
    store: Persistence, flow: FlowRow, document: bytes, told: list[bytes], sound: bool
) -> None:
    """I18 compares a run's annotations with what its events come to."""
    await store.insert_runs([new_run(flow)])
    said = [("run.annotated", {"step": "pack", "annotations": json.loads(each)}) for each in told]
    changes = Changes(
        runs=(run_update(run_id(1), status=RunStatus.PENDING, next_sequence=2 + len(said)),),
        annotations=(AnnotationsWrite(run_id=run_id(1), annotations=document),),
        events=(events(run_id(1), 2, said),) if said else (),
    )
    async with store.transaction() as transaction:
        await transaction.load(load_request(run_id(1)))
        await transaction.apply(changes)

    assert set(await store.check_invariants()) == (set() if sound else {"I18_changes_have_events"})


async def test_annotations_that_were_told_and_are_not_there_are_missed(store: Persistence, flow: FlowRow) -> None:
    """An event without its change."""
    await store.insert_runs([new_run(flow)])
    async with store.transaction() as transaction:
        await transaction.load(load_request(run_id(1)))
        await transaction.apply(
            Changes(
                runs=(run_update(run_id(1), status=RunStatus.PENDING, next_sequence=3),),
                events=(events(run_id(1), 2, [("run.annotated", {"annotations": {"a": 1}})]),),
            )
        )

    assert set(await store.check_invariants()) == {"I18_changes_have_events"}
