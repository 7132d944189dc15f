"""Which faults may strike, and how often they do in one seed."""

from __future__ import annotations

from random import Random

from attrs import fields, frozen

RATES = (0.005, 0.02, 0.05, 0.15)
"""How likely a fault is at one port call, where a seed has it. Rare ones leave room for long courses between them."""

LATENCIES_S = (0.0, 0.002, 0.01, 0.05)
"""How long a port call takes in the mean, in virtual seconds."""

MACHINE_CLOCK_OFFSETS_S = (90.0, 3_600.0)
"""By how much a machine's own clock may be wrong: beyond all leases, and as a time zone that was set wrong."""


@frozen(kw_only=True)
class Faults:
    """Which kinds of faults may strike. Each seed has some of them, more or less often, and others not at all."""

    kills: bool = True
    """A host's process is killed, at any moment; another one is started later."""
    restarts: bool = True
    """Hosts are stopped in good order and others started, which may lack some of the flows."""
    pauses: bool = True
    """A host stands still for longer than its leases, and then goes on as if nothing was."""
    refusals: bool = True
    """A port refuses: the operation does not happen, and its caller knows."""
    lost_answers: bool = True
    """The operation happens, and its caller gets an error instead of the answer."""
    delays: bool = True
    """A port takes seconds to answer."""
    messages: bool = True
    """Messages and hints of the transport are lost, come twice, or come late and so after others."""
    clocks: bool = True
    """Machines' clocks are wrong by up to an hour, or hosts' ideas of the time differ by seconds."""
    sinks: bool = True
    """Sinks of events refuse, hang, accept a part, or accept and then raise."""
    blobs: bool = True
    """The blob store refuses, loses answers, or gives other bytes than were written."""

    @classmethod
    def none(cls) -> Faults:
        """None of them."""
        return cls(**{each.name: False for each in fields(cls)})


@frozen(kw_only=True)
class Weather:
    """What one seed has of them: probabilities at each call."""

    refused: float = 0.0
    lost: float = 0.0
    delayed: float = 0.0
    killed: float = 0.0
    """At a port call; a host dies at other moments as well."""
    killed_after: float = 0.0
    """Right after a handler has ended, before anybody knows."""
    paused: float = 0.0
    """At a port call: the process stands still for longer than its leases; it does so at other moments as well."""
    paused_after: float = 0.0
    """Right after a handler has ended: its outcome comes when others have its task."""
    kill_every_s: float | None = None
    restart_every_s: float | None = None
    pause_every_s: float | None = None
    misdelivered: float = 0.0
    sink: float = 0.0
    blobs: float = 0.0
    clock_offset_s: float = 0.0
    """By how much a host's clock may be wrong and nobody knows."""
    machine_clock_offset_s: float = 0.0
    """By how much a machine's own clock may be wrong. Its host knows better once it has asked the store for the time;
    0 where hosts have no clock but the right one, and `clock_offset_s`."""
    clock_jump_every_s: float | None = None
    """How often a machine counts seconds that did not pass, or stands still and does not count them."""
    latency_s: float = 0.0
    listings: bool = False
    """Whether what a port lists may be struck, too, at each of its elements."""

    @classmethod
    def drawn(cls, faults: Faults, random: Random) -> Weather:
        """The weather of one seed."""

        def rate(possible: bool) -> float:
            chosen = random.choice(RATES)
            return chosen if possible and random.random() < 0.6 else 0.0

        def every_s(possible: bool) -> float | None:
            chosen = random.choice((3.0, 15.0, 60.0))
            return chosen if possible and random.random() < 0.6 else None

        beside = chance_beside(random)
        return cls(
            refused=rate(faults.refusals),
            lost=rate(faults.lost_answers),
            delayed=rate(faults.delays),
            killed=rate(faults.kills),
            killed_after=random.choice((0.1, 0.3, 0.6)) * (faults.kills and random.random() < 0.7),
            paused=random.choice((0.0, 0.005, 0.02)) * faults.pauses,
            paused_after=random.choice((0.0, 0.1, 0.5)) * faults.pauses,
            kill_every_s=every_s(faults.kills),
            restart_every_s=every_s(faults.restarts),
            pause_every_s=every_s(faults.pauses),
            misdelivered=random.choice((0.05, 0.2, 0.5, 1.0)) * (faults.messages and random.random() < 0.6),
            sink=random.choice((0.05, 0.2, 0.5)) * (faults.sinks and random.random() < 0.6),
            blobs=random.choice((0.1, 0.3, 0.5)) * (faults.blobs and random.random() < 0.6),
            clock_offset_s=random.choice((0.5, 2.0)) * (faults.clocks and random.random() < 0.5),
            latency_s=random.choice(LATENCIES_S) * (faults.delays or random.random() < 0.5),
            machine_clock_offset_s=beside.choice(MACHINE_CLOCK_OFFSETS_S) * (faults.clocks and beside.random() < 0.2),
        )


def chance_beside(random: Random) -> Random:
    """A source of chance that takes nothing from another one: what is drawn from it leaves the rest of a seed alone."""
    return Random(hash(random.getstate()[1]))
