"""What only these transports promise: dead letters that can be read, and hints that are not overslept."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.adapters.memory import DeadLetter, ManualClock, MemoryTransport, MemoryWakeups
from fairlead.ports.records import TaskKey
from fairlead.ports.transport import Job


def job(element: int = 0, queue: str = "default") -> Job:
    """A job for a task."""
    return Job(run_id="run", queue=queue, task=TaskKey("run", "pack", 1, element))


async def until_asleep(clock: ManualClock) -> None:
    """Let everything that is ready run; then somebody sleeps."""
    for _ in range(5):
        await asyncio.sleep(0)

    assert clock.sleeping


async def test_failed_jobs_are_kept_as_dead_letters() -> None:
    """With the reason, and how often they had been delivered."""
    clock = ManualClock()
    transport = MemoryTransport(clock, visibility_s=10)
    await transport.enqueue([job()])
    await transport.dequeue(queues=["default"], limit=1, wait_s=0)
    clock.advance(10)
    again = await transport.dequeue(queues=["default"], limit=1, wait_s=0)

    await transport.fail(again, reason="malformed")

    assert transport.dead == [DeadLetter(job=job(), reason="malformed", deliveries=2)]
    assert transport.pending == 0


async def test_a_wait_ends_when_a_message_becomes_visible() -> None:
    """Not at its next poll, nor only when its own time is over."""
    clock = ManualClock()
    transport = MemoryTransport(clock, visibility_s=10)
    await transport.enqueue([job()])
    await transport.dequeue(queues=["default"], limit=1, wait_s=0)

    waiting = asyncio.create_task(transport.dequeue(queues=["default"], limit=1, wait_s=3600))
    await until_asleep(clock)
    assert clock.next_wake_s == 10
    clock.advance(10)

    (delivery,) = await waiting
    assert delivery.deliveries == 2


async def test_acknowledged_messages_leave_nothing_to_wait_for() -> None:
    """A wait is not cut short by the visibility of a message that is gone."""
    clock = ManualClock()
    transport = MemoryTransport(clock, visibility_s=10)
    await transport.enqueue([job()])
    await transport.complete(await transport.dequeue(queues=["default"], limit=1, wait_s=0))

    waiting = asyncio.create_task(transport.dequeue(queues=["default"], limit=1, wait_s=60))
    await until_asleep(clock)
    next_wake_s = clock.next_wake_s
    clock.advance(60)

    assert await waiting == []
    assert next_wake_s == 60


@pytest.mark.parametrize("visibility_s", [0, -1])
def test_a_visibility_that_is_no_time_is_refused(visibility_s: float) -> None:
    """A message would be delivered again in the same call."""
    with pytest.raises(ValueError, match="visibility_s"):
        MemoryTransport(ManualClock(), visibility_s=visibility_s)


async def test_a_hint_that_nobody_waited_for_is_kept_once() -> None:
    """The next wait of its queue ends at once; the one after that waits."""
    clock = ManualClock()
    wakeups = MemoryWakeups(clock)
    await wakeups.enqueue([job(queue="cpu"), job(1, queue="cpu")])

    assert await wakeups.listen(queues=["cpu", "mail"], wait_s=60) == {"cpu"}
    waiting = asyncio.create_task(wakeups.listen(queues=["cpu"], wait_s=60))
    await until_asleep(clock)
    clock.advance(60)

    assert not await waiting


async def test_a_kept_hint_is_not_spent_on_another_queue() -> None:
    """Who does not serve the queue waits, and leaves the hint to who does."""
    clock = ManualClock()
    wakeups = MemoryWakeups(clock)
    await wakeups.enqueue([job(queue="cpu")])

    other = asyncio.create_task(wakeups.listen(queues=["mail"], wait_s=60))
    await until_asleep(clock)
    await wakeups.listen(queues=["cpu"], wait_s=60)

    assert not other.done()
    clock.advance(60)
    await other


async def test_a_hint_that_was_heard_is_not_kept() -> None:
    """Whoever waited looks for the work; a later wait is not disturbed."""
    clock = ManualClock()
    wakeups = MemoryWakeups(clock)
    first = asyncio.create_task(wakeups.listen(queues=["cpu"], wait_s=60))
    await until_asleep(clock)
    await wakeups.enqueue([job(queue="cpu")])
    assert await first == {"cpu"}

    second = asyncio.create_task(wakeups.listen(queues=["cpu"], wait_s=60))
    await until_asleep(clock)

    assert not second.done()
    await wakeups.aclose()
    await second
