"""The doctor, on both adapters: what is broken, what is in trouble, and what is well."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Diagnosis, EventRecord, Flow, Kernel, Severity, Suspend
from fairlead.ports import Ports
from tests.support.hands import Hands
from tests.support.large_payloads import World

PATIENCE_S = 30.0


def greet() -> Flow[str]:
    """One step that gives back its input."""
    flow = Flow("greet", version=1, input=str, input_name="name")

    @flow.step
    def hello(name: str) -> str:
        return name

    return flow


def named(found: Diagnosis) -> dict[str, int]:
    """How many each finding counts, by its name."""
    return {finding.name: finding.count for finding in found.findings}


async def test_all_is_well_with_an_empty_store_and_with_one_at_work(world: Ports) -> None:
    """What has just been put down is not overdue."""
    flow = greet()
    kernel = Kernel(flows=[flow], ports=world)
    assert (await kernel.doctor()).healthy
    await kernel.start(flow, "one")
    hands = Hands(kernel)
    await hands.claim_runs()
    await kernel.start(flow, "two")

    found = await kernel.doctor(blobs=True)

    assert found.healthy, found.findings
    assert set(found.checks) >= {"invariants", "hosts", "leases", "waits", "events", "blobs"}


async def test_what_nobody_deals_with_is_trouble(world: Ports, clock: ManualClock) -> None:
    """A run that no host can take, a lease that nobody takes back, events that nobody publishes."""
    flow = greet()
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    await kernel.start(flow, "one")
    await hands.claim_runs()
    await hands.claim_task()
    await kernel.start(flow, "two")
    clock.advance(timedelta(hours=1))

    found = await kernel.doctor()

    assert named(found) == {"no_host": 1, "overdue_leases": 1, "sink_unserved": 4}
    assert {finding.severity for finding in found.findings} == {Severity.TROUBLE}
    assert any("1 run of greet (version 1) waits, and no host" in finding.what for finding in found.findings)


@pytest.mark.fault(60)
async def test_payloads_that_are_not_what_was_written_are_broken(watched: World) -> None:
    """Invariant I28: each reference resolves with its length and digest, or is named."""
    flow = greet()
    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, "x" * 100_000)
        await run.result(timeout=PATIENCE_S)
    assert (await kernel.doctor(blobs=True)).healthy
    gone = [key for key in await watched.blobs.keys() if "/hello/" in key]
    for key in gone:
        await watched.blobs.delete(key)
    watched.blobs.damaged = lambda key, data: data[:-1] + b"y"

    found = await kernel.doctor(blobs=True)

    (finding,) = found.findings
    assert (finding.severity, finding.name, finding.count) == (Severity.BROKEN, "I28_references_resolve", 2)
    assert [run.id in row for row in finding.rows] == [True, True]
    assert (await kernel.doctor()).healthy


async def test_the_doctor_needs_no_code(world: Ports, sink: CollectingSink) -> None:
    """A kernel without flows sees the same."""
    flow = greet()
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.start(flow, "one")
    await Hands(kernel).drain("one")

    assert (await Kernel(flows=[], ports=evolve(world, sink=None)).doctor()).healthy


async def test_what_waits_with_payloads_that_are_gone_is_broken(watched: World) -> None:
    """Invariant I28 holds of the states of suspended steps too, of kept signals, and of inputs that wait."""
    flow = Flow("patient", version=1, input=str)

    @flow.step
    def submit(input: str) -> str | Suspend[str]:
        return Suspend(state=input, check_after=3600)

    @flow.check(submit)
    def is_done(state: str) -> str:
        return state

    answer = flow.signal("answer", str, after=[submit])
    suspended = asyncio.Event()

    async def notice(_: EventRecord) -> None:
        suspended.set()

    kernel, large = watched.kernel(flow), "x" * 100_000
    kernel.subscribe("step.suspended", notice, name="test")
    await kernel.schedule(flow, cron="@yearly", input=large)
    async with NodeHost(kernel):
        run = await kernel.start(flow, large)
        async with asyncio.timeout(PATIENCE_S):
            await suspended.wait()
        await run.signal(answer, large)
    assert (await kernel.doctor(blobs=True)).healthy
    for key in await watched.blobs.keys():
        await watched.blobs.delete(key)

    (finding,) = (await kernel.doctor(blobs=True)).findings

    assert [row.partition(":")[0] for row in finding.rows] == [
        f"input of run {run.id}",
        f"state of submit[0] in run {run.id}",
        f"signal for answer in run {run.id}",
        "input of cron/patient",
    ]
