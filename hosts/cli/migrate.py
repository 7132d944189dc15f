"""`fairlead migrate`: create and upgrade the tables."""

from __future__ import annotations

import asyncio

import click

from .command import DatabaseChoice, FairleadCommand, common_options, database_options
from .extras import importing_postgres
from .output import print_json


@click.command(cls=FairleadCommand, short_help="Create or upgrade the tables.")
@click.option("--sql", is_flag=True, help="Print the SQL instead, for those who let nobody else change a schema.")
@database_options
@common_options
def migrate(sql: bool, as_json: bool, choice: DatabaseChoice) -> None:
    """Bring the database's tables to the version of this installation.

    Safe to run again, and by several at once. Everything is in a schema of its own, and one transaction.

    \b
    fairlead migrate --database postgresql://user:password@localhost/app
    fairlead migrate --sql > fairlead.sql
    """
    if sql:
        if choice.url is not None or choice.folder is not None:
            raise click.UsageError("--sql connects to no database; leave --database and --data-folder out")
        _print_sql(choice.schema, as_json)
        return
    from .database import open_database

    with open_database(choice) as found:
        applied = asyncio.run(found.migrate())
        if as_json:
            print_json({"database": found.shown, "applied": applied})
        elif applied:
            click.echo(f"{found.shown}: applied {', '.join(applied)}")
        else:
            click.echo(f"{found.shown}: up to date")


def _print_sql(schema: str | None, as_json: bool) -> None:
    with importing_postgres():
        from ...adapters.postgres import migration_sql

    script = migration_sql() if schema is None else migration_sql(schema=schema)
    if as_json:
        print_json({"sql": script})
    else:
        click.echo(script, nl=False)
