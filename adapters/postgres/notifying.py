"""Telling other processes through NOTIFY, on one channel.

A NOTIFY takes an instance-wide lock at its commit, so it never rides in a transaction that writes: what is to be told
is sent in the background by a statement of its own: at once after a quiet moment, then in pauses that double up to
`coalesce_s` while there is always more to tell. Every effect may be lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Iterable

from ...ports.errors import AdapterError
from .background import runs_here
from .database import Database

COALESCE_FIRST_S = 0.001
"""The pause after the first notification of one process: whoever does one thing after the other waits for none."""

COALESCE_S = 0.01
"""The longest pause between two notifications of one process: nobody notices the delay, and a busy host sends few."""

PAYLOAD_BYTES_MAX = 7000
"""PostgreSQL refuses 8,000; beyond this everything is told."""

CLOSING_S = 1.0
"""How long closing waits for the last notifications to be sent."""

_UNREADABLE = (TypeError, ValueError, RecursionError)

_log = logging.getLogger(__name__)


class Notifier:
    """Tells of words on a channel.

    Args:
        database: sends the notifications.
        channel: its name.
        coalesce_s: the longest pause between two notifications while there is more to tell.
    """

    def __init__(self, database: Database, channel: str, *, coalesce_s: float = COALESCE_S) -> None:
        self.channel = channel
        self.origin = uuid.uuid4().hex
        """What tells this one's notifications from others'."""
        self._database = database
        self._coalesce_s = coalesce_s
        self._unsent: set[str | None] = set()
        self._sending: asyncio.Task[None] | None = None

    def tell(self, words: Iterable[str | None]) -> None:
        """Tell others soon."""
        self._unsent.update(words)
        if self._unsent and not runs_here(self._sending):
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="fairlead notifications")

    async def aclose(self) -> None:
        """Send what is unsent."""
        sending, self._sending = self._sending, None
        if runs_here(sending):
            await asyncio.wait({sending}, timeout=CLOSING_S)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self) -> None:
        pause_s = min(COALESCE_FIRST_S, self._coalesce_s)
        while self._unsent:
            await self._notify()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._coalesce_s)

    async def _notify(self) -> None:
        words, self._unsent = self._unsent, set()
        if not words:
            return
        payload = json.dumps([self.origin, *sorted(words, key=str)], separators=(",", ":"))
        if len(payload.encode()) > PAYLOAD_BYTES_MAX:
            payload = ""
        try:
            await self._database.write("notify", {"channel": self.channel, "payload": payload})
        except AdapterError as error:  # recovers 32: a wake-up cannot be sent
            _log.info("a notification was not sent, others will look for themselves: %s", error)


def read_notification(payload: str | None) -> tuple[str, set[str | None]] | None:
    """Who told of which words; None where that is not known, and it may be any."""
    try:
        origin, *words = json.loads(payload or "null")
    except _UNREADABLE:  # recovers 32: what is heard is not ours, or was too long to be said
        return None
    return str(origin), {None if word is None else str(word) for word in words}


def channel_of(schema: str, subject: str = "") -> str:
    """The channel of a schema, within PostgreSQL's limit of 63 bytes and apart from every other schema's."""
    plain = len(schema.encode()) < 40 and ":" not in schema
    name = schema if plain else f"fairlead:{uuid.uuid5(uuid.NAMESPACE_OID, schema).hex}"
    return f"{name}:{subject}" if subject else name
