"""Acceptance behaviour 12: what is put down on a caller's connection commits or rolls back with their transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from attrs import evolve, frozen

from fairlead.kernel import (
    ConnectionsUnsupported,
    Deferred,
    DeferredNotFound,
    Flow,
    FlowDefinitionError,
    IdempotencyConflict,
    InvalidConnection,
    InvalidInput,
    InvalidSignal,
    Kernel,
    NotASignal,
    RunFilter,
    RunHandle,
    RunNotFound,
    RunStatus,
    SignalConflict,
    SignalNotAwaited,
    SignalSpent,
    Start,
    TransactionFailed,
)
from fairlead.ports import CallerConnection, Ports
from fairlead.ports.errors import AdapterError
from tests.support.hands import Hands
from tests.support.postgres_callers import ASYNCHRONOUS, BLOCKING, KINDS
from tests.support.subjects import AdapterSubject, Caller, CallersSubject, Opened

CALLERS = 50
UNKNOWN = "0197f000-0000-7000-8000-000000000001"
NOT_EASY = 'a "b" \\ \n\t\u007f\u0085\u2028 é 漢 \U0001f600 \\u0000 %s %(x)s :given $1 {}'


@frozen
class Order:
    """The input."""

    id: int
    note: str = ""


@frozen
class Approval:
    """What a signal carries."""

    by: str


def order_flow() -> Flow[Order]:
    """An approval, and a step behind it."""
    flow = Flow("order", version=1, input=Order, input_name="order")
    flow.signal("approval", Approval)

    @flow.step
    def ship(order: Order, approval: Approval) -> str:
        return f"{order.id} {approval.by}"

    return flow


@pytest.fixture
async def subject(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[CallersSubject]:
    """A store that callers reach too. At the end of a test every invariant holds."""
    if adapter.open_callers is None:
        pytest.skip("this adapter has no transactions of callers")
    async with adapter.open_callers() as made:
        yield made

        assert await made.ports.persistence.check_invariants() == {}


@pytest.fixture
def flow() -> Flow[Order]:
    """What is started."""
    return order_flow()


@pytest.fixture
def kernel(subject: CallersSubject, flow: Flow[Order]) -> Kernel:
    """A kernel that has it."""
    return Kernel(flows=[flow], ports=subject.ports)


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, subject: CallersSubject) -> Opened:
    """How to become a caller, of one kind after the other."""
    return subject.open[request.param]


@pytest.fixture
async def caller(opened: Opened) -> AsyncGenerator[Caller]:
    """A caller."""
    async with opened() as made:
        yield made


async def start(kernel: Kernel, caller: Caller, order: Order, *, key: str | None = None) -> RunHandle:
    """Start on a caller's connection; where that blocks, in a thread, so that others may go on."""
    if not caller.blocks:
        return await kernel.start("order", order, key=key, connection=caller.connection)
    return await asyncio.to_thread(kernel.start_sync, "order", order, key=key, connection=caller.connection)


async def started(kernel: Kernel) -> list[str]:
    """The ids of all runs that are there."""
    return [run.id for run in (await kernel.runs()).runs]


# Starting


