"""What befalls machines while faults strike, whatever their hosts do at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from random import Random
from typing import Any

from attrs import frozen

from .clocks import MISCOUNTED_S
from .machines import Machine
from .setting import Setting
from .striking import Strikes


@frozen
class Troubles:
    """Kills, pauses, deploys and clocks that jump, each every now and then.

    Args:
        setting: how often.
        random: when, and which machine.
        strikes: counts them, and says how many may still be.
        machines: what they befall.
    """

    setting: Setting
    random: Random
    strikes: Strikes
    machines: Sequence[Machine]

    def going_on(self) -> Iterator[Coroutine[Any, Any, None]]:
        """One coroutine for each kind that this setting has; none ends by itself."""
        weather = self.setting.weather
        if weather.kill_every_s is not None:
            yield self._now_and_then(weather.kill_every_s, self._kill)
        if weather.restart_every_s is not None:
            yield self._deploy_now_and_then(weather.restart_every_s)
        if weather.pause_every_s is not None:
            yield self._now_and_then(weather.pause_every_s, self._pause)
        if weather.clock_jump_every_s is not None:
            yield self._now_and_then(weather.clock_jump_every_s, self._miscount)

    async def _now_and_then(self, every_s: float, strike: Callable[[Machine], None]) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1 / every_s))
            if self.strikes.kills_left > 0 and not self.strikes.calm:
                strike(self.random.choice(self.machines))

    async def _deploy_now_and_then(self, every_s: float) -> None:
        """A deploy: hosts stop in good order, and others begin."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / every_s))
            if not self.strikes.calm:
                self.strikes.count("restarted")
                self.random.choice(self.machines).restart()

    def _kill(self, machine: Machine) -> None:
        if machine.kill():
            self._spend("killed")

    def _pause(self, machine: Machine) -> None:
        if machine.current is not None and not machine.current.process.paused:
            self._spend("paused")
            lease_s = self.setting.lease.total_seconds()
            machine.current.stand_still(self.random.uniform(0.5, 4.0) * lease_s)

    def _miscount(self, machine: Machine) -> None:
        if machine.current is not None and not machine.current.process.paused:
            self._spend("clock jumped")
            seconds = self.random.choice((-1, 1)) * self.random.choice(MISCOUNTED_S)
            machine.current.miscount(seconds)

    def _spend(self, kind: str) -> None:
        self.strikes.kills_left -= 1
        self.strikes.count(kind)
