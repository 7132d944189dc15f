"""The sinks of one kernel: those of its ports, and its subscribers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from attrs import Factory, field, frozen

from ..ports import Ports
from ..ports.clock import Clock
from ..ports.outbox import SINKS_MAX, EventRecord
from ..ports.persistence import Persistence
from ..ports.sink import Caller, EventSink, MayStick
from .arguments import checked_text
from .errors import InvalidArgument, KernelInUse, LimitExceeded

SINK_NAME_LENGTH_MAX = 128
"""Characters of a sink's name: enough for a module and a qualified name, short enough for an index."""


@frozen
class NamedSink:
    """One sink."""

    name: str
    sink: EventSink
    caller: Caller
    types: Collection[str] | None = None
    """Of the events that it asks for; None for all. It has what it does not ask for without being called."""
    attempts_max: int | None = None
    """How often it is offered an event; None for `ATTEMPTS_MAX`."""
    _may_stick: bool = field(init=False, default=Factory(lambda self: isinstance(self.sink, MayStick), takes_self=True))
    """Asked once: `isinstance` of a protocol costs more than a look for events."""

    @property
    def is_stuck(self) -> bool:
        """Whether a call of it that was given up in this process has not ended yet."""
        return self.caller.is_stuck or (self._may_stick and cast("MayStick", self.sink).is_stuck)

    def asks_for(self, event: EventRecord) -> bool:
        """Whether it is to be given an event."""
        return self.types is None or event.type in self.types


class Sinks:
    """The sinks by name. They are complete once the kernel is used: what was committed before would pass a later one.

    Raises:
        InvalidArgument: a name is no printable text, or too long.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._sinks: dict[str, NamedSink] = {}
        self._complete = False
        self._registered = False
        for name, sink in ports.sinks.items():
            self.add(name, sink)

    @property
    def by_name(self) -> Mapping[str, NamedSink]:
        """All sinks."""
        return self._sinks

    def add(
        self, name: str, sink: EventSink, *, types: Collection[str] | None = None, attempts_max: int | None = None
    ) -> None:
        """Add a sink, with what `NamedSink` says of it.

        Raises:
            KernelInUse: the kernel was used before.
            InvalidArgument: the name is no printable text, too long, or taken.
        """
        checked_text("name", name, SINK_NAME_LENGTH_MAX)
        if self._complete:
            raise KernelInUse(f"sink {name!r} cannot be added", "subscribe before the kernel is first used")
        if name in self._sinks:
            raise InvalidArgument("name", f"a name of its own; the kernel has the sinks {', '.join(self._sinks)}", name)
        self._sinks[name] = NamedSink(name, sink, self._ports.new_caller(), types=types, attempts_max=attempts_max)

    async def register(self, persistence: Persistence, clock: Clock) -> None:
        """Make the sinks known to the store; repeating it costs nothing.

        Raises:
            LimitExceeded: the store knows too many.
        """
        self._complete = True
        if self._registered or not self._sinks:
            return
        homeless = await persistence.register_sinks(list(self._sinks), now=clock.now())
        if homeless:
            raise LimitExceeded(what="sinks of one store", limit=SINKS_MAX, found=SINKS_MAX + len(homeless))
        self._registered = True
