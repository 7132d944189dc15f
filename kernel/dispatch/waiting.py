"""What waits: waking tasks whose time has come, failing runs past their deadline, signals and resume tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from ...ports.changes import ResumeToken
from ...ports.persistence import Transaction
from ...ports.records import LoadRequest, Snapshot
from ...ports.statuses import TERMINAL_RUN
from ..commands import ExpireRuns, MintResumeToken, SendSignal, SentSignal, WakeTasks
from ..decisions.expire import expire_runs
from ..decisions.handover import NOBODY, HandOver
from ..decisions.settled import Settled
from ..decisions.signal import Reception, deliver_signal, keep_signal, receive, sent
from ..decisions.state import ChangeSet
from ..decisions.wake import wake_tasks
from ..errors import RunNotFound, SignalNotAwaited
from .deciding import decide_and_apply, neighbours
from .means import Handlers, Means
from .paging import Page, page_of, past_locked_runs

EXPIRED_TOGETHER_MAX = 5
"""Runs that are ended by one transaction since their time is over: with full maps, a second's work of a database."""


class Waiting:
    """Carries out `WakeTasks`, `ExpireRuns`, `SendSignal` and `MintResumeToken`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {
            WakeTasks: self._wake_tasks,
            ExpireRuns: self._expire_runs,
            SendSignal: self._send_signal,
            MintResumeToken: self._mint_resume_token,
        }

    # What is over by itself

    async def _wake_tasks(self, command: WakeTasks) -> int:
        async def turn(leave_out: Sequence[str]) -> Page:
            return await self._means.from_the_top(lambda: self._wake_once(command, leave_out))

        return await past_locked_runs(turn)

    async def _wake_once(self, command: WakeTasks, leave_out: Sequence[str]) -> Page:
        means = self._means
        found = await means.persistence.find_waits(
            means.clock.now(), flow_ids=means.flow_ids, limit=command.limit, leave_out=leave_out
        )
        if not found:
            return Page()
        request = LoadRequest(
            runs=tuple(sorted({task.key.run_id for task in found})),
            steps=neighbours(means.plans, ((task.key, task.flow_id) for task in found)),
            tasks=tuple(sorted(task.key for task in found)),
        )
        async with means.persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            now = means.clock.now()

            def decide(snapshot: Snapshot) -> Settled:
                return wake_tasks(
                    found,
                    snapshot,
                    means.plans,
                    now=now,
                    hand_over=HandOver(NOBODY, now),
                )

            settled = await decide_and_apply(transaction, snapshot, means.plans, decide)
        await means.wake_for(settled.changes, snapshot.runs, now)
        return page_of(found, snapshot, done=len(settled.verdicts), limit=command.limit)

    async def _expire_runs(self, command: ExpireRuns) -> int:
        means = self._means

        async def turn(leave_out: Sequence[str]) -> Page:
            overdue = await means.persistence.find_overdue(means.clock.now(), limit=command.limit, leave_out=leave_out)
            expired, missed = 0, frozenset[str]()
            for first in range(0, len(overdue), EXPIRED_TOGETHER_MAX):
                runs = tuple(sorted(overdue[first : first + EXPIRED_TOGETHER_MAX]))
                part = await means.from_the_top(partial(self._expire_together, runs))
                expired, missed = expired + part.done, missed | part.missed
            return Page(expired, len(overdue) >= command.limit, missed)

        return await past_locked_runs(turn)

    async def _expire_together(self, runs: tuple[str, ...]) -> Page:
        """End a few runs: each may have tasks by the ten thousand that end with it."""
        means = self._means
        async with means.persistence.transaction() as transaction:
            snapshot = await transaction.load(LoadRequest(runs=runs, steps=(), tasks=()))
            changes = expire_runs(snapshot.runs.values(), now=means.clock.now())
            if not changes.empty:
                await transaction.apply(changes.frozen())
        await means.tell_ended(changes.runs)
        return Page(len(changes.runs), missed=frozenset(runs) - snapshot.runs.keys())

    # Signals

    async def _send_signal(self, command: SendSignal) -> SentSignal:
        """Send; whether an earlier try, whose commit was unknown, has put it down is told by the time of sending."""
        tried: set[datetime] = set()
        return await self._means.until_known(lambda: self._send_once(command, tried), patience_s=command.patience_s)

    async def _send_once(self, command: SendSignal, tried: set[datetime]) -> SentSignal:
        means, run_id = self._means, command.run_id
        request = LoadRequest(
            runs=(run_id,),
            steps=((run_id, command.step),),
            tasks=(),
            wait=True,
            patience_s=command.patience_s,
        )
        async with means.persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            run = snapshot.runs.get(run_id)
            if run is None:
                raise RunNotFound(run_id)
            plan = means.plan_of(run)
            signals = (await transaction.load_signals([run_id])).get(run_id, ())
            if any((each.step, each.key) == (command.step, command.key) and each.sent_at in tried for each in signals):
                # recovers 22: a signal was sent by an earlier try, whatever has become of it since
                return replace(sent(command, Reception.REPEATED, signals), repeated=False)
            now = means.clock.now()
            step = snapshot.steps.get((run_id, command.step))
            reception = receive(command, run, step, plan, signals, now=now)
            if reception is not Reception.REPEATED:
                tried.add(now)
            snapshot = replace(snapshot, signals={run_id: signals})
            changes = await self._received(transaction, command, reception, snapshot, now)
        await means.wake_for(changes, snapshot.runs, now)
        return sent(command, reception, signals)

    async def _received(
        self, transaction: Transaction, command: SendSignal, reception: Reception, snapshot: Snapshot, now: datetime
    ) -> ChangeSet:
        """Do what is to be done with a signal that is not refused."""
        means = self._means
        run = snapshot.runs[command.run_id]
        if reception is Reception.KEEP:
            kept = keep_signal(command, run, now=now)
            await transaction.apply(kept.frozen())
            return kept
        if reception is Reception.REPEATED:  # recovers 2, 22: a signal is sent again
            return ChangeSet()
        plan = means.plans[run.flow_id]
        rows = await transaction.load_steps([(run.id, slug) for slug in plan.neighbours[command.step]])
        near = replace(snapshot, steps={(row.run_id, row.slug): row for row in rows})

        def decide(snapshot: Snapshot) -> Settled:
            hand_over = HandOver(NOBODY, now)
            return deliver_signal(command, snapshot, plan, now=now, hand_over=hand_over)

        return (await decide_and_apply(transaction, near, means.plans, decide)).changes

    async def _mint_resume_token(self, command: MintResumeToken) -> str:
        means = self._means
        run = await means.persistence.read_run(command.run_id)
        if run is None:
            raise RunNotFound(command.run_id)
        if run.status in TERMINAL_RUN:
            raise SignalNotAwaited(run_id=run.id, step=None, status=run.status)
        token = means.ports.new_secret()
        row = ResumeToken(
            digest=resume_digest(token),
            run_id=run.id,
            step=command.step,
            created_at=means.clock.now(),
            expires_at=command.expires_at,
        )
        await means.until_known(lambda: means.persistence.insert_resume_tokens([row]))
        return token


def resume_digest(token: str) -> str:
    """What is stored of a resume token, SHA-256 in hex: whoever reads the store cannot answer with it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
