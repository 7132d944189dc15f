"""Answering what waits for an answer: signals, and the tokens with which somebody may send one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from msgspec.structs import replace

from ...ports.callers import CallerConnection, SeenRun
from ...ports.errors import AdapterError, CommitUnknown, CorruptionError, FairleadError
from ...ports.reading import RunRecord
from ..arguments import checked_run_id, checked_seconds
from ..arrays import missing_arrays
from ..commands import RESUME_TOKEN_LIFETIME, MintResumeToken, RequestSignal, SendSignal, SentSignal
from ..decisions.signal import foreseen, signals_of
from ..definition import Flow, Step
from ..definition.unknown_fields import unknown_fields
from ..dispatch.joining import callers_of
from ..dispatch.waiting import resume_digest
from ..durations import Duration
from ..errors import (
    TOKEN_KEY,
    InvalidArgument,
    InvalidSignal,
    NotASignal,
    OtherShape,
    PayloadError,
    ResumeTokenUnknown,
    RunNotFound,
)
from ..facts import facts_of
from ..plan import StepKind
from ..references import digest_of, read_reference, signal_prefix
from ..schedules import DeferredRecord, requested_signal_name
from ..sleeps import missing_times
from ..spilling import Spill, write_blob
from ..starting import key_problems
from .commanding import Commanding
from .deferred import Deferred

T = TypeVar("T")
Answer = TypeVar("Answer")


class Signals(Commanding):
    """Signals and resume tokens of a kernel."""

    @overload
    async def signal(self, run_id: str, step: Step[T], payload: T, *, key: str | None = None) -> SentSignal: ...
    @overload
    async def signal(
        self, run_id: str, step: Step[None], payload: None = None, *, key: str | None = None
    ) -> SentSignal: ...
    @overload
    async def signal(self, run_id: str, step: str, payload: object = None, *, key: str | None = None) -> SentSignal: ...
    async def signal(
        self, run_id: str, step: Step[Any] | str, payload: object = None, *, key: str | None = None
    ) -> SentSignal:
        """Answer a signal step of a run. The payload becomes its output.

        Where the step waits, it goes on at once; where it does not wait yet, the signal is kept until it does. When
        this returns, the signal is durable.

        Args:
            run_id: of the run.
            step: the step, or its slug.
            payload: a value of the step's type, or JSON that fits it.
            key: makes the call repeatable: the same key and payload for the same step count once.

        Returns:
            Whether it is delivered or kept, and whether it is the repetition of an earlier one.

        Raises:
            RunNotFound: there is no such run.
            UnknownFlow: the kernel does not have the run's flow.
            OtherShape: the run was started with another shape of it.
            FlowDefinitionError: the flow has no such step.
            NotASignal: the step takes no signal.
            InvalidSignal: payload or key do not fit; every problem is listed with its path.
            SignalConflict: the key was used with another payload.
            SignalSpent: an earlier generation of the run has used the signal of that key, and the step waits again.
            SignalWaiting: the step does not wait yet, and a signal with another key is kept for it.
            SignalNotAwaited: the step, or the whole run, is over.
            AdapterError: a store failed, and the signal was not sent; after `CommitUnknown` it may have been, which the
                same call with the same key finds.
        """
        record = await self._record(run_id)
        flow, found = self._signal_step(record, step, record.id)
        problems = [*unknown_fields(found.output, payload), *key_problems(key)]
        return await self._send(flow, found, record.id, payload, key or self.ports.new_id(), problems=problems)

    @overload
    async def request_signal(
        self, run_id: str, step: Step[T], payload: T, *, connection: CallerConnection, key: str | None = None
    ) -> Deferred: ...
    @overload
    async def request_signal(
        self,
        run_id: str,
        step: Step[None],
        payload: None = None,
        *,
        connection: CallerConnection,
        key: str | None = None,
    ) -> Deferred: ...
    @overload
    async def request_signal(
        self, run_id: str, step: str, payload: object = None, *, connection: CallerConnection, key: str | None = None
    ) -> Deferred: ...
    async def request_signal(
        self,
        run_id: str,
        step: Step[Any] | str,
        payload: object = None,
        *,
        connection: CallerConnection,
        key: str | None = None,
    ) -> Deferred:
        """Let a signal step of a run be answered once the caller's transaction has committed, by the next host to look.

        What refuses the signal then is its `problem`, with which it is held. What the caller's transaction can see is
        refused at once.

        Args:
            run_id: of the run; it may have been started in the same transaction.
            step, payload, key: as for `signal`.
            connection: as for `start`. If its transaction rolls back, no signal is sent.

        Raises:
            UsageError: as for `signal`, and for `start` on a connection.
            AdapterError: as for `start` on a connection.
        """
        callers = callers_of(self.ports.callers)
        if not isinstance(run_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("run_id", "text", run_id)
        signal_key = key if key is not None and not [*key_problems(key)] else self.ports.new_id()
        slug = step if isinstance(step, str) else step.slug
        seen = await callers.see_run(connection, run_id, step=slug, key=signal_key)
        if seen is None:
            raise RunNotFound(run_id)
        flow, found = self._signal_step(seen, step, run_id)
        problems = [*unknown_fields(found.output, payload), *key_problems(key)]
        signal = _checked(flow, found, run_id, payload, signal_key, problems=problems)
        if foreseen(signal, seen):
            record = DeferredRecord(
                name=requested_signal_name(run_id, found.slug, signal_key),
                kind="signal",
                run_id=run_id,
                flow=flow.slug,
                key=signal_key,
                due_at=self.ports.clock.now(),
            )
            return Deferred(self, record)
        deferral = await self._sent_or_stored(
            flow,
            signal,
            lambda stored: self.dispatch(RequestSignal(connection=connection, signal=stored, flow=flow.slug)),
            kept=lambda answer: answer.created,
        )
        return Deferred(self, deferral.record, created=deferral.created)

    async def resume_token(
        self, run_id: str, step: Step[Any] | str, *, expires_in: Duration = RESUME_TOKEN_LIFETIME
    ) -> str:
        """Make a token with which somebody may answer a signal step once, without knowing any id; see `resume`.

        The token is not stored, only its digest. Each call makes another one.

        Args:
            run_id: of the run.
            step: the signal step, or its slug; it need not wait yet.
            expires_in: how long it may be used, seconds or a `timedelta`.

        Raises:
            InvalidArgument: `expires_in` is no duration above 0.
            SignalNotAwaited: the run is over.
            UsageError: as for `signal`.
            AdapterError: the store failed.
        """
        lifetime = timedelta(seconds=_lifetime_s(expires_in))
        record = await self._record(run_id)
        _, found = self._signal_step(record, step, record.id)
        await self._keep_time()
        expires_at = self.ports.clock.now() + lifetime
        return await self.dispatch(MintResumeToken(run_id=record.id, step=found.slug, expires_at=expires_at))

    async def resume(self, token: str, payload: object = None) -> SentSignal:
        """Answer the signal step that a resume token was made for.

        A token is good for one answer: the same answer again is told so, another one is refused.

        Args:
            token: as `resume_token` gave it.
            payload: as for `signal`.

        Raises:
            ResumeTokenUnknown: there is no such token.
            ResumeTokenExpired: its time is over, and it was not used before.
            UsageError: as for `signal`.
            AdapterError: as for `signal`; the same call finds out what became of it.
        """
        if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("token", "text", token)
        row = await self.ports.persistence.read_resume_token(resume_digest(token))
        if row is None:
            raise ResumeTokenUnknown
        record = await self._record(row.run_id)
        flow, found = self._signal_step(record, row.step, record.id)
        problems = list(unknown_fields(found.output, payload))
        key = TOKEN_KEY + row.digest
        return await self._send(flow, found, record.id, payload, key, problems=problems, expires_at=row.expires_at)

    async def _record(self, run_id: object) -> RunRecord:
        found = checked_run_id(run_id)
        record = await self.ports.persistence.read_run(found)
        if record is None:
            raise RunNotFound(found)
        return record

    def _signal_step(self, run: RunRecord | SeenRun, step: Step[Any] | str, run_id: str) -> tuple[Flow[Any], Step[Any]]:
        flow = self.find_flow(run.flow, run.version)
        if flow.shape.fingerprint != run.fingerprint:
            raise OtherShape(run_id=run_id, flow=run.flow, version=run.version)
        found = flow.step_named(step)
        if found.kind is not StepKind.SIGNAL:
            raise NotASignal(flow=flow.slug, step=found.slug, signals=signals_of(flow.plan))
        return flow, found

    async def _send(
        self,
        flow: Flow[Any],
        step: Step[Any],
        run_id: str,
        payload: object,
        key: str,
        *,
        problems: list[tuple[str, str]],
        expires_at: datetime | None = None,
    ) -> SentSignal:
        """Validate a payload and send it."""
        signal = _checked(flow, step, run_id, payload, key, problems=problems, expires_at=expires_at)
        return await self._sent_or_stored(flow, signal, self.dispatch, kept=lambda answer: not answer.repeated)

    async def _sent_or_stored(
        self,
        flow: Flow[Any],
        signal: SendSignal,
        send: Callable[[SendSignal], Awaitable[Answer]],
        *,
        kept: Callable[[Answer], bool],
    ) -> Answer:
        """Send a signal, its payload in blobs where it is too large for its row.

        Args:
            flow: of the run.
            signal: with its payload.
            send: sends it.
            kept: whether its payload is referred to, after that answer.
        """
        if len(signal.payload) <= self.inline_bytes_max:
            return await send(signal)
        prefix = signal_prefix(signal.run_id, signal.step, self.ports.new_id())
        spill = Spill(signal.payload, flow.arrays_read_in_parts(signal.step), prefix)
        for blob in spill.blobs():
            await write_blob(self.ports.blobs, self.ports.clock, blob)
        reference = spill.reference()
        try:
            answer = await send(replace(signal, payload=reference))
        except FairleadError as error:
            if not isinstance(error, (CommitUnknown, CorruptionError)):  # then it may exist, and its payload must
                await self._discard(reference)
            raise
        if not kept(answer):
            await self._discard(reference)
        return answer

    async def _discard(self, reference: bytes) -> None:
        with suppress(AdapterError):  # orphans then, like those of a process that died
            for blob in read_reference(reference).blobs():
                await self.ports.blobs.delete(blob.key)


def _checked(
    flow: Flow[Any],
    step: Step[Any],
    run_id: str,
    payload: object,
    key: str,
    *,
    problems: list[tuple[str, str]],
    expires_at: datetime | None = None,
) -> SendSignal:
    """The signal with its payload, however large.

    Raises:
        InvalidSignal: the payload does not fit, or there were problems before.
    """
    data = b"null"
    try:
        data = step.output.encode(payload)
    except PayloadError as error:
        problems += error.problems
    facts = None if problems else facts_of(flow.plan.questions[step.slug], data)
    if not problems:
        problems += _missing(flow, step, facts)
    if problems:
        raise InvalidSignal(tuple(problems), what=f"signal for step {step.slug!r} of flow {flow.slug!r}")
    return SendSignal(
        run_id=run_id,
        step=step.slug,
        key=key,
        payload=data,
        facts=facts,
        digest=digest_of(data),
        expires_at=expires_at,
    )


def _missing(flow: Flow[Any], step: Step[Any], facts: bytes | None) -> Iterator[tuple[str, str]]:
    """What maps and sleeps do not find in a payload, by its path."""
    for array in missing_arrays(flow.plan, step.slug, facts):
        yield "$" + array.source.dotted.removeprefix(step.slug), str(array)
    for time in missing_times(flow.plan, step.slug, facts):
        yield "$" + time.until.dotted.removeprefix(step.slug), str(time)


def _lifetime_s(expires_in: object) -> float:
    seconds = checked_seconds("expires_in", expires_in)
    if not seconds:
        raise InvalidArgument("expires_in", "more than 0 s", expires_in)
    return seconds
