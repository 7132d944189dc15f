"""Where commands meet: runs in every state in which something can be done with them."""

from __future__ import annotations

from fairlead.kernel.events import event_records
from fairlead.ports.outbox import DeadLetter, Holdings, shard_of
from fairlead.ports.sink import DEFAULT_SINK
from tests.support.flushing import flush_all
from tests.support.hands import LEASE

from .arenas import Arena, Scene
from .flows import FLOW, MINUTE


async def everything_at_once(arena: Arena) -> Scene:
    """Two runs at work whose leases, waits, deadlines and checks are all over; one that is pending, one that has failed
    and left a dead letter; and what is due: a start, a cancel, a schedule."""
    hands, kernel = arena.second, arena.second.kernel
    ended = await kernel.start(FLOW, [1, 2], key="ended")
    await hands.claim_runs()
    tasks = {task.key.step: task for task in await hands.claim_tasks() if task.key.element == 0}
    await hands.complete(tasks["each"], 1)
    await hands.fail(tasks["work"], retryable=False)
    await _bury_an_event_of(arena, ended.id)
    await flush_all(kernel)

    runs = {"ended": ended.id}
    claimed = {"ended/work": tasks["work"]}
    for name in ("active", "other"):
        run = await kernel.start(FLOW, [1, 2], key=name)
        await hands.claim_runs()
        runs[name] = run.id
        for task in await hands.claim_tasks():
            place = f"/{task.key.element}" if task.key.step == "each" else ""
            claimed[f"{name}/{task.key.step}{place}"] = task
    await hands.suspend(claimed["active/compute"], 1, check_after=MINUTE)
    runs["pending"] = (await kernel.start(FLOW, [3], key="pending")).id
    token = await kernel.run(runs["active"]).resume_token("answer")
    deferred = await kernel.start_later(FLOW, [4], after=MINUTE, key="deferred")
    await kernel.cancel_later(runs["other"], after=MINUTE, reason="too late")
    await kernel.schedule(FLOW, cron="* * * * *", input=[5], name="minutely")
    arena.clock.advance(MINUTE + LEASE)
    return Scene(runs, claimed, token=token, deferred=deferred.name)


async def _bury_an_event_of(arena: Arena, run_id: str) -> None:
    """Make a dead letter of a run's first event, as if the sink had refused it for half a day."""
    store, now = arena.second.kernel.ports.persistence, arena.clock.now()
    leased = await store.lease_shards(DEFAULT_SINK, "undertaker", now=now, until=now + LEASE, limit=64)
    (lease,) = [lease for lease in leased.leases if lease.shard == shard_of(run_id)]
    row = (await store.read_fresh(lease, limit=1))[0]
    letter = DeadLetter(sink=DEFAULT_SINK, event=next(event_records(row)), attempts=90, problem="never", died_at=now)
    await store.record_holdings(lease, Holdings(dead=[letter]))
    await store.release_shards("undertaker", leased.leases)
