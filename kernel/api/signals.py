"""Answering what waits for an answer: signals, and the tokens with which somebody may send one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from msgspec.structs import replace

from ...ports.errors import AdapterError, CommitUnknown, FairleadError
from ...ports.reading import RunRecord
from ..arrays import missing_arrays
from ..commands import RESUME_TOKEN_LIFETIME, MintResumeToken, SendSignal, SentSignal
from ..decisions.signal import signals_of
from ..definition import Flow, Step
from ..definition.unknown_fields import unknown_fields
from ..dispatch.waiting import resume_digest
from ..durations import Duration, in_seconds
from ..errors import (
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
from ..sleeps import missing_times
from ..spilling import Spill, write_blob
from ..starting import key_problems
from .commanding import Commanding

T = TypeVar("T")

TOKEN_KEY = "token:"
"""How the key of a signal begins that was sent with a resume token; its digest follows."""


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
            What became of it: `delivered` or `kept`, and whether it is the repetition of an earlier one.

        Raises:
            RunNotFound: there is no such run.
            UnknownFlow: the kernel does not have the run's flow.
            OtherShape: the run was started with another shape of it.
            FlowDefinitionError: the flow has no such step.
            NotASignal: the step takes no signal.
            InvalidSignal: payload or key do not fit; every problem is listed with its path.
            SignalConflict: the key was used with another payload.
            SignalWaiting: the step does not wait yet, and a signal with another key is kept for it.
            SignalNotAwaited: the step, or the whole run, is over.
            AdapterError: a store failed, and the signal was not sent; after `CommitUnknown` it may have been, which the
                same call with the same key finds.
        """
        record = await self._record(run_id)
        flow, found = self._signal_step(record, step)
        problems = [*unknown_fields(found.output, payload), *key_problems(key)]
        return await self._send(flow, found, record.id, payload, key or self.ports.new_id(), problems=problems)

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
        _, found = self._signal_step(record, step)
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
        flow, found = self._signal_step(record, row.step)
        problems = list(unknown_fields(found.output, payload))
        key = TOKEN_KEY + row.digest
        return await self._send(flow, found, record.id, payload, key, problems=problems, expires_at=row.expires_at)

    async def _record(self, run_id: object) -> RunRecord:
        if not isinstance(run_id, str):
            raise InvalidArgument("run_id", "text", run_id)
        record = await self.ports.persistence.read_run(run_id)
        if record is None:
            raise RunNotFound(run_id)
        return record

    def _signal_step(self, record: RunRecord, step: Step[Any] | str) -> tuple[Flow[Any], Step[Any]]:
        flow = self.find_flow(record.flow, record.version)
        if flow.shape.fingerprint != record.fingerprint:
            raise OtherShape(run_id=record.id, flow=record.flow, version=record.version)
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
        """Validate a payload, put it into blobs where it is too large for its row, and send it."""
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
        command = SendSignal(
            run_id=run_id,
            step=step.slug,
            key=key,
            payload=data,
            facts=facts,
            digest=digest_of(data),
            expires_at=expires_at,
        )
        if len(data) <= self.inline_bytes_max:
            return await self.dispatch(command)
        return await self._send_large(flow, command)

    async def _send_large(self, flow: Flow[Any], command: SendSignal) -> SentSignal:
        prefix = signal_prefix(command.run_id, command.step, self.ports.new_id())
        spill = Spill(command.payload, flow.arrays_read_in_parts(command.step), prefix)
        for blob in spill.blobs():
            await write_blob(self.ports.blobs, self.ports.clock, blob)
        reference = spill.reference()
        try:
            answer = await self.dispatch(replace(command, payload=reference))
        except FairleadError as error:
            if not isinstance(error, CommitUnknown):  # then the signal may exist, and its payload must
                await self._discard(reference)
            raise
        if answer.repeated:
            await self._discard(reference)
        return answer

    async def _discard(self, reference: bytes) -> None:
        with suppress(AdapterError):  # orphans then, like those of a process that died
            for blob in read_reference(reference).blobs():
                await self.ports.blobs.delete(blob.key)


def _missing(flow: Flow[Any], step: Step[Any], facts: bytes | None) -> Iterator[tuple[str, str]]:
    """What maps and sleeps do not find in a payload, by its path."""
    for array in missing_arrays(flow.plan, step.slug, facts):
        yield "$" + array.source.dotted.removeprefix(step.slug), str(array)
    for time in missing_times(flow.plan, step.slug, facts):
        yield "$" + time.until.dotted.removeprefix(step.slug), str(time)


def _lifetime_s(expires_in: object) -> float:
    try:
        seconds = in_seconds(expires_in)
    except ValueError as problem:
        raise InvalidArgument("expires_in", str(problem).partition(",")[0], expires_in) from None
    if not seconds:
        raise InvalidArgument("expires_in", "more than 0 s", expires_in)
    return seconds
