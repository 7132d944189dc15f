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

Result = TypeVar("Result")


class Commanding(ABC):
    """A kernel, as its areas see it."""

    ports: Ports
    inline_bytes_max: int
    _registry: Registry
    _dispatcher: Dispatcher
    _sinks: Sinks

    async def register(self) -> None:
        """Register the shapes of all flows, and the names of all sinks, with the store; repeating it costs nothing.

        Raises:
            FlowShapeConflict: the store has another shape under a flow's slug and version.
        """
        await self._sinks.register(self.ports.persistence, self.ports.clock)
        if not self._registry.registered:
            await self._registry.register(self.ports.persistence, self.ports.clock)

    async def dispatch(self, command: Command[Result]) -> Result:
        """Carry out a command; see `Dispatcher.dispatch` for its errors."""
        if command.needs_flows:
            await self.register()
        else:
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

    @abstractmethod
    def handle_of(self, run_id: str, *, created: bool) -> RunHandle:
        """A handle on a run, which is served by all areas together."""
