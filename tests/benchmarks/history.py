"""Fills a store with runs that the engine itself has brought to where they are.

Some runs are really started and executed. Their rows are then copied under new run ids by SQL, column by column, with
whatever depends on the id made anew: nothing else in them tells one run from another that was started with the same
input at the same time. So a copy is what the engine would have written, and the doctor has to find all well with it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.system import new_run_id
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, Start
from fairlead.ports.outbox import shard_of

from .flows import FLOWS, input_of, one_step, until_answered, until_next_year
from .sizes import Sizes
from .worker import run

ORIGINALS = 500
"""Runs of each flow that are really executed."""

PATIENCE_S = 60.0
POLL_S = 0.05

COLUMNS = """
SELECT c.table_name::text, array_agg(c.column_name::text ORDER BY c.ordinal_position)
FROM information_schema.columns AS c
WHERE c.table_schema = 'fairlead' AND c.is_generated = 'NEVER'
GROUP BY c.table_name
HAVING bool_or(c.column_name = 'run_id') OR c.table_name = 'runs'
ORDER BY c.table_name
"""

UNSETTLED = """
SELECT count(*)
FROM fairlead.runs AS r
WHERE r.status = 'pending'
    OR (r.status = 'running'
        AND NOT EXISTS (SELECT FROM fairlead.tasks AS t WHERE t.run_id = r.id AND t.status = 'suspended'))
"""


def finished(url: str, sizes: Sizes) -> None:
    """Finished runs of the flow of W1."""
    fill(url, [one_step], sizes.finished_runs)


def waiting(url: str, sizes: Sizes) -> None:
    """Runs that wait, each second one for a time that comes next year, the others for a signal until then."""
    fill(url, [until_next_year, until_answered], sizes.waiting_runs)


def fill(url: str, flows: Sequence[Flow[Any]], runs: int) -> None:
    """Make as many runs as are wanted, each flow's as many as the other's, and leave all as time would.

    That is, vacuumed, and with files for the WAL to come: a history that was written at once has used them up, and
    making new ones would be counted.
    """
    each = min(ORIGINALS, max(1, runs // len(flows)))
    originals = run(_execute(url, flows, each))
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            _multiply(connection, originals, runs - len(originals))
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


async def _execute(url: str, flows: Sequence[Flow[Any]], each: int) -> list[str]:
    """Start runs and host them until none of them can go on; their ids, flow by flow in turn."""
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        started = [await kernel.start_many(flow, [Start(input=input_of(flow, 0))] * each) for flow in flows]
        async with NodeHost(kernel), await psycopg.AsyncConnection.connect(url, autocommit=True) as probe:
            deadline = time.monotonic() + PATIENCE_S
            while await (await probe.execute(UNSETTLED)).fetchone() != (0,):
                if time.monotonic() > deadline:
                    raise RuntimeError("the runs that are to be copied do not come to where they should be")
                await asyncio.sleep(POLL_S)
    return [handle.id for handles in zip(*started, strict=True) for handle in handles]


def _multiply(connection: psycopg.Connection[Any], originals: Sequence[str], copies: int) -> None:
    """Copy all rows of runs, the originals taking turns, until there are so many copies."""
    connection.execute("CREATE TEMPORARY TABLE copies (original uuid, id uuid, shard smallint) ON COMMIT DROP")
    with connection.cursor().copy("COPY copies FROM STDIN") as rows:
        for original in itertools.islice(itertools.cycle(originals), copies):
            copy = new_run_id()
            rows.write_row((original, copy, shard_of(copy)))
    connection.execute("ANALYZE copies")
    for table, columns in connection.execute(COLUMNS).fetchall():
        connection.execute(_copying(table, columns))


def _copying(table: str, columns: Sequence[str]) -> sql.Composed:
    """The statement that copies the rows of one table."""
    run_id = "id" if table == "runs" else "run_id"
    made: dict[str, LiteralString] = {run_id: "copies.id", "shard": "copies.shard"}
    values = [sql.SQL(made[name]) if name in made else sql.Identifier("row", name) for name in columns]
    return sql.SQL(
        "INSERT INTO {table} ({columns})"
        " SELECT {values} FROM copies JOIN {table} AS row ON row.{run_id} = copies.original"
    ).format(
        table=sql.Identifier("fairlead", table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(values),
        run_id=sql.Identifier(run_id),
    )