async def test_a_run_is_there_once_its_caller_commits(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """With its first events and all else that it was started with; before that nobody else sees anything."""
    run = await kernel.start(
        flow, Order(1), key="k", priority=3, annotations={"shop": "berlin"}, connection=caller.connection
    )
    assert run.created
    with pytest.raises(RunNotFound):
        await run.read()
    assert await started(kernel) == []

    await caller.commit()

    record = await run.read()
    assert (record.status, record.key, record.priority) == (RunStatus.PENDING, "k", 3)
    assert [event.type for event in (await run.details()).events] == ["run.created", "run.annotated"]
    assert [each.id for each in (await kernel.runs(RunFilter(annotations={"shop": "berlin"}))).runs] == [run.id]
    assert await Hands(kernel).claimed_run_ids() == [run.id]


async def test_a_run_is_gone_with_a_rollback(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """Its key is free, and the caller's connection goes on."""
    await kernel.start(flow, Order(1), key="k", annotations={"a": 1}, connection=caller.connection)
    await caller.roll_back()
    assert await started(kernel) == []

    run = await kernel.start(flow, Order(2), key="k", connection=caller.connection)
    await caller.commit()

    assert run.created
    assert await started(kernel) == [run.id]


async def test_what_is_stored_is_what_a_start_without_a_connection_stores(
    kernel: Kernel, flow: Flow[Order], caller: Caller
) -> None:
    """Byte for byte, so a repetition is the same whichever way it comes."""
    order = Order(2**62, NOT_EASY)
    alone = await kernel.start(flow, order, key="alone")
    run = await kernel.start(flow, order, key="joined", connection=caller.connection)
    await caller.commit()

    stored = (await kernel.ports.persistence.read_payloads((alone.id, run.id), ())).runs
    assert stored[run.id] == stored[alone.id]
    assert (await kernel.start(flow, order, key="joined")).id == run.id
    again = await kernel.start(flow, order, key="alone", connection=caller.connection)
    assert (again.id, again.created) == (alone.id, False)


async def test_a_conflict_leaves_the_transaction_usable(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """So does whatever else is wrong with the call; what the caller did before and does after it is committed."""
    first = await kernel.start(flow, Order(1), key="k")
    await caller.execute("CREATE TABLE before ()")
    with pytest.raises(IdempotencyConflict, match=first.id):
        await kernel.start(flow, Order(2), key="k", connection=caller.connection)
    with pytest.raises(InvalidInput):
        await kernel.start("order", {"id": "one"}, connection=caller.connection)
    mine = await kernel.start(flow, Order(3), key="mine", connection=caller.connection)
    with pytest.raises(IdempotencyConflict, match=mine.id):
        await kernel.start(flow, Order(4), key="mine", connection=caller.connection)
    again = await kernel.start(flow, Order(3), key="mine", connection=caller.connection)
    await caller.execute("CREATE TABLE after ()")

    await caller.commit()

    assert (again.id, again.created) == (mine.id, False)
    assert sorted(await started(kernel)) == sorted([first.id, mine.id])
    await caller.execute("DROP TABLE before, after")


async def test_many_runs_are_started_or_none(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """One conflict among them leaves none, and leaves the transaction usable."""
    held = await kernel.start(flow, Order(2), key="2")
    starts = [Start(input=Order(number), key=str(number), annotations={"n": number}) for number in (3, 2, 1)]
    handles = await kernel.start_many(flow, starts, connection=caller.connection)
    assert [handle.created for handle in handles] == [True, False, True]
    await caller.roll_back()

    wrong = [*starts[:1], Start(input=Order(99), key="2"), Start(input=Order(1))]
    with pytest.raises(IdempotencyConflict, match=held.id):
        await kernel.start_many(flow, wrong, connection=caller.connection)
    await caller.commit()
    assert await started(kernel) == [held.id]

    keyless = [Start(input=Order(number)) for number in range(50)]
    handles = await kernel.start_many(flow, keyless, connection=caller.connection)
    await caller.commit()
    assert set(await started(kernel)) == {held.id, *(handle.id for handle in handles)}


@pytest.mark.fault(29)
async def test_a_failed_transaction_is_told(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """Whatever is tried in it; after the rollback everything works."""
    run = await kernel.start(flow, Order(0))
    with pytest.raises(Exception, match="nobody_has_made_it"):
        await caller.execute("SELECT * FROM nobody_has_made_it")

    with pytest.raises(TransactionFailed, match="roll it back"):
        await kernel.start(flow, Order(1), connection=caller.connection)
    with pytest.raises(TransactionFailed):
        await kernel.request_signal(run.id, "approval", Approval("ada"), connection=caller.connection)
    with pytest.raises(TransactionFailed):
        await kernel.request_cancel(run.id, connection=caller.connection)

    await caller.roll_back()
    again = await kernel.start(flow, Order(1), connection=caller.connection)
    await caller.commit()
    assert set(await started(kernel)) == {run.id, again.id}


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
async def test_a_key_that_another_transaction_holds_is_waited_for(
    kernel: Kernel, opened: Opened, commits: bool
) -> None:
    """Its run is found where the other commits; where it rolls back, the one who waited makes one."""
    async with opened() as one, opened() as other:
        first = await start(kernel, one, Order(1), key="k")
        waiting = asyncio.ensure_future(start(kernel, other, Order(1), key="k"))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert done == set()

        await (one.commit() if commits else one.roll_back())

        second = await waiting
        assert (second.id == first.id, second.created) == (commits, not commits)
        await other.execute("SELECT 1")
        await other.commit()
        assert await started(kernel) == [second.id]


@pytest.mark.fault(66)
async def test_many_callers_with_one_key_make_one_run(kernel: Kernel, opened: Opened) -> None:
    """One run, one id, one first event; everybody commits."""

    async def call() -> RunHandle:
        async with opened() as caller:
            run = await start(kernel, caller, Order(1), key="k")
            await caller.commit()
            return run

    runs = await asyncio.gather(*(call() for _ in range(CALLERS)))

    assert {run.id for run in runs} == set(await started(kernel))
    assert [run.created for run in runs].count(True) == 1
    assert [event.type for event in (await runs[0].details()).events] == ["run.created"]


# Signals and cancels


@pytest.fixture
async def waiting(kernel: Kernel, flow: Flow[Order]) -> RunHandle:
    """A run whose approval waits."""
    run = await kernel.start(flow, Order(1))
    await Hands(kernel).claim_runs()
    return run


async def test_a_signal_is_sent_after_the_commit(kernel: Kernel, caller: Caller, waiting: RunHandle) -> None:
    """By a host, once; a rollback takes it back."""
    await kernel.request_signal(waiting.id, "approval", Approval("ada"), connection=caller.connection)
    await caller.roll_back()
    assert (await Hands(kernel).fire()).claimed == 0

    asked = await kernel.request_signal(waiting.id, "approval", Approval("bob"), key="k", connection=caller.connection)
    assert isinstance(asked, Deferred)
    assert (await Hands(kernel).fire()).claimed == 0
    with pytest.raises(DeferredNotFound):
        await asked.read()
    await caller.commit()
    record = await asked.read()
    assert (record.kind, record.run_id, record.flow, record.key) == ("signal", waiting.id, "order", "k")

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.signalled) == (1, 1)
    assert await waiting.output("approval") == Approval("bob")
    assert await kernel.deferred() == []


async def test_a_signal_is_repeatable_by_its_key(kernel: Kernel, caller: Caller, waiting: RunHandle) -> None:
    """Before it was sent and after; another payload is a conflict, and the transaction is none the worse for it."""

    async def ask(by: str, key: str = "k") -> Deferred:
        return await kernel.request_signal(waiting.id, "approval", Approval(by), key=key, connection=caller.connection)

    first, again = await ask("ada"), await ask("ada")
    assert (first.created, again.created, again.name) == (True, False, first.name)
    with pytest.raises(SignalConflict):
        await ask("bob")
    await caller.commit()
    assert (await Hands(kernel).fire()).signalled == 1

    assert not (await ask("ada")).created
    with pytest.raises(SignalConflict):
        await ask("bob")
    with pytest.raises(SignalNotAwaited):
        await ask("ada", key="another")
    await caller.execute("SELECT 1")
    await caller.commit()
    assert await kernel.deferred() == []


async def test_a_signal_that_was_used_before_a_rerun_is_refused(
    kernel: Kernel, caller: Caller, waiting: RunHandle
) -> None:
    """The step waits again, and for another one."""
    await waiting.signal("approval", Approval("ada"), key="k")
    await waiting.cancel()
    await waiting.rerun("approval")

    with pytest.raises(SignalSpent):
        await kernel.request_signal(waiting.id, "approval", Approval("ada"), key="k", connection=caller.connection)
    await kernel.request_signal(waiting.id, "approval", Approval("bob"), key="another", connection=caller.connection)
    await caller.commit()
    await Hands(kernel).fire()

    assert await waiting.output("approval") == Approval("bob")


async def test_what_cannot_be_signalled_is_told_at_once(kernel: Kernel, caller: Caller, waiting: RunHandle) -> None:
    """As far as the caller's transaction can see."""
    with pytest.raises(RunNotFound):
        await kernel.request_signal(UNKNOWN, "approval", Approval("ada"), connection=caller.connection)
    with pytest.raises(RunNotFound):
        await kernel.request_signal("not an id", "approval", Approval("ada"), connection=caller.connection)
    with pytest.raises(InvalidSignal):
        await kernel.request_signal(waiting.id, "approval", {"by": 1}, key="\0", connection=caller.connection)
    with pytest.raises(NotASignal):
        await kernel.request_signal(waiting.id, "ship", Approval("ada"), connection=caller.connection)
    for name in ("nobody", "\0", "\ud800"):
        with pytest.raises(FlowDefinitionError):
            await kernel.request_signal(waiting.id, name, Approval("ada"), connection=caller.connection)
    await kernel.cancel(waiting.id)
    with pytest.raises(SignalNotAwaited):
        await kernel.request_signal(waiting.id, "approval", Approval("ada"), connection=caller.connection)
    await caller.commit()

    assert await kernel.deferred() == []


@pytest.mark.fault(63)
async def test_a_signal_that_comes_too_late_is_held_with_its_problem(
    kernel: Kernel, caller: Caller, waiting: RunHandle
) -> None:
    """Nobody is there any more who could be told, so it stays until somebody has looked at it."""
    asked = await kernel.request_signal(waiting.id, "approval", Approval("ada"), connection=caller.connection)
    await kernel.cancel(waiting.id)
    await caller.commit()

    fired = await Hands(kernel).fire()

    assert [trouble.held for trouble in fired.troubles] == [True]
    (record,) = [each.record for each in await kernel.deferred()]
    assert record.held
    assert "takes no signal any more" in str(record.problem)
    assert await asked.withdraw()


@pytest.mark.fault(59)
async def test_a_signal_waits_for_a_host_that_has_the_runs_version(
    kernel: Kernel, caller: Caller, waiting: RunHandle
) -> None:
    """As during a deployment: one that has another version of the flow puts it off and does not hold it."""
    asked = await kernel.request_signal(waiting.id, "approval", Approval("ada"), connection=caller.connection)
    await caller.commit()
    newer = Flow("order", version=2, input=Order, input_name="order")
    newer.signal("approval", Approval)

    fired = await Hands(Kernel(flows=[newer], ports=kernel.ports)).fire()

    assert [trouble.held for trouble in fired.troubles] == [False]
    await (await kernel.find_deferred(asked.name)).retry()
    assert (await Hands(kernel).fire()).signalled == 1


async def test_a_cancel_is_carried_out_after_the_commit(kernel: Kernel, caller: Caller, waiting: RunHandle) -> None:
    """By a host that need not have the flow; a rollback takes it back; a deadline of the run stays as it is."""
    deadline = await kernel.cancel_later(waiting.id, after=3600)
    await kernel.request_cancel(waiting.id, connection=caller.connection)
    await caller.roll_back()
    assert (await Hands(kernel).fire()).claimed == 0
    with pytest.raises(RunNotFound):
        await kernel.request_cancel(UNKNOWN, connection=caller.connection)

    asked = await kernel.request_cancel(waiting.id, reason="changed my mind", connection=caller.connection)
    await caller.commit()
    assert (await asked.read()).kind == "cancel"
    fired = await Hands(Kernel(flows=[], ports=kernel.ports)).fire()

    assert (fired.claimed, fired.cancelled) == (1, 1)
    record = await waiting.read()
    assert (record.status, record.reason) == (RunStatus.CANCELLED, "changed my mind")
    assert [each.name for each in await kernel.deferred()] == [deadline.name]


async def test_all_in_one_transaction(kernel: Kernel, flow: Flow[Order], caller: Caller) -> None:
    """A run that is started, answered and cancelled before anybody has seen it."""
    answered = await kernel.start(flow, Order(1), connection=caller.connection)
    await kernel.request_signal(answered.id, "approval", Approval("ada"), connection=caller.connection)
    ended = await kernel.start(flow, Order(2), connection=caller.connection)
    await kernel.request_cancel(ended.id, connection=caller.connection)
    await caller.commit()
    hands = Hands(kernel)

    fired = await hands.fire()

    assert (fired.claimed, fired.signalled, fired.cancelled) == (2, 1, 1)
    assert await hands.claimed_run_ids() == [answered.id]
    assert await answered.output("approval") == Approval("ada")


# Callers that block, and connections that will not do


@pytest.mark.parametrize("kind", BLOCKING)
async def test_a_thread_needs_no_event_loop(
    subject: CallersSubject, kernel: Kernel, flow: Flow[Order], kind: str
) -> None:
    """Nor a kernel that was used before: it starts, signals and cancels; what it gets is good in any loop."""
    async with subject.open[kind]() as caller:

        def work() -> tuple[RunHandle, Deferred, Deferred]:
            one = kernel.start_sync(flow, Order(1), key="k", connection=caller.connection)
            again = kernel.start_sync("order", {"id": 1}, key="k", connection=caller.connection)
            assert (one.created, again.created, again.id) == (True, False, one.id)
            other = kernel.start_sync(flow, Order(2), annotations={"a": 1}, connection=caller.connection)
            signal = kernel.request_signal_sync(one.id, "approval", Approval("ada"), connection=caller.connection)
            return one, signal, kernel.request_cancel_sync(other.id, connection=caller.connection)

        run, signal, cancel = await asyncio.to_thread(work)
        await caller.commit()

    assert (await run.read()).status is RunStatus.PENDING
    assert ((await signal.read()).run_id, (await cancel.read()).kind) == (run.id, "cancel")
    assert await cancel.withdraw()
    assert (await Hands(kernel).fire()).signalled == 1


@pytest.mark.parametrize("kind", ASYNCHRONOUS)
async def test_an_asynchronous_connection_is_awaited(subject: CallersSubject, kernel: Kernel, kind: str) -> None:
    """A thread without an event loop can do nothing with it."""
    async with subject.open[kind]() as caller:
        with pytest.raises(InvalidConnection, match=r"await kernel\.start"):
            await asyncio.to_thread(kernel.start_sync, "order", Order(1), connection=caller.connection)


async def test_a_thread_that_runs_an_event_loop_awaits(subject: CallersSubject, kernel: Kernel) -> None:
    """Instead of blocking it."""
    async with subject.open["psycopg"]() as caller:
        with pytest.raises(InvalidConnection, match=r"await kernel\.start"):
            kernel.start_sync("order", Order(1), connection=caller.connection)


# Large payloads


async def test_large_payloads_join_too(subject: CallersSubject, flow: Flow[Order], opened: Opened) -> None:
    """They are written before; what nobody refers to in the end is collected or deleted."""
    kernel = Kernel(flows=[flow], ports=subject.ports, inline_bytes_max=100)
    long = "x" * 1000
    async with opened() as caller:
        gone = await start(kernel, caller, Order(1, long), key="k")
        await caller.roll_back()
        run = await start(kernel, caller, Order(1, long), key="k")
        await caller.commit()
        again = await start(kernel, caller, Order(1, long), key="k")
        assert (again.id, again.created) == (run.id, False)
        asked = await kernel.request_signal(run.id, "approval", Approval(long), key="s", connection=caller.connection)
        repeated = await kernel.request_signal(
            run.id, "approval", Approval(long), key="s", connection=caller.connection
        )
        assert (asked.created, repeated.created) == (True, False)
        await caller.commit()
    hands = Hands(kernel)
    assert (await hands.fire()).signalled == 1
    await hands.claim_runs()

    assert await run.output("approval") == Approval(long)
    keys = [blob.key async for blob in kernel.ports.blobs.list("")]
    assert sorted({key.split("/")[1] for key in keys}) == sorted({gone.id, run.id})
    assert len(keys) == 3


# Wake-ups


class Announced:
    """A transport that remembers what was announced."""

    def __init__(self, ports: Ports) -> None:
        self._transport = ports.transport
        self.runs: list[str] = []
        self.told = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def enqueue(self, jobs: Any) -> None:
        """Announce nothing, remember it."""
        self.runs += [job.run_id for job in jobs]
        self.told.set()


@pytest.mark.parametrize("kind", ["async session", "session"])
async def test_hosts_are_woken_after_the_commit_of_a_session(
    subject: CallersSubject, flow: Flow[Order], kind: str
) -> None:
    """Not before, not for what was rolled back, and not by the release of a savepoint."""
    transport: Any = Announced(subject.ports)
    kernel = Kernel(flows=[flow], ports=evolve(subject.ports, transport=transport))
    async with subject.open[kind]() as caller:
        await kernel.start(flow, Order(1), connection=caller.connection)
        await caller.roll_back()
        session: Any = caller.connection
        nested = session.begin_nested()
        nested = await nested if kind == "async session" else nested
        run = await kernel.start(flow, Order(2), connection=caller.connection)
        released = nested.commit()
        if kind == "async session":
            await released
        await asyncio.sleep(0)
        assert transport.runs == []

        await caller.commit()
        async with asyncio.timeout(5):
            await transport.told.wait()

        assert transport.runs == [run.id]


# What is no connection


async def test_a_store_without_transactions_of_callers_says_so(ports: Ports, flow: Flow[Order]) -> None:
    """At every call that takes a connection, before anything else."""
    kernel = Kernel(flows=[flow], ports=evolve(ports, callers=None))
    connection: Any = object()
    with pytest.raises(ConnectionsUnsupported, match="leave it away"):
        await kernel.start(flow, Order(1), connection=connection)
    with pytest.raises(ConnectionsUnsupported):
        kernel.start_sync(flow, Order(1), connection=connection)
    with pytest.raises(ConnectionsUnsupported):
        await kernel.request_signal(UNKNOWN, "approval", Approval("ada"), connection=connection)
    with pytest.raises(ConnectionsUnsupported):
        await kernel.request_cancel(UNKNOWN, connection=connection)

    assert await started(kernel) == []


@pytest.mark.parametrize("thing", ["postgresql://", 1, object()], ids=["a URL", "a number", "anything"])
async def test_what_is_no_connection_is_refused(kernel: Kernel, thing: Any) -> None:
    """With what would be one."""
    with pytest.raises(InvalidConnection, match="a Session or Connection of SQLAlchemy or a connection of psycopg"):
        await kernel.start("order", Order(1), connection=thing)


async def test_a_lost_connection_is_the_worlds_fault(kernel: Kernel, opened: Opened) -> None:
    """And the caller's to open again."""
    async with opened() as caller:
        await caller.execute("SELECT 1")
        with pytest.raises(Exception, match="terminat"):
            await caller.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises((AdapterError, TransactionFailed, InvalidConnection)):
            await kernel.start("order", Order(1), connection=caller.connection)
        assert await started(kernel) == []
        await _forget(caller)


async def _forget(caller: Caller) -> None:
    connection: CallerConnection = caller.connection
    invalidate = getattr(connection, "invalidate", None)
    if invalidate is not None:
        result = invalidate()
        if asyncio.iscoroutine(result):
            await result
