"""Which area carries out which command."""

from __future__ import annotations

from typing import Protocol, TypeVar, cast

from ...ports import Ports
from ..commands import Command
from ..registry import Registry
from ..sinks import Sinks
from .advancing import Advancing
from .claiming import Claiming
from .collecting import Collecting
from .controlling import Controlling
from .enlisting import Enlisting
from .firing import Firing
from .joining import Joining
from .means import Handlers, Means
from .noting import Noting
from .pruning import Pruning
from .publishing import Publishing
from .running import Running
from .scheduling import Scheduling
from .waiting import Waiting

Result = TypeVar("Result")


class Area(Protocol):
    """Carries out the commands of one area."""

    @property
    def handlers(self) -> Handlers:
        """What carries out each of its commands."""
        ...


class Dispatcher:
    """Carries out the commands of one kernel."""

    def __init__(self, registry: Registry, ports: Ports, sinks: Sinks, *, inline_bytes_max: int) -> None:
        means = Means(registry, ports, inline_bytes_max=inline_bytes_max)
        areas: list[Area] = [
            Running(means),
            Joining(means),
            Claiming(means),
            Advancing(means),
            Waiting(means),
            Controlling(means),
            Publishing(means, sinks),
            Pruning(means),
            Collecting(means),
            Noting(means),
            Enlisting(means),
            Scheduling(means),
            Firing(means, self.dispatch),
        ]
        self._handlers: Handlers = {command: handler for area in areas for command, handler in area.handlers.items()}

    async def dispatch(self, command: Command[Result]) -> Result:
        """Carry out a command; a transaction that got into another's way is taken again from the top.

        Raises:
            UsageError: the command is wrong; it had no effect.
            AdapterError: the world failed. After `CommitUnknown` the effect may exist, after any other it does not.
            CorruptionError: the store contradicts the rules.
        """
        handler = self._handlers[type(command)]
        return cast(Result, await handler(command))
