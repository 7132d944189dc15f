"""Flushing the outbox for one sink: publishing what was committed, in order per run, outside every transaction.

A flusher leases shards, and does three things with each: it offers again what was refused and is due, it reads what is
fresh page by page, and it replays dead letters that somebody asked for. Each run's events are given to the sink in
order of their sequence, and what was accepted is recorded: often, so that a slow sink makes progress and a crash
publishes little again. A run whose events the sink refuses is held back alone (`decisions.holding`).

A sink that refuses one run after the other, and accepts none, is down: it is given a pause instead of being asked for
every run, so that an outage spends the attempts of few of them. That is counted from one flush to the next, and only
where the sink was called: what it does not ask for it has anyway.

A sink that is stuck, since a call that took too long has not ended, is this process's trouble alone. Here nothing more
is leased for it, and no attempt is spent, nor is it given a pause: other processes go on with its events.

Time. Nothing new is begun after half the lease, and no call of a sink lasts longer than its timeout, which is less than
the other half. So a flusher's lease outlasts its last call, and two of them never interleave a run; only one that stood
still meanwhile may publish late, and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from attrs import define, field

from ...ports.clock import Clock
from ...ports.outbox import (
    FIRST_PLACE,
    DeadLetter,
    DeadLetterKey,
    EventRecord,
    HeldRun,
    Holdings,
    OutboxPlace,
    OutboxRow,
    ShardLease,
)
from ...ports.persistence import Persistence
from ..commands.outbox import Flushed, FlushOutbox
from ..decisions.holding import accepted, beginning, offered, pause, refused, resuming
from ..sinks import NamedSink
from .offering import Answer, Offering

SHARDS_PER_FLUSH_MAX = 16
"""Shards leased at once: few enough that several flushers share the work, enough for one to keep up."""

RECORDED_TOGETHER_MAX = 100
"""Rows that may wait to be recorded as accepted or held: what a crash publishes again at most."""

RECORD_INTERVAL_S = 1.0
"""How long an accepted row may wait to be recorded while a slow sink is busy with the next."""

LEASE_FRACTION = 0.5
"""Which part of its lease a flush uses before it begins nothing new, so that the lease outlasts its last publish."""

RETRY_FRACTION = 0.25
"""Which part of its lease a flush may use for what was refused before, so that time is left for what is fresh."""

RETRIES_PER_SHARD_MAX = 100
"""Held runs of a shard that are offered again in one flush."""

REPLAYS_PER_SHARD_MAX = 100
"""Dead letters of a shard that are replayed in one flush: a replay of 100,000 goes on beside what is fresh."""


async def flush(persistence: Persistence, offering: Offering, clock: Clock, command: FlushOutbox) -> Flushed:
    """Publish what waits for a sink in some shards, until all is read or half the lease is over.

    Args:
        persistence: whose outbox it is.
        offering: to the sink, whatever it raises concerns the run whose events it was given.
        clock: for the lease.
        command: who flushes, and with which patience.
    """
    if offering.is_stuck:  # recovers 75: nothing is leased for a sink that is stuck here
        return Flushed(published=0, stuck=True, problem=offering.problem)
    now = clock.now()
    began_s = clock.monotonic()
    lease_s = command.lease_duration.total_seconds()
    leased = await persistence.lease_shards(
        command.sink, command.worker, now=now, until=now + command.lease_duration, limit=SHARDS_PER_FLUSH_MAX
    )
    flushing = _Flushing(
        persistence=persistence,
        clock=clock,
        sink=offering.sink,
        offering=offering,
        publish_timeout_s=command.publish_timeout.total_seconds(),
        limit=command.limit,
        retries_until_s=began_s + lease_s * RETRY_FRACTION,
        until_s=began_s + lease_s * LEASE_FRACTION,
    )
    try:
        for lease in leased.leases:
            if flushing.is_over:
                break
            await flushing.flush_shard(
                lease, held=lease.shard in leased.held_shards, asked=lease.shard in leased.asked_shards
            )
    finally:
        if leased.leases:
            await persistence.release_shards(command.worker, leased.leases)
    await flushing.pause_or_resume(leased.pauses)
    return flushing.report()


@define(kw_only=True)
class _Flushing:
    """One flush over its shards."""

    persistence: Persistence
    clock: Clock
    sink: NamedSink
    offering: Offering
    publish_timeout_s: float
    limit: int
    retries_until_s: float
    until_s: float
    _published: int = 0
    _replayed: int = 0
    _dead: int = 0
    _paused: bool = False
    _took_any: bool = False
    """Whether the sink dealt with any event that it was called for."""
    _refused_any: bool = False
    _held_back: dict[str, str] = field(factory=dict[str, str])
    """Why a run waits, by run id."""
    _delivered: list[OutboxRow] = field(factory=list[OutboxRow])
    _rows: list[tuple[str, int]] = field(factory=list[tuple[str, int]])
    _standing: dict[str, HeldRun] = field(factory=dict[str, HeldRun])
    _cleared: list[str] = field(factory=list[str])
    _letters: list[DeadLetter] = field(factory=list[DeadLetter])
    _recorded_s: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing new is begun any more: half the lease is gone, or the sink is down or stuck."""
        return self._is_over(self.until_s)

    async def flush_shard(self, lease: ShardLease, *, held: bool, asked: bool) -> None:
        """Publish what there is in one shard; what was accepted is recorded even where the flush is cut short.

        Args:
            lease: of the shard.
            held: whether it has held runs that are due.
            asked: whether it has dead letters to replay.
        """
        self._recorded_s = self.clock.monotonic()
        try:
            if held and not await self._retry(lease):
                # recovers 20: a shard is lost while what was refused is offered again
                return
            if await self._publish_fresh(lease) and asked:
                await self._replay(lease)
        finally:
            await self._record(lease)

    async def pause_or_resume(self, pauses: int) -> None:
        """Say that the sink is down, or well again."""
        name, problem = self.sink.name, self.offering.problem
        late = self.clock.monotonic() >= self.until_s
        down = self.offering.is_down or (late and self._refused_any and not self._took_any)
        if down and not self.offering.is_stuck:
            # recovers 75: the sink refuses one run after the other, and is given a pause
            self._paused = True
            self.offering.begin_anew()
            pauses = 1 if self._took_any else pauses + 1
            until = self.clock.now() + pause(pauses)
            await self.persistence.pause_sink(name, pauses=pauses, not_before=until, problem=problem)
        elif pauses and self._took_any:  # recovers 75: the sink is well again
            await self.persistence.pause_sink(name, pauses=0, not_before=None, problem=None)

    def report(self) -> Flushed:
        """What was done."""
        return Flushed(
            published=self._published,
            held_back=tuple(self._held_back.items()),
            dead=self._dead,
            replayed=self._replayed,
            paused=self._paused,
            stuck=self.offering.is_stuck,
            problem=self.offering.problem,
        )

    # What was refused before

    async def _retry(self, lease: ShardLease) -> bool:
        """Offer again what is due; whether the lease still holds."""
        for held in await self.persistence.read_held(lease, now=self.clock.now(), limit=RETRIES_PER_SHARD_MAX):
            if self._is_over(self.retries_until_s):
                break
            await self._retry_run(lease, held)
        return await self._record(lease)

    async def _retry_run(self, lease: ShardLease, held: HeldRun) -> None:
        while True:
            rows = await self.persistence.read_undelivered(lease, held, limit=self.limit)
            if not rows:
                self._clear(held.run_id)
                return
            stood = await self._offer(resuming(held, rows), rows)
            more = len(rows) == self.limit
            if self._is_unfinished(stood, rows) or (more and self.is_over):
                self._standing[held.run_id] = stood
                return
            if not more:
                self._clear(held.run_id)
                return
            held = stood

    def _clear(self, run_id: str) -> None:
        """A run is held no more, and what comes of it now is as fresh as any other's."""
        self._cleared.append(run_id)
        self._held_back.pop(run_id, None)

    # What is fresh

    async def _publish_fresh(self, lease: ShardLease) -> bool:
        """Read what is fresh page by page, and offer it; whether there is time and a lease for more."""
        place = FIRST_PLACE
        while rows := await self.persistence.read_fresh(lease, after=place, limit=self.limit):
            place = OutboxPlace(rows[-1].run_id, rows[-1].first_sequence)
            for run_id, of_run in groupby(rows, key=lambda row: row.run_id):
                if self.is_over:
                    return False
                await self._publish_run(run_id, list(of_run))
                if self._record_is_due() and not await self._record(lease):
                    # recovers 20: a shard is lost in the middle of its pages
                    return False
            if len(rows) < self.limit:
                break
        return True

    async def _publish_run(self, run_id: str, rows: Sequence[OutboxRow]) -> None:
        if rows[0].in_trouble or run_id in self._held_back:  # recovers 75: events wait behind one that is refused
            self._hold(rows)
            return
        stood = await self._offer(beginning(rows, self.clock.now()), rows)
        if self._is_unfinished(stood, rows):  # recovers 75: the sink leaves a run unfinished
            self._standing[run_id] = stood
            self._hold([row for row in rows if row.first_sequence + row.count > stood.next_sequence])
        else:  # what was refused on the way is behind it
            self._held_back.pop(run_id, None)

    def _hold(self, rows: Sequence[OutboxRow]) -> None:
        self._rows += [(row.run_id, row.first_sequence) for row in rows]

    # Both

    async def _offer(self, held: HeldRun, rows: Sequence[OutboxRow]) -> HeldRun:
        """Offer a run's events from where it stands, as long as the sink accepts some and there is time."""
        events = offered(held, rows)
        while events:
            answer = await self._answer(events)
            if answer.refused:  # recovers 75: the sink refuses an event
                held = self._refuse(held, events[0], answer)
            held = accepted(held, answer.accepted)
            del events[: answer.accepted]
            if not answer.accepted or self.is_over:
                break
        self._delivered += [row for row in rows if row.first_sequence + row.count <= held.next_sequence]
        return held

    async def _answer(self, events: Sequence[EventRecord]) -> Answer:
        answer = await self.offering.offer(events, self.publish_timeout_s)
        self._took_any |= answer.took_it
        self._refused_any |= answer.refused
        return answer

    def _refuse(self, held: HeldRun, event: EventRecord, answer: Answer) -> HeldRun:
        now, problem = self.clock.now(), answer.problem
        stands = refused(held, problem, now, attempts_max=self.sink.attempts_max, gave_up=answer.gave_up)
        self._held_back[held.run_id] = problem
        if stands.lost and not held.lost:  # recovers 49: an event is refused for the last time, and is a dead letter
            self._dead += 1
            self._letters.append(
                DeadLetter(sink=self.sink.name, event=event, attempts=held.attempts + 1, problem=problem, died_at=now)
            )
        return stands

    @staticmethod
    def _is_unfinished(held: HeldRun, rows: Sequence[OutboxRow]) -> bool:
        """Whether a run stands before the end of its rows."""
        return bool(rows) and held.next_sequence < rows[-1].first_sequence + rows[-1].count

    def _is_over(self, until_s: float) -> bool:
        return self.offering.is_down or self.offering.is_stuck or self.clock.monotonic() >= until_s

    # Replaying

    async def _replay(self, lease: ShardLease) -> None:
        """Publish dead letters that somebody asked for, each run's in order."""
        done: list[DeadLetterKey] = []
        refusals: list[tuple[DeadLetterKey, str]] = []
        for letter in await self.persistence.read_replays(lease, limit=REPLAYS_PER_SHARD_MAX):
            if self.is_over:
                break
            key = DeadLetterKey(letter.event.run_id, letter.event.sequence)
            answer = await self._answer([letter.event])
            if answer.accepted:
                done.append(key)
            elif answer.refused:  # recovers 50: a dead letter is refused again
                refusals.append((key, answer.problem))
        if (done or refusals) and await self.persistence.record_replays(lease, accepted=done, refused=refusals):
            self._replayed += len(done)

    # Recording

    def _record_is_due(self) -> bool:
        waiting = len(self._delivered) + len(self._rows) + len(self._standing)
        late = self.clock.monotonic() - self._recorded_s >= RECORD_INTERVAL_S
        return waiting >= RECORDED_TOGETHER_MAX or (bool(waiting) and late)

    async def _record(self, lease: ShardLease) -> bool:
        """Record what was accepted and what is held; answers whether the lease still holds."""
        delivered, self._delivered = self._delivered, []
        holdings = Holdings(
            rows=tuple(self._rows),
            runs=tuple(self._standing.values()),
            cleared=tuple(self._cleared),
            dead=tuple(self._letters),
        )
        self._rows, self._standing, self._cleared, self._letters = [], {}, [], []
        self._recorded_s = self.clock.monotonic()
        if delivered:
            if not await self.persistence.mark_delivered(
                lease, [(row.run_id, row.first_sequence) for row in delivered]
            ):  # recovers 9, 20: a shard is lost, and what the sink accepted comes again
                return False
            self._published += sum(row.count for row in delivered)
        if holdings != Holdings():
            return await self.persistence.record_holdings(lease, holdings)
        return True
