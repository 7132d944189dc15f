"""Every command against every other: one of the serial orders comes out (FAULTS 16, 62-69).

Two kernels meet at a scene where each command has something to do. The first is stopped on its way, and the second
begins; it waits for the first, passes it by, or is quicker. Then the same two follow each other, in either order. What
is stored, what was published and what both answered is as in one of these orders; every invariant holds, and neither
ran into a deadlock.

Here the first is stopped before one of its commits, and meets a third of the commands in PostgreSQL, another third in
memory. `make races` has all of them meet, both stopped at each of their points, in every combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from .arenas import Arena, PostgresArena
from .commands import COMMANDS
from .meeting import Build, Command, Meeting
from .scene import everything_at_once
from .waiting import MEETINGS


@pytest.mark.fault(62, 63, 64, 65, 69)
@pytest.mark.parametrize("first", COMMANDS)
async def test_what_meets_is_as_if_one_followed_the_other(arena: Arena, first: str, every_point: bool) -> None:
    """One command, stopped on its way, against all, where everything is at once."""
    offset = list(COMMANDS).index(first) + isinstance(arena, PostgresArena)
    seconds = [second for place, second in enumerate(COMMANDS) if every_point or (place + offset) % 3 == 0]

    assert await _violations(arena, everything_at_once, COMMANDS, first, seconds, every_point=every_point) == ""


@pytest.mark.fault(16, 62, 63)
@pytest.mark.parametrize(
    ("build", "first"),
    [
        pytest.param(build, first, id=f"{build.__name__}-{first}")
        for build, names in MEETINGS.items()
        for first in names
    ],
)
async def test_what_waits_is_answered_or_given_up_once(
    arena: Arena, build: Build, first: str, every_point: bool
) -> None:
    """No signal is lost or counts twice, no timeout comes beside one, nothing follows a cancel."""
    commands = MEETINGS[build]

    assert await _violations(arena, build, commands, first, commands, every_point=every_point) == ""


async def _violations(
    arena: Arena,
    build: Build,
    commands: Mapping[str, Command],
    first: str,
    seconds: Iterable[str],
    *,
    every_point: bool,
) -> str:
    """What came out that should not have, as text; empty where all is well."""
    told: list[str] = []
    for turn, second in enumerate(seconds):
        meeting = Meeting(arena, build, commands[first], commands[second])
        async for where, violation in meeting.violations(turn, every_point=every_point):
            told.append(f"{first} / {second}, {where}:\n    {violation}")
    return "\n".join(told)
