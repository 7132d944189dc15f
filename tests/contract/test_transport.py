"""JobTransport: what holds for both kinds, those that deliver and those that only hint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fairlead.ports.records import TaskKey
from fairlead.ports.transport import Delivery, Job, JobTransport
from tests.support.records import at, run_id
from tests.support.scenes import PATIENCE_S, soon
from tests.support.subjects import TransportSubject
from tests.support.waiting import until


def job(element: int = 0, queue: str = "default") -> Job:
    """A queued task."""
    key = TaskKey(run_id(1), "pack", 1, element)
    return Job(run_id=key.run_id, queue=queue, task=key)


PENDING_RUN = Job(run_id=run_id(7), queue="")


async def attend(transport: JobTransport, *queues: str, wait_s: float) -> Sequence[Delivery | str | None]:
    """What a host gets to know: deliveries, or where something may wait."""
    if transport.delivers:
        return [*await transport.dequeue(queues=queues, limit=5, wait_s=wait_s)]
    return [*await transport.listen(queues=queues, wait_s=wait_s)]


async def announce_until_heard(subject: TransportSubject, waiting: asyncio.Task[object], announced: Job) -> None:
    """Announce a job, again if need be: a hint may be lost before the listener listens."""
    async with asyncio.timeout(PATIENCE_S):
        while not waiting.done():
            await subject.transport.enqueue([announced])
            await asyncio.wait({waiting}, timeout=0.05)


async def test_a_transport_declares_its_kind(transport_subject: TransportSubject) -> None:
    """Hosts choose by `delivers` how they get work, and it does not change."""
    assert transport_subject.transport.delivers is transport_subject.transport.delivers


async def test_each_kind_is_asked_in_its_own_way(transport_subject: TransportSubject) -> None:
    """The other way answers nothing, at once, whatever was announced."""
    transport = transport_subject.transport
    await transport.enqueue([job()])

    if transport.delivers:
        assert list(await transport.listen(queues=["default"], wait_s=3600)) == []
    else:
        assert list(await transport.dequeue(queues=["default"], limit=5, wait_s=3600)) == []


async def test_without_jobs_waiting_ends_when_its_time_is_over(transport_subject: TransportSubject) -> None:
    """Empty, not done before and done after, unless a listener has only begun to listen meanwhile."""
    transport = transport_subject.transport
    async with asyncio.timeout(PATIENCE_S):
        while True:
            waiting = asyncio.create_task(attend(transport, "default", wait_s=0.2))
            await asyncio.sleep(0)
            waited = not waiting.done()
            await transport_subject.pass_time(0.2)
            if not await waiting:
                break

    assert waited


async def test_an_announced_task_wakes_who_waits(transport_subject: TransportSubject) -> None:
    """Long before the wait is over."""
    transport = transport_subject.transport
    waiting = asyncio.create_task(attend(transport, "other", "default", wait_s=3600))

    await announce_until_heard(transport_subject, waiting, job())

    heard = await waiting
    assert (job() if transport.delivers else "default") in [getattr(each, "job", each) for each in heard]


async def test_an_announced_run_wakes_whoever_waits(transport_subject: TransportSubject) -> None:
    """Pending runs have no queue; they concern a host of any queues, or of none."""
    transport = transport_subject.transport
    for queues in (["gpu"], []):
        waiting = asyncio.create_task(attend(transport, *queues, wait_s=3600))

        await announce_until_heard(transport_subject, waiting, PENDING_RUN)

        heard = await waiting
        assert (PENDING_RUN if transport.delivers else None) in [getattr(each, "job", each) for each in heard]
        await transport.complete([each for each in heard if isinstance(each, Delivery)])


async def test_an_announcement_is_not_overslept(transport_subject: TransportSubject) -> None:
    """A host that always waits hears of every job, though it was announced between two waits."""
    transport = transport_subject.transport
    for element in range(3):
        waiting = asyncio.create_task(attend(transport, "default", wait_s=3600))
        await announce_until_heard(transport_subject, waiting, job(element))
        heard = await waiting
        assert heard
        await transport.complete([each for each in heard if isinstance(each, Delivery)])


async def test_announcing_nothing_is_no_error(transport_subject: TransportSubject) -> None:
    """An empty list of jobs, and empty lists of deliveries."""
    transport = transport_subject.transport

    await transport.enqueue([])
    await transport.complete([])
    await transport.suspend([], delay_s=1)
    await transport.fail([], reason="none")
    await transport.extend([], visibility_s=1)

    assert await attend(transport, "default", wait_s=0) == []


async def test_an_end_wakes_whoever_watches_the_run(transport_subject: TransportSubject) -> None:
    """Where the transport can tell of it: while somebody waits, and just before."""
    transport = transport_subject.transport
    await transport.tell_ended([])
    await transport.tell_ended([run_id(1)])
    with transport.watch(run_id(1)) as watch:
        assert (watch is None) == transport.delivers
        if watch is None:
            return
        await until(lambda: watch.hears)
        waiting = asyncio.create_task(watch.wait(3600))
        await asyncio.sleep(0)
        await transport.tell_ended([run_id(2), run_id(1)])
        await asyncio.wait_for(waiting, PATIENCE_S)
        await transport.tell_ended([run_id(1)])
        await asyncio.wait_for(watch.wait(3600), PATIENCE_S)


async def test_an_unknown_receipt_is_ignored(transport_subject: TransportSubject) -> None:
    """A receipt from before a restart, or from elsewhere, changes nothing."""
    transport = transport_subject.transport
    await transport.enqueue([job()])
    unknown = [Delivery(job=job(), receipt=receipt, deliveries=1) for receipt in ("", "nonsense", "1.99", "99.1")]

    await transport.complete(unknown)
    await transport.suspend(unknown, delay_s=100)
    await transport.fail(unknown, reason="unknown")
    await transport.extend(unknown, visibility_s=100)

    found = await transport.dequeue(queues=["default"], limit=5, wait_s=0)
    assert [delivery.job for delivery in found] == ([job()] if transport.delivers else [])


async def test_jobs_with_every_field_are_announced(transport_subject: TransportSubject) -> None:
    """Long names, other alphabets and a time before which looking is in vain: none is an error."""
    odd = TaskKey(run_id(1), "x" * 128, 12, 99_999)
    jobs = [
        Job(run_id=run_id(1), queue="q" * 128, task=odd, not_before=at(3600)),
        Job(run_id=run_id(1), queue="caf\u00e9 '; --", task=odd),
        *[job(element) for element in range(1000)],
    ]

    transport = transport_subject.transport
    await transport.enqueue(jobs)

    found = await transport.dequeue(queues=[jobs[1].queue], limit=5, wait_s=0)
    assert [delivery.job for delivery in found] == ([jobs[1]] if transport.delivers else [])


async def test_waiting_can_be_cancelled(transport_subject: TransportSubject) -> None:
    """A host that stops leaves nobody behind, and the transport works on."""
    transport = transport_subject.transport
    waiting = asyncio.create_task(attend(transport, "default", wait_s=3600))
    await asyncio.sleep(0)

    waiting.cancel()
    await soon(waiting)

    assert waiting.cancelled()
    again = asyncio.create_task(attend(transport, "default", wait_s=3600))
    await announce_until_heard(transport_subject, again, job())


async def test_closing_wakes_everyone_who_waits(transport_subject: TransportSubject) -> None:
    """Nobody waits for a transport that is closed; closing twice is harmless."""
    transport = transport_subject.transport
    waiting = [asyncio.create_task(attend(transport, queue, wait_s=3600)) for queue in ("default", "gpu")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    await transport.aclose()

    for task in waiting:
        assert list(await asyncio.wait_for(task, PATIENCE_S)) == []
    await transport.aclose()
