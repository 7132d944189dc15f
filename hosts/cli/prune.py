"""`fairlead prune`: removing what is old."""

from __future__ import annotations

from datetime import timedelta

import click

from ...kernel import Kernel
from ...kernel.api.retention import ORPHAN_GRACE
from ...kernel.commands import CollectedBlobs, Pruned
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .database import tell
from .moments import age
from .output import print_json, shown_size
from .reading import read


@click.command(cls=FairleadCommand, short_help="Remove old runs, and blobs that nobody refers to.")
@click.option(
    "--older-than",
    callback=age,
    metavar="AGE",
    help="Remove runs that ended longer ago than this: 30d, 12h, 4w, 90m, 45s.",
)
@click.option("--flow", metavar="SLUG", help="Only runs of this flow.")
@click.option(
    "--orphaned-blobs",
    is_flag=True,
    help=f"Also remove blobs that no run refers to, once they are {ORPHAN_GRACE.days} day old. All blobs are listed.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@ports_options
@common_options
def prune(
    older_than: timedelta | None,
    flow: str | None,
    orphaned_blobs: bool,
    dry_run: bool,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Remove runs that ended long ago, with everything of theirs: steps, tasks, attempts, events, keys and blobs.

    In batches, each of which removes whole runs; it may be stopped at any time and started again. A run stays until all
    of its events are published. Its idempotency key is free again afterwards. The code of the flows is not needed;
    hosts do the same by themselves for flows with a `retention`.

    \b
    fairlead prune --older-than 90d --dry-run
    fairlead prune --older-than 12h --flow heartbeat_check
    fairlead prune --orphaned-blobs --blobs s3://my-bucket/fairlead
    """
    if older_than is None and not orphaned_blobs:
        raise click.UsageError("say what is old: --older-than 30d; or give --orphaned-blobs")
    if flow is not None and older_than is None:
        raise click.UsageError("--flow says whose runs are removed, so it needs --older-than")

    async def ask(kernel: Kernel) -> tuple[Pruned | None, CollectedBlobs | None]:
        pruned = None if older_than is None else await _prune(kernel, older_than, flow, dry_run)
        return pruned, await kernel.collect_blobs(dry_run=dry_run) if orphaned_blobs else None

    pruned, collected = read(choice, ask)
    if as_json:
        print_json({"dry_run": dry_run, **_as_json(pruned, collected)})
        return
    verb = "would be removed" if dry_run else "removed"
    if pruned is not None:
        blobs = "" if dry_run else f" and {pruned.blobs:,} blobs"
        click.echo(f"{verb}: {pruned.runs:,} runs with {pruned.tasks:,} tasks{blobs}")
    if collected is not None:
        click.echo(f"{verb}: {collected.blobs:,} orphaned blobs, {shown_size(collected.size_bytes)}")
        if collected.foreign:
            click.echo(f"left alone: {collected.foreign:,} blobs that are not Fairlead's", err=True)


async def _prune(kernel: Kernel, older_than: timedelta, flow: str | None, dry_run: bool) -> Pruned:
    runs = tasks = blobs = 0
    async for batch in kernel.prune_in_batches(older_than=older_than, flow=flow, dry_run=dry_run):
        runs, tasks, blobs = runs + batch.runs, tasks + batch.tasks, blobs + batch.blobs
        if batch.runs:
            tell(f"{runs:,} runs so far")
    return Pruned(runs=runs, tasks=tasks, blobs=blobs)


def _as_json(pruned: Pruned | None, collected: CollectedBlobs | None) -> dict[str, object]:
    document: dict[str, object] = {}
    if pruned is not None:
        document["pruned"] = {"runs": pruned.runs, "tasks": pruned.tasks, "blobs": pruned.blobs}
    if collected is not None:
        document["orphans"] = {
            "blobs": collected.blobs,
            "size_bytes": collected.size_bytes,
            "kept": collected.kept,
            "foreign": collected.foreign,
        }
    return document
