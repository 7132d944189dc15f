"""The users of a campaign: they start runs, signal, cancel, rerun and defer, and ask again whenever they are unsure.

A start has a key, a signal too, a cancel may be repeated. A rerun may not: where its answer is lost the client does not
know, and leaves that run alone from then on. What is answered is kept in `Acknowledged`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, evolve, field

from fairlead.kernel import IdempotencyConflict, Kernel, RunFilter, RunRecord, RunStatus
from fairlead.ports.errors import AdapterError, CommitUnknown, UsageError
from tests.chaos.acknowledged import Acknowledged, End, Frozen, Started, TaskState, Transaction
from tests.chaos.application import Application, Wanted
from tests.chaos.flows import FLOWS, LEAVES
from tests.chaos.jobs import Job, answer_to
from tests.chaos.ledger import LedgerReader, Token
from tests.chaos.waiting import RETENTION_S, answer, beat, fleeting

T = TypeVar("T")

LIVE = frozenset({RunStatus.PENDING, RunStatus.RUNNING})
ENDED_WELL_OR_NOT = frozenset({RunStatus.COMPLETED, RunStatus.FAILED})
AGAIN_S = 0.2
LOOK_S = 0.5
UNANSWERED_MAX = 3
STARTABLE = tuple(flow.slug for flow in FLOWS if flow is not beat)
KEPT = tuple(slug for slug in STARTABLE if slug != fleeting.slug)
"""Flows whose runs are not removed some time after their end, so that somebody may come back to them."""

ENDS = (End.COMMITTED, End.COMMITTED, End.COMMITTED, End.ROLLED_BACK, End.KILLED, End.UNKNOWN)
"""What an application does with a transaction, one as often as another."""


@define(eq=False)
class Client:
    """Asks for things until it is told to stop.

    Args:
        kernel: through which it asks.
        application: whose transactions it has runs started in, and answered.
        observer: through which it looks how many runs there are, undisturbed.
        ledger: where the tokens are that handlers hand out.
        drawn: what it asks for.
        live_max: how many runs it keeps going.
    """

    kernel: Kernel
    application: Application
    observer: Kernel
    ledger: LedgerReader
    drawn: random.Random
    live_max: int
    told: Acknowledged = field(factory=Acknowledged)
    asked: Counter[str] = field(factory=Counter[str])
    """What was asked for and answered, by kind; and how often there was no answer."""
    problems: list[str] = field(factory=list[str])
    """Errors that nobody may get."""
    live: Sequence[RunRecord] = ()
    """The runs that have not ended, as they were read last."""
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _left_alone: set[str] = field(factory=set[str])
    """Runs that were cancelled, or of which the client does not know whether they begin anew."""
    _tokens: dict[str, list[str]] = field(factory=dict[str, list[str]])
    """Of runs that nobody has answered."""
    _under_way: set[asyncio.Task[None]] = field(factory=set[asyncio.Task[None]])
    _ending: asyncio.Event = field(factory=asyncio.Event)

    @property
    def idle(self) -> bool:
        """Whether it waits for no answer, and nobody waits for one of its own."""
        return not self._under_way and not (self._tokens.keys() - self.told.unanswered)

    async def work(self) -> None:
        """Ask, until `end`; then answer whoever waits for an answer, for as long as it takes."""
        while True:
            await self._look()
            self._answer_tokens()
            if not self._ending.is_set():
                for _ in range(min(4, self.live_max - len(self.live) - len(self._under_way))):
                    self._begin(self._start)
                self._meddle()
            await asyncio.sleep(LOOK_S)

    async def end(self) -> None:
        """Begin nothing more, and wait for the answers to all that is under way."""
        self._ending.set()
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: nobody is told anything while the database cannot be reached."""
        while True:
            try:
                return await ask()
            except AdapterError as error:
                if not error.retryable:
                    raise
                self.asked["unsure" if isinstance(error, CommitUnknown) else "unreachable"] += 1
            await asyncio.sleep(AGAIN_S)

    def _begin(self, ask: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        async def asking() -> None:
            try:
                await ask(*arguments)
            except Exception as error:
                self.problems.append(f"{ask.__name__}{arguments}: {type(error).__name__}: {error}")

        task = asyncio.create_task(asking())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _look(self) -> None:
        async def read() -> Sequence[RunRecord]:
            return (await self.observer.runs(RunFilter(statuses=LIVE), limit=1_000)).runs

        self.live = await self.insist(read)

    def _meddle(self) -> None:
        """One thing or another, now and then."""
        for chance, ask in (
            (0.35, self._cancel),
            (0.35, self._rerun),
            (0.15, self._start_later),
            (0.10, self._cancel_later),
            (0.25, self._start_again),
            (0.10, self._start_wrongly),
            (0.50, self._transact),
            (0.15, self._prune),
        ):
            if self.drawn.random() < chance:
                self._begin(ask)

    # Starting

    async def _start(self) -> None:
        key, started = self._new_start()
        handle = await self.insist(
            lambda: self.kernel.start(started.flow, started.job, key=key, priority=self.drawn.choice((0, 0, 1)))
        )
        started.run_ids.add(handle.id)
        self.asked["starts"] += 1
        if started.flow == "asked" and self.drawn.random() < 0.2:
            await self._signal(handle.id)  # before anybody waits for it

    async def _start_later(self) -> None:
        key, started = self._new_start()
        started.deferred = True
        deferred = await self.insist(
            lambda: self.kernel.start_later(started.flow, started.job, after=self.drawn.uniform(0, 3), key=key)
        )
        started.run_ids.add(deferred.record.run_id)
        self.asked["deferred starts"] += 1

    async def _start_again(self) -> None:
        """The same start with the same key finds the same run."""
        if key := self._some_key():
            started = self.told.starts[key]
            handle = await self.insist(lambda: self.kernel.start(started.flow, started.job, key=key))
            started.run_ids.add(handle.id)
            self.asked["repeated starts"] += 1

    async def _start_wrongly(self) -> None:
        """Another payload with the same key is refused."""
        if key := self._some_key():
            started = self.told.starts[key]
            other = evolve(started.job, value=started.job.value + 1)
            try:
                await self.insist(lambda: self.kernel.start(started.flow, other, key=key))
            except IdempotencyConflict:
                self.asked["refused starts"] += 1
            else:
                self.problems.append(f"key {key} was accepted with another payload")

    def _new_start(self, flows: Sequence[str] = STARTABLE) -> tuple[str, Started]:
        drawn = self.drawn
        job = Job(
            value=drawn.randrange(1_000_000),
            elements=drawn.randrange(1, 10),
            failures=drawn.randrange(4),
            size=drawn.choice((1_000, 20_000, 300_000)),
            work_ms=drawn.choice((1, 20, 20, 150, 600)),
            padding="." * drawn.choice((0, 0, 0, 20_000)),
        )
        key = f"key-{next(self._numbers)}"
        started = self.told.starts[key] = Started(drawn.choice(flows), job)
        return key, started

    def _some_key(self) -> str | None:
        known = [
            key
            for key, started in self.told.starts.items()
            if started.run_ids and not started.deferred and started.flow in KEPT
        ]
        return self.drawn.choice(known[-200:]) if known else None

    # In an application's transactions

    async def _transact(self) -> None:
        """Have something done in a transaction, and again where nobody knows whether it was committed.

        One without an answer in it may be left unknown; a run that is perhaps answered could not be left to itself.
        """
        wanted, wished, is_unsure = self._wanted(), self.drawn.choice(ENDS), False
        is_left = self.drawn.random() < 0.5 and not (wanted.answered or wanted.waiting)
        while True:
            attempt = await self.application.attempt(wanted, wished, self.drawn)
            self.asked[f"transactions {attempt.end}"] += 1
            is_unsure = is_unsure or attempt.end is End.UNKNOWN
            if attempt.end is End.COMMITTED or is_left or not is_unsure:
                break
            wished = End.COMMITTED
            await asyncio.sleep(AGAIN_S)
        self._keep(wanted, attempt.end, attempt.runs)

    def _wanted(self) -> Wanted:
        row = f"row-{next(self._numbers)}"
        free = [run_id for run_id in self._tokens if self._may_answer(run_id)]
        if free and self.drawn.random() < 0.5:
            run_id = self.drawn.choice(free)
            self._left_alone.add(run_id)
            return Wanted(row=row, waiting=[run_id])
        starts = dict(self._new_start(KEPT) for _ in range(self.drawn.randrange(1, 4)))
        asked = [key for key, started in starts.items() if started.flow == "asked"]
        return Wanted(row=row, starts=starts, answered=frozenset(key for key in asked if self.drawn.random() < 0.7))

    def _keep(self, wanted: Wanted, end: End, runs: Mapping[str, str]) -> None:
        """Note how a transaction ended, and what is acknowledged by that."""
        answered = [*(runs[key] for key in wanted.answered if key in runs), *wanted.waiting]
        signals = dict.fromkeys(answered, wanted.signal_key)
        starts = {key: started.flow for key, started in wanted.starts.items()}
        self.told.transactions.append(Transaction(row=wanted.row, end=end, starts=starts, signals=signals))
        if end is End.COMMITTED:
            for key, run_id in runs.items():
                wanted.starts[key].run_ids.add(run_id)
            self._left_alone.update(answered)
            self.told.signals.update(signals)
        else:
            self._left_alone.difference_update(wanted.waiting)
        self.application.promised.difference_update(answered)

    # Forgetting

    async def _prune(self) -> None:
        pruned = await self.insist(lambda: self.kernel.prune(older_than=RETENTION_S, flow=fleeting.slug))
        self.asked["prunes"] += 1
        self.asked["runs pruned"] += pruned.runs

    # Signals

    def _may_answer(self, run_id: str) -> bool:
        taken = (self.told.signals, self.told.unanswered, self.application.promised, self._left_alone)
        return not any(run_id in each for each in taken)

    def _answer_tokens(self) -> None:
        for line in self.ledger.fresh():
            if isinstance(line, Token) and line.run not in self.told.signals:
                self._tokens.setdefault(line.run, []).append(line.token)
        for run_id in list(self._tokens):
            if run_id in self.told.signals:
                del self._tokens[run_id]
            elif run_id in self.application.promised:
                continue
            elif run_id not in self.told.unanswered and self.drawn.random() < 0.5:
                room = len(self.told.unanswered) < UNANSWERED_MAX and run_id not in self._left_alone
                if room and self.drawn.random() < 0.1:
                    self.told.unanswered.add(run_id)
                    continue
                tokens = self._tokens.pop(run_id)
                if self.drawn.random() < 0.5:
                    self._begin(self._resume, run_id, self.drawn.choice(tokens))
                else:
                    self._begin(self._signal, run_id)

    async def _signal(self, run_id: str) -> None:
        await self._send(
            run_id, "signal", lambda: self.kernel.signal(run_id, answer, answer_to(run_id), key="the answer")
        )

    async def _resume(self, run_id: str, token: str) -> None:
        await self._send(run_id, "", lambda: self.kernel.resume(token, answer_to(run_id)))

    async def _send(self, run_id: str, kind: str, send: Callable[[], Awaitable[object]]) -> None:
        self.application.promised.add(run_id)
        try:
            await self.insist(send)
        except UsageError:
            self.asked["refused signals"] += 1  # it was cancelled, or somebody has answered
            return
        finally:
            self.application.promised.discard(run_id)
        self.told.signals.setdefault(run_id, "the answer" if kind else "")
        self.asked["signals"] += 1

    # Ending runs, and beginning them anew

    def _free(self, runs: Sequence[RunRecord]) -> RunRecord | None:
        known = self.told.by_run()
        taken = self._left_alone | self.told.unanswered
        free = [run for run in runs if run.id in known and run.id not in taken and run.flow in KEPT]
        return self.drawn.choice(free) if free else None

    async def _cancel(self) -> None:
        run = self._free(self.live)
        if run is None:
            return
        self._left_alone.add(run.id)
        answered = await self.insist(lambda: self.kernel.cancel(run.id, reason="no longer wanted"))
        details = await self.insist(self.kernel.run(run.id).details)
        self.asked["cancels"] += 1
        if answered.took_effect or answered.found is RunStatus.CANCELLED:
            tasks = {str(task.key): TaskState(task.status, task.token, task.attempts) for task in details.tasks}
            now = details.run
            self.told.cancels[run.id] = Frozen(now.status, now.generation, now.next_sequence, tasks)
        else:
            self.told.ended_before_cancel.add(run.id)

    async def _cancel_later(self) -> None:
        run = self._free([run for run in self.live if run.flow == "asked"])
        if run is None:
            return
        self._left_alone.add(run.id)
        await self.insist(lambda: self.kernel.cancel_later(run.id, after=self.drawn.uniform(0, 3), reason="too late"))
        self.told.deadlines.add(run.id)
        self.asked["deferred cancels"] += 1

    async def _rerun(self) -> None:
        page = await self.insist(lambda: self.kernel.runs(RunFilter(statuses=ENDED_WELL_OR_NOT), limit=100))
        run = self._free([run for run in page.runs if run.flow != "asked"])
        if run is None:
            return
        handle = self.kernel.run(run.id)
        self._left_alone.add(run.id)
        try:
            again = await (
                handle.retry() if run.status is RunStatus.FAILED else handle.rerun(self._some_step(run.flow))
            )
        except AdapterError:
            self.asked["unknown reruns"] += 1
            return
        except UsageError:
            self.asked["refused reruns"] += 1
        else:
            self.told.generations[run.id] = max(self.told.generations[run.id], again.generation)
            self.asked["reruns"] += 1
        self._left_alone.discard(run.id)

    def _some_step(self, flow: str) -> str:
        found = self.kernel.find_flow(flow)
        return self.drawn.choice([LEAVES[flow], next(iter(found.steps))])
