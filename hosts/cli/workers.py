"""`fairlead workers`: which hosts there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from ...kernel import Worker, WorkerState
from .command import DatabaseChoice, FairleadCommand, common_options, database_options
from .output import print_json, print_table, printable, shown_seconds
from .reading import read

COLUMNS = ("WORKER", "STATE", "KIND", ">PID", ">SLOTS", "QUEUES", "FLOWS", ">SEEN")


@click.command(cls=FairleadCommand, short_help="List the hosts that work here.")
@click.option("--flow", metavar="SLUG", help="Hosts that have the code of this flow.")
@click.option("--all", "everything", is_flag=True, help="Those too that have ended.")
@database_options
@common_options
def workers(flow: str | None, everything: bool, as_json: bool, choice: DatabaseChoice) -> None:
    """List the hosts that work on this database, as each says of itself twice a minute.

    A host is running; or silent, if it should have been heard of: it was killed, is stuck, or cannot reach the
    database. A serverless host is silent between its calls.

    \b
    fairlead workers
    fairlead workers --flow fulfil_order --all --json
    """
    found = read(choice, lambda kernel: kernel.workers())
    chosen = [
        each
        for each in found
        if (everything or each.state is not WorkerState.ENDED)
        and (flow is None or any(served.slug == flow for served in each.record.flows))
    ]
    if as_json:
        print_json({"workers": [worker_json(each) for each in chosen]})
    elif chosen:
        now = datetime.now(UTC)
        print_table(COLUMNS, [_cells(each, now) for each in chosen])
    else:
        click.echo(_nobody(found, chosen_flow=flow))


def worker_json(worker: Worker) -> dict[str, object]:
    """A host as `--json` shows it."""
    record = worker.record
    return {
        "worker": record.worker,
        "state": worker.state,
        "kind": record.kind,
        "host": record.host,
        "pid": record.pid,
        "slots": record.slots,
        "sinks": record.sinks,
        "queues": record.queues,
        "flows": [{"flow": served.slug, "version": served.version} for served in record.flows],
        "started_at": record.started_at,
        "seen_at": record.seen_at,
        "ended_at": record.ended_at,
    }


def _cells(worker: Worker, now: datetime) -> Sequence[str]:
    record = worker.record
    return (
        printable(record.worker),
        worker.state,
        record.kind,
        str(record.pid),
        str(record.slots),
        printable(", ".join(record.queues)),
        ", ".join(_flows(worker)) or "-",
        f"{shown_seconds((now - record.seen_at).total_seconds())} ago",
    )


def _flows(worker: Worker) -> Iterator[str]:
    """Each flow once, with all the versions that are served."""
    versions: dict[str, list[str]] = {}
    for served in worker.record.flows:
        versions.setdefault(served.slug, []).append(served.version)
    for slug, each in versions.items():
        yield f"{slug} {'+'.join(each)}"


def _nobody(found: Sequence[Worker], *, chosen_flow: str | None) -> str:
    if chosen_flow is not None:
        return f"no host that runs has the code of flow {chosen_flow!r}"
    ended = sum(worker.state is WorkerState.ENDED for worker in found)
    return f"no host runs; {ended} have ended (--all shows them)" if ended else "no host has worked here"
