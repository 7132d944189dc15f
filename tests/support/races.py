"""Two commands that meet: one is stopped before its commit, and the other begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from attrs import define, evolve

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.kernel import Flow, Kernel

from .hands import Hands
from .scenes import PATIENCE_S
from .subjects import StoreSubject


class Halting:
    """Where transactions stop before their commit, until they may go on."""

    def __init__(self) -> None:
        self.halted = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> None:
        self.halted.set()
        await self.go_on.wait()


@define
class Race:
    """One store, a kernel that stops before each commit, and one that does not."""

    subject: StoreSubject
    kernel: Kernel
    hands: Hands
    halting: Halting
    slow: Hands

    @property
    def clock(self) -> ManualClock:
        """The time of both."""
        clock = self.kernel.ports.clock
        assert isinstance(clock, ManualClock)
        return clock

    async def halt(self, command: Awaitable[Any]) -> asyncio.Task[Any]:
        """Carry out a command of the slow kernel up to its commit."""
        task = asyncio.ensure_future(command)
        await asyncio.wait_for(self.halting.halted.wait(), PATIENCE_S)
        return task

    async def behind(self, command: Awaitable[Any]) -> asyncio.Task[Any]:
        """Begin a command of the other kernel, which has to wait for the first."""
        task = asyncio.ensure_future(command)
        await self.subject.until_waiting()
        assert not task.done()
        return task

    async def finish(self, *tasks: asyncio.Task[Any]) -> list[Any]:
        """Let the halted command commit, and answer what all of them did."""
        self.halting.go_on.set()
        return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)


Kind = TypeVar("Kind", bound=Race)


async def race_between(subject: StoreSubject, flow: Flow[Any], kind: type[Kind]) -> Kind:
    """Two kernels over one store, which have this flow."""
    ports = evolve(memory_ports(clock=ManualClock()), persistence=subject.store)
    halting = Halting()
    kernel = Kernel(flows=[flow], ports=ports)
    slow = Kernel(flows=[flow], ports=evolve(ports, persistence=subject.stopping(halting)))
    await slow.register()
    return kind(subject, kernel, Hands(kernel), halting, Hands(slow, "slow"))
