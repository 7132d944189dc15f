"""Small scenes around what waits, and what can be done there: each brings one run to one point (FAULTS 16, 62, 63)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands

from .arenas import Arena, Scene
from .flows import MINUTE, WAITS
from .meeting import Build, Command

RUN = "waiting"


async def pending(arena: Arena) -> Scene:
    """A run that nobody has claimed."""
    run = await arena.second.kernel.start(WAITS, None)
    return Scene({RUN: run.id})


async def asked(arena: Arena) -> Scene:
    """A run whose first steps are at work: its signal is not waited for yet."""
    scene = await pending(arena)
    await arena.second.claim_runs()
    return Scene(scene.runs, {task.key.step: task for task in await arena.second.claim_tasks()})


async def answerable(arena: Arena) -> Scene:
    """A run whose signal is waited for. The time for that, and for the run, is over, and nobody has looked."""
    scene = await asked(arena)
    await arena.second.complete(scene.tasks["ask"])
    arena.clock.advance(MINUTE)
    return scene


async def checked(arena: Arena) -> Scene:
    """A run whose step is being checked, late."""
    scene = await asked(arena)
    nothing = timedelta(0)
    await arena.second.suspend(scene.tasks["compute"], 1, check_after=nothing, give_up_after=MINUTE * 2)
    await arena.second.wake()
    (check,) = await arena.second.claim_tasks()
    arena.clock.advance(MINUTE)
    tasks: Mapping[str, ClaimedTask] = {**scene.tasks, "compute": check}
    return Scene(scene.runs, tasks)


async def checkable(arena: Arena) -> Scene:
    """A run with a check that is due, and a deadline that has passed."""
    scene = await asked(arena)
    await arena.second.suspend(scene.tasks["compute"], 1, check_after=MINUTE)
    arena.clock.advance(MINUTE)
    return scene


def _signal(value: int, key: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        return await hands.kernel.signal(scene.runs[RUN], "answer", value, key=key)

    return Command(command)


async def _cancel(hands: Hands, scene: Scene) -> object:
    return await hands.kernel.cancel(scene.runs[RUN])


async def _wake(hands: Hands, scene: Scene) -> dict[str, object]:
    await hands.wake()
    return {}


async def _expire(hands: Hands, scene: Scene) -> dict[str, object]:
    await hands.expire()
    return {}


async def _claim(hands: Hands, scene: Scene) -> dict[str, object]:
    return dict.fromkeys(await hands.claimed_run_ids(), "claimed")


def _complete(slug: str) -> Command:
    async def command(hands: Hands, scene: Scene) -> object:
        return await hands.complete(scene.tasks[slug], 1)

    return Command(command)


async def _fail(hands: Hands, scene: Scene) -> object:
    return await hands.fail(scene.tasks["beside"], retryable=False)


async def _suspend(hands: Hands, scene: Scene) -> object:
    return await hands.suspend(scene.tasks["compute"], 1, check_after=timedelta(0))


SIGNAL, CONFLICTING, OTHER = _signal(1, "first"), _signal(2, "first"), _signal(2, "other")
CANCEL, FAIL, SUSPEND = Command(_cancel), Command(_fail), Command(_suspend)
CLAIM, WAKE, EXPIRE = (Command(act, skips=True) for act in (_claim, _wake, _expire))

MEETINGS: Mapping[Build, Mapping[str, Command]] = {
    pending: {"signal": SIGNAL, "cancel": CANCEL, "claim": CLAIM},
    asked: {
        "signal": SIGNAL,
        "conflicting signal": CONFLICTING,
        "cancel": CANCEL,
        "complete ask": _complete("ask"),
        "suspend": SUSPEND,
    },
    answerable: {
        "signal": SIGNAL,
        "other signal": OTHER,
        "cancel": CANCEL,
        "wake": WAKE,
        "expire": EXPIRE,
        "fail": FAIL,
    },
    checked: {"cancel": CANCEL, "expire": EXPIRE, "complete compute": _complete("compute"), "suspend": SUSPEND},
    checkable: {"cancel": CANCEL, "wake": WAKE, "expire": EXPIRE},
}
"""What can meet where."""
