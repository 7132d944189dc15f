"""EventSink: what it accepts is a prefix of what it is given."""

from __future__ import annotations

from fairlead.ports.outbox import EventRecord
from tests.support.records import at, run_id
from tests.support.subjects import SinkSubject


def event(sequence: int, *, run: int = 1) -> EventRecord:
    """One event of a run."""
    return EventRecord(
        run_id=run_id(run),
        flow="orders",
        generation=1,
        sequence=sequence,
        type="step.started",
        step="pack",
        at=at(sequence),
        data=b'{"type":"step.started","step":"pack","tasks":1}',
    )


async def publish_all(subject: SinkSubject, batch: list[EventRecord]) -> None:
    """Publish as a flusher does: what was not accepted comes again, first."""
    turns = 0
    while batch:
        accepted = await subject.sink.publish(batch)
        assert 0 <= accepted <= len(batch)
        batch = batch[accepted:]
        turns += 1
        assert turns < 100, "the sink accepts nothing more"


async def test_events_arrive_whole_and_in_order(sink_subject: SinkSubject) -> None:
    """What is accepted is what was published, in sequence."""
    batch = [event(sequence) for sequence in range(1, 6)]

    await publish_all(sink_subject, batch)

    assert list(sink_subject.accepted()) == batch


async def test_an_empty_batch_is_accepted(sink_subject: SinkSubject) -> None:
    """Nothing published, nothing accepted, no error."""
    assert await sink_subject.sink.publish([]) == 0
    assert list(sink_subject.accepted()) == []


async def test_events_that_come_again_are_taken_again_or_recognised(sink_subject: SinkSubject) -> None:
    """At-least-once: a repetition is accepted; after deduplication every event is there once, in order."""
    await publish_all(sink_subject, [event(1), event(2)])
    await publish_all(sink_subject, [event(1), event(2), event(3)])

    first_seen = dict.fromkeys(found.sequence for found in sink_subject.accepted())
    assert list(first_seen) == [1, 2, 3]


async def test_runs_do_not_mix(sink_subject: SinkSubject) -> None:
    """Equal sequence numbers of different runs are different events."""
    await publish_all(sink_subject, [event(1, run=1)])
    await publish_all(sink_subject, [event(1, run=2)])

    assert {(found.run_id, found.sequence) for found in sink_subject.accepted()} == {(run_id(1), 1), (run_id(2), 1)}


async def test_a_sink_can_be_closed_twice(sink_subject: SinkSubject) -> None:
    """Closing again is harmless, and what was accepted stays accepted."""
    await publish_all(sink_subject, [event(1)])

    await sink_subject.sink.aclose()
    await sink_subject.sink.aclose()

    assert [found.sequence for found in sink_subject.accepted()] == [1]
