"""What one seed works with: how many machines of which kind, how patient they are, and which weather they have."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from attrs import frozen

from .faults import Faults, Weather

LEASES_S = (5, 30)

MAINTENANCE_S = 5.0

STORM_S = (20.0, 60.0, 200.0)
"""How long faults may strike, in virtual seconds."""


@frozen(kw_only=True)
class Setting:
    """All that is drawn before anything happens."""

    weather: Weather
    machines: int
    serverless: float
    """How likely a machine runs its host in single calls."""
    concurrency: int
    lease: timedelta
    poll_interval_s: float
    maintenance_s: float = MAINTENANCE_S
    """How often a function is called for maintenance."""
    delivers: bool
    """Whether the transport delivers messages, or only hints."""
    storm_s: float
    kills: int
    """How often a process may be killed or stand still for longer than its leases."""

    @classmethod
    def drawn(cls, faults: Faults, random: Random, *, kills_max: int) -> Setting:
        """The setting of one seed."""
        return cls(
            weather=Weather.drawn(faults, random),
            machines=random.choice((1, 2, 2, 3)),
            serverless=random.choice((0.0, 0.0, 0.5, 1.0)),
            concurrency=random.choice((1, 2, 10)),
            lease=timedelta(seconds=random.choice(LEASES_S)),
            poll_interval_s=random.choice((0.5, 2.0, 10.0)),
            delivers=random.random() < 0.5,
            storm_s=random.choice(STORM_S),
            kills=random.randint(1, kills_max),
        )

    @classmethod
    def calm(cls) -> Setting:
        """One host, and no fault."""
        return cls(
            weather=Weather(),
            machines=1,
            serverless=0.0,
            concurrency=10,
            lease=timedelta(seconds=30),
            poll_interval_s=1.0,
            delivers=False,
            storm_s=0.0,
            kills=0,
        )
