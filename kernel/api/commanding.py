"""What every area of a kernel's API stands on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from ...ports import Ports
from ..arguments import checked_run_id
from ..commands import Command
from ..definition import Flow
from ..dispatch import Dispatcher
from ..registry import Registry
from ..runs import RunHandle
from ..sinks import Sinks
from ..timekeeping import Timekeeper

Result = TypeVar("Result")


class Commanding(ABC):
    """A kernel, as its areas see it."""

    ports: Ports
    inline_bytes_max: int
    _registry: Registry
    _dispatcher: Dispatcher
    _sinks: Sinks
    _timekeeper: Timekeeper | None
    """None where another kernel over the same ports keeps the time, in its own event loop."""

    async def register(self) -> None:
        """Register the shapes of all flows, and the names of all sinks, with the store; repeating it costs nothing.

        Raises:
            FlowShapeConflict: the store has another shape under a flow's slug and version.
        """
        await self._keep_time()
        await self._sinks.register(self.ports.persistence, self.ports.clock)
        if not self._registry.registered:
            await self._registry.register(self.ports.persistence, self.ports.clock)

    async def dispatch(self, command: Command[Result]) -> Result:
        """Carry out a command; see `Dispatcher.dispatch` for its errors."""
        if command.needs_flows:
            await self.register()
        else:
            await self._keep_time()
            await self._sinks.register(self.ports.persistence, self.ports.clock)
        return await self._dispatcher.dispatch(command)

    def find_flow(self, slug: str, version: int | str | None = None) -> Flow[Any]:
        """The flow of that slug, in its newest version or the one named.

        Raises:
            UnknownFlow: this kernel has none.
        """
        return self._registry.find(slug, version)

    def run(self, run_id: str) -> RunHandle:
        """A handle on a run that was started earlier or elsewhere.

        Raises:
            InvalidArgument: `run_id` is no text.
        """
        return self.handle_of(checked_run_id(run_id), created=False)

    async def _keep_time(self) -> None:
        """See that the clock can be decided by: before anybody asks it what time it is."""
        if self._timekeeper is not None:
            await self._timekeeper.keep(self.ports.clock)

    @abstractmethod
    def handle_of(self, run_id: str, *, created: bool) -> RunHandle:
        """A handle on a run, which is served by all areas together."""
