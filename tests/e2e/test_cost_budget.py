"""What workloads may cost on PostgreSQL: statements, round trips and row writes. Counts, on whatever machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractContextManager

import psycopg
import pytest
from attrs import define, evolve

from fairlead.adapters.memory import CollectingSink, MemoryWakeups
from fairlead.adapters.postgres import migration_sql, postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, Start
from fairlead.kernel.commands import SettleTasks
from fairlead.ports import EventSink
from fairlead.ports.outbox import EventRecord
from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands
from tests.support.wire import Traffic, counted

ROW_WRITES_PER_RUN_MAX = 14
"""Of a run of one step, from its start to the publication of its events."""

ROW_WRITES_PER_MAP_TASK_MAX = 4
STATEMENTS_PER_SETTLE_MAX = 9
ROUND_TRIPS_PER_SETTLE_MAX = 2
IDLE_STATEMENTS_PER_S_MAX = 1
STATEMENTS_OF_WAITING_PER_S_MAX = 1

PATIENCE_S = 30.0

ROW_WRITES = (
    b"SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::integer FROM pg_stat_user_tables WHERE schemaname = 'fairlead'"
)

OTHERS = (
    b"SELECT count(*) FROM pg_stat_activity"
    b" WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@define
class Database:
    """A database with the tables, reached through a proxy that counts."""

    url: str
    direct_url: str
    traffic: Traffic

    def kernel(self, flow: Flow[int] | Flow[list[int]], *, sink: EventSink | None = None) -> Kernel:
        """A kernel over it."""
        return Kernel(flows=[flow], ports=postgres_ports(self.url, sink=sink))

    def silent_kernel(self, flow: Flow[int] | Flow[list[int]]) -> Kernel:
        """One that sends no wake-ups, which are statements of their own at times of their own."""
        ports = postgres_ports(self.url)
        return Kernel(flows=[flow], ports=evolve(ports, transport=MemoryWakeups(ports.clock)))

    async def row_writes(self) -> int:
        """Rows written so far. Counters arrive when connections end, so this waits for the last to be gone."""
        async with (
            asyncio.timeout(PATIENCE_S),
            await psycopg.AsyncConnection.connect(self.direct_url, autocommit=True) as connection,
        ):
            while await _value(connection, OTHERS):
                pass
            return await _value(connection, ROW_WRITES)


async def _value(connection: psycopg.AsyncConnection[tuple[int, ...]], query: bytes) -> int:
    return (await (await connection.execute(query)).fetchall())[0][0]


@pytest.fixture
def direct_url(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[str]:
    """A fresh database with the tables."""
    with database_factory(template_factory("migrated", _create_tables)) as url:
        yield url


def _create_tables(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(migration_sql().encode())


@pytest.fixture
async def database(direct_url: str) -> AsyncGenerator[Database]:
    """The same, behind the proxy."""
    async with counted(direct_url) as (url, traffic):
        yield Database(url, direct_url, traffic)


def one_step() -> Flow[int]:
    """A flow of a single step."""
    flow = Flow("one_step", version=1, input=int, input_name="number")

    @flow.step
    async def double(number: int) -> int:
        return 2 * number

    return flow


def chain() -> Flow[int]:
    """A flow of five steps, each of which needs the one before."""
    flow = Flow("chain", version=1, input=int, input_name="number")

    @flow.step
    async def first(number: int) -> int:
        return number + 1

    @flow.step
    async def second(first: int) -> int:
        return first + 1

    @flow.step
    async def third(second: int) -> int:
        return second + 1

    @flow.step
    async def fourth(third: int) -> int:
        return third + 1

    @flow.step
    async def fifth(fourth: int) -> int:
        return fourth + 1

    return flow


def fan_out() -> Flow[list[int]]:
    """A flow that maps over its input and sums up."""
    flow = Flow("fan_out", version=1, input=list[int], input_name="numbers")

    @flow.map(over="numbers")
    async def double(item: int) -> int:
        return 2 * item

    @flow.step
    async def total(double: list[int]) -> int:
        return sum(double)

    return flow


class AwaitedSink(CollectingSink):
    """A sink that says when so many runs have been published to their end."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.complete = asyncio.Event()
        self._missing = runs

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        self._missing -= sum(event.type == "run.completed" for event in batch)
        if self._missing <= 0:
            self.complete.set()
        return await super().publish(batch)


async def test_the_proxy_counts_statements_and_round_trips(database: Database) -> None:
    """Three statements in one pipeline are one round trip; a query of its own is one more."""
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as connection:
        database.traffic.reset()
        async with connection.pipeline():
            for number in range(3):
                await connection.execute("SELECT %s::integer", (number,))
        pipelined = (database.traffic.statements, database.traffic.round_trips)
        await connection.execute("SELECT 1")

        assert pipelined == (3, 1)
        assert (database.traffic.statements, database.traffic.round_trips) == (4, 2)


async def test_row_writes_of_one_step_runs(database: Database) -> None:
    """A one-step run stays within its row writes, its events published included."""
    runs = 200
    sink = AwaitedSink(runs)
    before = await database.row_writes()
    async with database.kernel(one_step(), sink=sink) as kernel:
        handles = await kernel.start_many("one_step", [Start(input=number) for number in range(runs)])
        async with NodeHost(kernel), asyncio.timeout(PATIENCE_S):
            for number, handle in enumerate(handles):
                assert await handle.result(timeout=PATIENCE_S) == {"double": 2 * number}
            await sink.complete.wait()
    written = (await database.row_writes() - before) / runs

    assert 0 < written <= ROW_WRITES_PER_RUN_MAX


