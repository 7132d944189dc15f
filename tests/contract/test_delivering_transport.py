"""JobTransport that delivers: messages with receipts and visibility, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fairlead.ports.records import TaskKey
from fairlead.ports.transport import Delivery, Job, JobTransport
from tests.support.records import run_id
from tests.support.scenes import PATIENCE_S
from tests.support.subjects import TransportSubject


def job(element: int = 0, queue: str = "default") -> Job:
    """A queued task."""
    key = TaskKey(run_id(1), "pack", 1, element)
    return Job(run_id=key.run_id, queue=queue, task=key)


async def take(transport: JobTransport, *queues: str, limit: int = 10) -> Sequence[Delivery]:
    """What is delivered at once."""
    return await transport.dequeue(queues=list(queues) or ["default"], limit=limit, wait_s=0)


async def test_a_job_arrives_as_it_was_announced(delivering: TransportSubject) -> None:
    """Run, queue and task, with a receipt, for the first time."""
    assert delivering.transport.delivers
    await delivering.transport.enqueue([job(3)])

    (delivery,) = await take(delivering.transport)

    assert delivery.job == job(3)
    assert delivery.receipt
    assert delivery.deliveries == 1


async def test_jobs_arrive_by_queue(delivering: TransportSubject) -> None:
    """A caller gets the jobs of its queues, and pending runs whatever its queues."""
    pending = Job(run_id=run_id(7), queue="")
    await delivering.transport.enqueue([job(1, "cpu"), job(2, "gpu"), job(3, "io")])

    assert [found.job for found in await take(delivering.transport, "gpu")] == [job(2, "gpu")]
    await delivering.transport.enqueue([pending])
    assert [found.job for found in await take(delivering.transport, "none")] == [pending]
    assert {found.job for found in await take(delivering.transport, "io", "cpu")} == {job(1, "cpu"), job(3, "io")}


async def test_at_most_the_limit_is_delivered(delivering: TransportSubject) -> None:
    """The rest waits for the next caller."""
    await delivering.transport.enqueue([job(n) for n in range(5)])

    first = await take(delivering.transport, limit=3)
    rest = await take(delivering.transport, limit=3)

    assert (len(first), len(rest)) == (3, 2)
    assert {found.job for found in (*first, *rest)} == {job(n) for n in range(5)}


async def test_concurrent_callers_share_nothing(delivering: TransportSubject) -> None:
    """A delivered job is invisible to others."""
    await delivering.transport.enqueue([job(n) for n in range(20)])

    answers = await asyncio.gather(*(take(delivering.transport, limit=4) for _ in range(8)))

    found = [delivery.job for answer in answers for delivery in answer]
    assert len(found) == len(set(found)) == 20


async def test_an_acknowledged_job_never_comes_again(delivering: TransportSubject) -> None:
    """Also after its visibility has ended."""
    await delivering.transport.enqueue([job(1), job(2)])
    first, _ = await take(delivering.transport)

    await delivering.transport.complete([first])
    await delivering.pass_time(delivering.visibility_s)

    assert [found.job for found in await take(delivering.transport)] == [job(2) if first.job == job(1) else job(1)]


@pytest.mark.fault(45)
async def test_a_job_that_was_not_acknowledged_comes_again(delivering: TransportSubject) -> None:
    """When its visibility ends, not before, with another receipt and counted."""
    await delivering.transport.enqueue([job()])
    (first,) = await take(delivering.transport)

    await delivering.pass_time(delivering.visibility_s / 2)
    assert list(await take(delivering.transport)) == []
    await delivering.pass_time(delivering.visibility_s / 2)
    (second,) = await take(delivering.transport)

    assert second.job == job()
    assert second.receipt != first.receipt
    assert second.deliveries == 2


async def test_who_waits_gets_a_job_whose_visibility_ends(delivering: TransportSubject) -> None:
    """A redelivery needs no announcement."""
    await delivering.transport.enqueue([job()])
    await take(delivering.transport)
    waiting = asyncio.create_task(delivering.transport.dequeue(queues=["default"], limit=1, wait_s=3600))

    await delivering.pass_time(delivering.visibility_s)

    (found,) = await asyncio.wait_for(waiting, PATIENCE_S)
    assert found.job == job()


@pytest.mark.fault(45)
async def test_a_stale_receipt_acknowledges_nothing(delivering: TransportSubject) -> None:
    """Who was too slow cannot take the job from the one who has it now."""
    await delivering.transport.enqueue([job()])
    (stale,) = await take(delivering.transport)
    await delivering.pass_time(delivering.visibility_s)
    (held,) = await take(delivering.transport)

    await delivering.transport.complete([stale])
    await delivering.transport.fail([stale], reason="stale")
    await delivering.transport.suspend([stale], delay_s=0)
    await delivering.transport.extend([stale], visibility_s=10 * delivering.visibility_s)

    assert list(await take(delivering.transport)) == []
    await delivering.pass_time(delivering.visibility_s)
    (again,) = await take(delivering.transport)
    assert again.deliveries == held.deliveries + 1


async def test_a_suspended_job_comes_again_after_its_delay(delivering: TransportSubject) -> None:
    """At the earliest; its old receipt is stale."""
    await delivering.transport.enqueue([job()])
    (first,) = await take(delivering.transport)

    await delivering.transport.suspend([first], delay_s=2 * delivering.visibility_s)
    await delivering.pass_time(1.9 * delivering.visibility_s)
    assert list(await take(delivering.transport)) == []
    await delivering.pass_time(0.1 * delivering.visibility_s)
    (second,) = await take(delivering.transport)

    await delivering.transport.complete([first])
    assert second.job == job()
    await delivering.pass_time(delivering.visibility_s)
    assert len(await take(delivering.transport)) == 1


async def test_a_job_can_be_given_back_at_once(delivering: TransportSubject) -> None:
    """Suspended without delay it is for the next caller, also for one who waits already."""
    await delivering.transport.enqueue([job()])
    (first,) = await take(delivering.transport)
    waiting = asyncio.create_task(delivering.transport.dequeue(queues=["default"], limit=1, wait_s=3600))
    await asyncio.sleep(0)

    await delivering.transport.suspend([first], delay_s=0)

    (second,) = await asyncio.wait_for(waiting, PATIENCE_S)
    assert (second.job, second.receipt != first.receipt) == (job(), True)


@pytest.mark.fault(40, 49)
async def test_a_failed_job_is_out_of_the_way(delivering: TransportSubject) -> None:
    """It is never delivered again, and the others are."""
    await delivering.transport.enqueue([job(1)])
    (bad,) = await take(delivering.transport)
    await delivering.transport.enqueue([job(2)])

    await delivering.transport.fail([bad], reason="malformed")
    await delivering.pass_time(10 * delivering.visibility_s)

    assert [found.job for found in await take(delivering.transport)] == [job(2)]


@pytest.mark.fault(45)
async def test_a_job_can_be_kept_invisible_for_longer(delivering: TransportSubject) -> None:
    """From now on for as long as the holder asks; its receipt stays good."""
    await delivering.transport.enqueue([job()])
    (held,) = await take(delivering.transport)

    await delivering.pass_time(delivering.visibility_s / 2)
    await delivering.transport.extend([held], visibility_s=delivering.visibility_s)
    await delivering.pass_time(delivering.visibility_s * 0.9)
    assert list(await take(delivering.transport)) == []
    await delivering.transport.extend([held], visibility_s=delivering.visibility_s)
    await delivering.transport.complete([held])
    await delivering.pass_time(10 * delivering.visibility_s)

    assert list(await take(delivering.transport)) == []


@pytest.mark.fault(38)
async def test_a_job_announced_twice_can_be_acknowledged_away(delivering: TransportSubject) -> None:
    """A duplicate is delivered once or twice, and is gone when every delivery is acknowledged."""
    await delivering.transport.enqueue([job()])
    await delivering.transport.enqueue([job(), job()])

    found = await take(delivering.transport)
    await delivering.transport.complete(found)
    await delivering.pass_time(10 * delivering.visibility_s)

    assert {delivery.job for delivery in found} == {job()}
    assert 1 <= len(found) <= 3
    assert list(await take(delivering.transport)) == []


async def test_an_acknowledgement_can_be_repeated(delivering: TransportSubject) -> None:
    """After an unknown answer the same call is made again; a later announcement of the job is another message."""
    await delivering.transport.enqueue([job()])
    found = await take(delivering.transport)

    await delivering.transport.complete(found)
    await delivering.transport.complete(found)
    await delivering.transport.enqueue([job()])
    await delivering.transport.complete(found)

    assert [delivery.job for delivery in await take(delivering.transport)] == [job()]


async def test_jobs_that_wait_survive_a_closing(delivering: TransportSubject) -> None:
    """Closing a transport closes this end of it, not the queue: what is announced stays announced."""
    await delivering.transport.enqueue([job()])

    await delivering.transport.aclose()

    assert [delivery.job for delivery in await take(delivering.transport)] == [job()]
