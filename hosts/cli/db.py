"""`fairlead db`: the embedded PostgreSQL as a server that stays."""

from __future__ import annotations

from pathlib import Path

import click

from .command import DatabaseChoice, FairleadCommand, common_options, data_folder_option
from .extras import importing_postgres
from .output import print_json
from .program import NamingGroup

PORTS = click.IntRange(1, 65_535)


@click.group(cls=NamingGroup, short_help="The embedded PostgreSQL: start, stop, url, status.")
def db() -> None:
    """The PostgreSQL that comes with Fairlead, for development and demonstrations.

    Commands start it when they need it, and it stops with the last of them; started here, it stays until it is stopped.

    \b
    fairlead db start
    export DATABASE_URL=$(fairlead db url)
    """


@db.command(cls=FairleadCommand, short_help="Start the server, to stay.")
@click.option("--port", type=PORTS, metavar="PORT", help="Its TCP port on 127.0.0.1. Default: a free one.")
@data_folder_option
@common_options
def start(port: int | None, data_folder: Path | None, as_json: bool) -> None:
    """Start the server, and leave it running with an up-to-date database `fairlead`.

    \b
    fairlead db start --port 5433
    """
    with importing_postgres():
        from ...adapters.postgres.embedded import server_url, start_server
        from ...adapters.postgres.embedded.resolution import DATABASE
    from .database import open_database, tell

    status = start_server(data_folder, port=port, progress=tell)
    with open_database(DatabaseChoice(url=None, folder=status.folder, schema=None)):
        url = server_url(status.folder, database=DATABASE)
    if as_json:
        print_json({"running": True, "url": url, "folder": str(status.folder)})
    else:
        click.echo(url)


@db.command(cls=FairleadCommand, short_help="Stop the server.")
@data_folder_option
@common_options
def stop(data_folder: Path | None, as_json: bool) -> None:
    """Stop the server, whoever uses it, and wait until it has ended. Its data stay.

    \b
    fairlead db stop
    """
    with importing_postgres():
        from ...adapters.postgres.embedded import stop_server

    stopped = stop_server(data_folder)
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("stopped" if stopped else "it was not running")


@db.command(cls=FairleadCommand, short_help="Print the URL of the running server's database.")
@data_folder_option
@common_options
def url(data_folder: Path | None, as_json: bool) -> None:
    """Print the URL, password included, of the database `fairlead` on the running server.

    \b
    psql "$(fairlead db url)"
    """
    with importing_postgres():
        from ...adapters.postgres.embedded import server_url
        from ...adapters.postgres.embedded.resolution import DATABASE

    found = server_url(data_folder, database=DATABASE)
    if as_json:
        print_json({"url": found})
    else:
        click.echo(found)


@db.command(cls=FairleadCommand, short_help="Whether the server runs, and where.")
@data_folder_option
@common_options
def status(data_folder: Path | None, as_json: bool) -> None:
    """Say whether the server runs, where its data are, and whether it stays.

    \b
    fairlead db status --json
    """
    with importing_postgres():
        from ...adapters.postgres.embedded import server_status

    found = server_status(data_folder)
    if as_json:
        print_json({"running": found.running, "stays": found.stays, "folder": str(found.folder)})
    elif not found.running:
        click.echo(f"not running; its data are in {found.folder}")
    else:
        until = "it is stopped" if found.stays else "the last command that uses it ends"
        click.echo(f"running until {until}; its data are in {found.folder}")
