"""Working through what the time demands, page by page, past runs that others hold.

A page is what is due first. One that is full of tasks of a locked run must not stand before those of all others for
as long as the lock lasts, so the next page leaves out the runs that were missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from ...ports.records import Snapshot, TaskRow


@frozen
class Page:
    """What became of the tasks that were found together."""

    done: int = 0
    full: bool = False
    """Whether there may be more."""
    missed: frozenset[str] = frozenset()
    """Runs that were not looked at, since others hold them."""


def page_of(found: Sequence[TaskRow], snapshot: Snapshot, *, done: int, limit: int) -> Page:
    """What became of tasks that were found, of which at most `limit` were asked for."""
    missed = frozenset(task.key.run_id for task in found) - snapshot.runs.keys()
    return Page(done, len(found) >= limit, missed)


async def past_locked_runs(turn: Callable[[Sequence[str]], Awaitable[Page]]) -> int:
    """Take the first page, and further ones for as long as one is full and holds something that was missed.

    Args:
        turn: takes one page, leaving out the runs it is given, in order of their ids.

    Returns:
        How much was done.
    """
    page = await turn(())
    done, left_out = page.done, page.missed
    while page.full and page.missed:  # recovers 24, 51: a full page has tasks of locked runs, and others are behind it
        page = await turn(sorted(left_out))
        done, left_out = done + page.done, left_out | page.missed
    return done
