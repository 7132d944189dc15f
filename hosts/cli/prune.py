"""`fairlead prune`: removing what is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import click

from ...kernel import Kernel
from ...kernel.amounts import counted
from ...kernel.api.retention import ORPHAN_GRACE
from ...kernel.commands import CollectedBlobs, Pruned
from ...kernel.proposals import proposed
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .database import tell
from .moments import age
from .output import print_json, shown_size
from .proposals import completed
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
@click.option(
    "--dead-letters",
    is_flag=True,
    help="Also remove runs that have dead letters, and these with them. See `outbox`.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@ports_options
@common_options
def prune(
    older_than: timedelta | None,
    flow: str | None,
    orphaned_blobs: bool,
    dead_letters: bool,
    dry_run: bool,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Remove runs that ended long ago, with everything of theirs: steps, tasks, attempts, events, keys and blobs.

    In batches, each of which removes whole runs; it may be stopped at any time and started again. Its idempotency key
    is free again afterwards. A run stays until all of its events are published, and while it has dead letters; how many
    are kept back is said. The code of the flows is not needed; hosts do the same by themselves for flows with a
    `retention`.

    \b
    fairlead prune --older-than 90d --dry-run
    fairlead prune --older-than 12h --flow heartbeat_check
    fairlead prune --orphaned-blobs --blobs s3://my-bucket/fairlead
    """
    if older_than is None and not orphaned_blobs:
        raise click.UsageError("say what is old: --older-than 30d; or give --orphaned-blobs")
    if flow is not None and older_than is None:
        raise click.UsageError("--flow says whose runs are removed, so it needs --older-than")
    if dead_letters and older_than is None:
        raise click.UsageError("--dead-letters go with their runs, so it needs --older-than")

    async def ask(kernel: Kernel) -> tuple[Pruned | None, CollectedBlobs | None]:
        pruned = None
        if older_than is not None:
            batches = kernel.prune_in_batches(
                older_than=older_than, flow=flow, dead_letters=dead_letters, dry_run=dry_run
            )
            pruned = await _telling(batches)
        return pruned, await kernel.collect_blobs(dry_run=dry_run) if orphaned_blobs else None

    pruned, collected = read(choice, ask)
    if as_json:
        print_json({"dry_run": dry_run, **_as_json(pruned, collected)})
        return
    verb = "would be removed" if dry_run else "removed"
    if pruned is not None:
        blobs = "" if dry_run else f" and {counted(pruned.blobs, 'blob')}"
        click.echo(f"{verb}: {counted(pruned.runs, 'run')} with {counted(pruned.tasks, 'task')}{blobs}")
        if pruned.unpublished:
            click.echo(f"kept back: {counted(pruned.unpublished, 'run')} some of whose events are not published yet")
        if pruned.dead_letters:
            kept = f"{counted(pruned.dead_letters, 'run')} with dead letters"
            click.echo(completed(f"kept back: {kept}: {proposed('outbox', 'replay', '--all')}, or --dead-letters"))
    if collected is not None:
        click.echo(f"{verb}: {counted(collected.blobs, 'orphaned blob')}, {shown_size(collected.size_bytes)}")
        if collected.foreign:
            click.echo(
                f"left alone: {counted(collected.foreign, 'blob that is', 'blobs that are')} not Fairlead's", err=True
            )


async def _telling(batches: AsyncIterator[Pruned]) -> Pruned:
    """All batches together, with a word after each."""
    total = Pruned(runs=0, tasks=0, blobs=0)
    async for batch in batches:
        total = total.and_then(batch)
        if batch.runs:
            tell(f"{total.runs:,} runs so far")
    return total


def _as_json(pruned: Pruned | None, collected: CollectedBlobs | None) -> dict[str, object]:
    document: dict[str, object] = {}
    if pruned is not None:
        document["pruned"] = {
            "runs": pruned.runs,
            "tasks": pruned.tasks,
            "blobs": pruned.blobs,
            "kept_back": {"unpublished": pruned.unpublished, "dead_letters": pruned.dead_letters},
        }
    if collected is not None:
        document["orphans"] = {
            "blobs": collected.blobs,
            "size_bytes": collected.size_bytes,
            "kept": collected.kept,
            "foreign": collected.foreign,
        }
    return document
