"""How runs end, as far as it follows from what they were started with."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from attrs import frozen

from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Kernel, RunStatus
from fairlead.ports.statuses import StepStatus
from tests.simulation.outputs import output_of

from .clients import Played, play_all
from .flows import Drawn
from .handlers import Value, lasting


@frozen(kw_only=True)
class Ending:
    """How a run ended, as far as it follows from what it was started with."""

    status: RunStatus
    steps: Mapping[str, tuple[StepStatus, str | None]]
    """Status and reason of each step; empty of a run that failed, since where it was then is chance."""
    outputs: Mapping[str, Any]
    """Of each step that completed."""


async def ending_of(kernel: Kernel, run_id: str) -> Ending:
    """How a run ended."""
    run = kernel.run(run_id)
    record = await run.read()
    if record.status is not RunStatus.COMPLETED:
        return Ending(status=record.status, steps={}, outputs={})
    steps = {step.slug: step for step in (await run.details()).steps}  # the last generation of each
    outputs = {slug: lasting(await output_of(kernel, run_id, slug)) for slug in steps}
    return Ending(
        status=record.status,
        steps={slug: (step.status, step.reason) for slug, step in steps.items()},
        outputs=outputs,
    )


def calm_ending(key: str, drawn: Drawn, input: Value) -> Ending:
    """How a run ends without faults, and with nobody interfering."""
    copy = Played(key, drawn, input)
    with World([drawn.flow], Setting.calm(), Random("calm")) as world:
        world.play(lambda world: play_all(world, [copy]))
        return world.loop.run_until_complete(ending_of(world.reader(), copy.ids[0]))