@pytest.mark.parametrize("elements", [100, 1_000])
async def test_row_writes_of_map_tasks(database: Database, elements: int) -> None:
    """A map task stays within its row writes, whatever the number of elements and however few slots there are."""
    async with database.kernel(fan_out()) as kernel:
        handle = await kernel.start("fan_out", list(range(elements)))
        async with NodeHost(kernel, concurrency=20):
            assert await handle.result(timeout=PATIENCE_S) == {"total": elements * (elements - 1)}
    of_the_run = 30  # the flow, the run, its two steps, their events, the last task
    written = (await database.row_writes() - of_the_run) / elements

    assert 0 < written <= ROW_WRITES_PER_MAP_TASK_MAX


@pytest.mark.parametrize("size", [1, 50, 500])
@pytest.mark.parametrize("hands_over", [False, True], ids=["queued", "handed over"])
async def test_a_settled_batch_of_many_runs(database: Database, size: int, hands_over: bool) -> None:
    """A batch that completes a step and makes the next one ready costs the same, however many runs it holds."""
    async with database.silent_kernel(chain()) as kernel:
        await kernel.start_many("chain", [Start(input=number) for number in range(size)])
        hands = Hands(kernel, slots=size)
        tasks = await _claimed(hands, size)
        hands.slots = size if hands_over else 0
        await _assert_settled_within_budget(database, hands, tasks)


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_a_settled_batch_that_ends_runs(database: Database, size: int) -> None:
    """A batch that completes runs stays within the budget too."""
    async with database.silent_kernel(one_step()) as kernel:
        await kernel.start_many("one_step", [Start(input=number) for number in range(size)])
        hands = Hands(kernel, slots=size)
        await _assert_settled_within_budget(database, hands, await _claimed(hands, size))


@pytest.mark.parametrize("size", [1, 500])
async def test_a_settled_batch_of_one_map(database: Database, size: int) -> None:
    """The tasks of one map, which share their run and step, stay within the budget."""
    async with database.silent_kernel(fan_out()) as kernel:
        await kernel.start("fan_out", list(range(2 * size)))
        hands = Hands(kernel, slots=0)
        await hands.claim_runs()
        await _assert_settled_within_budget(database, hands, await hands.claim_tasks(size))


async def _claimed(hands: Hands, size: int) -> list[ClaimedTask]:
    tasks = await hands.claim_runs(limit=size)

    assert len(tasks) == size
    return tasks


async def _assert_settled_within_budget(database: Database, hands: Hands, tasks: list[ClaimedTask]) -> None:
    outcomes = [hands.completed(task, 1) for task in tasks]
    database.traffic.reset()
    await hands.kernel.dispatch(SettleTasks(outcomes=tuple(outcomes), capacity=hands.capacity()))
    statements, round_trips = database.traffic.statements, database.traffic.round_trips

    assert 0 < statements <= STATEMENTS_PER_SETTLE_MAX
    assert 0 < round_trips <= ROUND_TRIPS_PER_SETTLE_MAX


async def test_waiting_for_a_run(database: Database) -> None:
    """Whoever waits for a run is told of its end, and asks for it next to never meanwhile."""
    warm_s, watched_s = 1.0, 3.0
    async with database.kernel(one_step()) as client, database.kernel(one_step()) as kernel:
        handle = await client.start("one_step", 1)
        result = asyncio.create_task(handle.result(timeout=PATIENCE_S))
        await asyncio.sleep(warm_s)
        database.traffic.reset()
        await asyncio.sleep(watched_s)
        statements = database.traffic.statements
        async with NodeHost(kernel):
            assert await result == {"double": 2}

    assert statements <= STATEMENTS_OF_WAITING_PER_S_MAX * watched_s


LET_WAIT = b"""
INSERT INTO fairlead.runs (
    id, flow_id, flow, version, fingerprint, request_digest, status, created_at, started_at, deadline_at, input
)
SELECT
    gen_random_uuid(), r.flow_id, r.flow, r.version, r.fingerprint, 'digest', 'running', now(), now(),
    now() + interval '2 days', '1'
FROM fairlead.runs AS r
CROSS JOIN generate_series(1, %s)
"""
LET_SLEEP = b"""
INSERT INTO fairlead.tasks (
    run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, status, waits_for, wake_at
)
SELECT r.id, 'nap', 1, 0, r.flow_id, 'default', 0, now(), now(), 'suspended', 'time', now() + interval '1 day'
FROM fairlead.runs AS r
WHERE r.status = 'running'
"""


@pytest.mark.parametrize("waiting", [0, 100_000])
async def test_an_idle_host(database: Database, waiting: int) -> None:
    """A host that worked and has nothing left to do soon asks no more than once a second, however many runs wait."""
    warm_s, watched_s = 2.0, 4.0
    async with database.kernel(one_step(), sink=CollectingSink()) as kernel:
        handle = await kernel.start("one_step", 1)
        async with NodeHost(kernel):
            await handle.result(timeout=PATIENCE_S)
            async with await psycopg.AsyncConnection.connect(database.direct_url) as connection:
                await connection.execute(LET_WAIT, [waiting])
                await connection.execute(LET_SLEEP)
            await asyncio.sleep(warm_s)
            database.traffic.reset()
            began = time.monotonic()
            await asyncio.sleep(watched_s)
            statements, took_s = database.traffic.statements, time.monotonic() - began

    assert 0 < statements <= IDLE_STATEMENTS_PER_S_MAX * took_s + 1  # the first second has its statement too
