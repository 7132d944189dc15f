"""The command that begins a run anew which has ended."""

from __future__ import annotations

from collections.abc import Mapping

from ...ports.record import Record
from ...ports.statuses import RunStatus
from .base import Command


class RerunRun(Command["RestartedRun"], frozen=True, kw_only=True):
    """Begin a run anew, in its next generation, which has ended: the steps named, and all that is not settled.

    Not repeatable: the same command again finds a run that is running, or one that has ended in another generation.
    """

    run_id: str
    steps: tuple[str, ...] = ()
    """Slugs. They begin anew, and so does what depends on them, directly or not."""
    keep_elements: bool = False
    """What has been completed of a map stays, and only its other elements run again. Then the steps named are those of
    which something has failed."""
    dry_run: bool = False
    """Only tell what would be."""


class RestartedRun(Record, frozen=True, kw_only=True):
    """What a rerun or retry did, or would do."""

    run_id: str
    found: RunStatus
    """How the run had ended."""
    generation: int
    """The new one."""
    steps: tuple[str, ...]
    """The slugs of the steps that begin anew, in order of definition. All others keep their outputs."""
    elements: Mapping[str, int] = {}
    """For the maps among them that keep what they have completed, by slug: how many elements run again."""
    took_effect: bool
    """False for a dry run."""
