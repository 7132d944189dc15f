"""What was really executed, published and handed out: lines in a file that lies outside all faults.

Processes append whole lines, each with one write, so a killed one leaves either a line or none. Nothing here knows of
the database: what it recorded is compared with this file in the end.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from fairlead.kernel import Context
from fairlead.ports.outbox import EventRecord


class Execution(msgspec.Struct, frozen=True, tag_field="line", tag="execution", kw_only=True):
    """A handler began or ended."""

    task: str
    """The task's id: run, step, generation and element."""
    attempt: int
    what: str
    """`begin` or `end`."""
    phase: str
    """`run`, or `check` for the check of a step that is suspended."""
    pid: int


class Published(msgspec.Struct, frozen=True, tag_field="line", tag="published", kw_only=True):
    """A sink was given an event and keeps it, whatever it answers."""

    run: str
    flow: str
    sequence: int
    type: str
    data: str


class Token(msgspec.Struct, frozen=True, tag_field="line", tag="token", kw_only=True):
    """A handler handed out a resume token."""

    run: str
    step: str
    token: str


Line = Execution | Published | Token

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Ledger:
    """Appends lines; any number of processes may."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, lines: Iterable[Line]) -> None:
        """Append lines, all or none of them."""
        data = b"".join(_ENCODER.encode(line) + b"\n" for line in lines)
        written = os.write(self._descriptor, data)
        assert written == len(data), "the ledger's disk is full"

    @contextmanager
    def attempt(self, ctx: Context, *, phase: str = "run") -> Generator[None]:
        """Note that a handler begins, and that it ends where it does not raise."""
        self._execution(ctx, "begin", phase)
        yield
        self._execution(ctx, "end", phase)

    def hand_out(self, run: str, step: str, token: str) -> None:
        """Note a resume token, as a mail would carry it."""
        self.write([Token(run=run, step=step, token=token)])

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _execution(self, ctx: Context, what: str, phase: str) -> None:
        line = Execution(task=ctx.idempotency_key, attempt=ctx.attempt, what=what, phase=phase, pid=os.getpid())
        self.write([line])


class LedgerReader:
    """Reads what was appended since it last looked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def fresh(self) -> list[Line]:
        """Whole lines that are new."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_DECODER.decode(line) for line in whole.splitlines()]


class LedgerSink:
    """An event sink that keeps everything in the ledger, and now and then refuses, forgets to answer, or stops early.

    Args:
        ledger: where events are kept.
        random: with `random()`; the sink misbehaves by it.
        trouble: the share of calls that go wrong.
    """

    def __init__(self, ledger: Ledger, random: Any, *, trouble: float) -> None:
        self._ledger = ledger
        self._random = random
        self._trouble = trouble

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Keep a prefix of the batch."""
        kept = len(batch)
        fate = self._random.random() / self._trouble if self._trouble else 1.0
        if fate < 0.3:
            raise RuntimeError("the sink refuses")
        if fate < 0.6:
            kept = (kept + 1) // 2
        self._ledger.write(
            Published(
                run=event.run_id, flow=event.flow, sequence=event.sequence, type=event.type, data=event.data.decode()
            )
            for event in batch[:kept]
        )
        if 0.6 <= fate < 1:
            raise RuntimeError("the sink has kept the events, and its answer is lost")
        return kept

    async def aclose(self) -> None:
        """Nothing to close; the ledger is its owner's."""
