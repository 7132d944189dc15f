"""The serverless host on PostgreSQL, where the clock is the server's and no call finds it synchronised."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink
from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.jobs import message_of
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, Kernel
from fairlead.ports.statuses import TaskStatus
from fairlead.ports.transport import Job


def _sums() -> Flow[list[int]]:
    flow = Flow("sums", version=1, input=list[int], input_name="numbers", base_delay=0)

    @flow.map(over="numbers")
    async def square(item: int, ctx: Context) -> int:
        if item == 3 and ctx.attempt == 1:
            raise ValueError("not yet")
        return item * item

    @flow.step
    def total(square: list[int]) -> int:
        return sum(square)

    return flow


@pytest.fixture
def sink() -> CollectingSink:
    """Where events are published."""
    return CollectingSink()


@pytest.fixture
async def kernel(migrated_url: str, sink: CollectingSink) -> AsyncGenerator[Kernel]:
    """A kernel of a process that has made no call yet; in the end its store is sound."""
    ports = evolve(postgres_ports(migrated_url), sink=sink)
    async with Kernel(flows=[_sums()], ports=ports) as kernel:
        yield kernel
        assert await ports.persistence.check_invariants() == {}


@pytest.mark.fault(6)
async def test_a_run_s_message_is_carried_out_in_one_call(kernel: Kernel) -> None:
    """Claimed under the server's time, retried and completed; its message again finds nothing to do."""
    run = await kernel.start("sums", [1, 2, 3])
    async with ServerlessHost(kernel) as host:
        report = await host.handle_job({"run_id": run.id})
        assert (report.claimed, report.completed, report.failed, report.acknowledged) == (1, 2, 1, True)
        (failed,) = [task for task in (await run.details()).tasks if task.status is TaskStatus.QUEUED]
        message = message_of(Job(run_id=run.id, queue="default", task=failed.key))
        report = await host.handle_job(message)

        assert (report.claimed, report.completed, report.acknowledged) == (1, 2, True)
        assert await run.result() == {"total": 14}
        assert (await host.handle_job(message)).claimed == 0


async def test_what_waits_is_claimed_by_a_first_call(kernel: Kernel) -> None:
    """A process that has just begun claims, although its clock has not been compared with the server's before."""
    run = await kernel.start("sums", [1, 2, 3])
    async with ServerlessHost(kernel) as host:
        reports = [await host.process_available_jobs(100) for _ in range(2)]

        assert [(report.completed, report.failed, report.unfinished) for report in reports] == [(2, 1, 0), (2, 0, 0)]
        assert await run.result() == {"total": 14}


async def test_a_first_maintenance_tick_does_all_its_steps(kernel: Kernel, sink: CollectingSink) -> None:
    """No step fails, and the events of what was started are published."""
    run = await kernel.start("sums", [1])
    async with ServerlessHost(kernel) as host:
        report = await host.run_maintenance_tick()

    assert not report.errors
    assert {name: count for name, count in report.counts.items() if count} == {"flush": 1}
    assert set(report.counts) >= {"synchronise", "reap", "wake", "expire", "fire", "sweep", "flush", "prune", "collect"}
    assert [event.run_id for event in sink.events] == [run.id]
