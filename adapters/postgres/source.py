"""Where the database is: a URL, or the URL of the application's own SQLAlchemy engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...ports.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

Source: TypeAlias = "str | Engine | AsyncEngine"
"""Where a database is: `postgresql://…`, or an engine of SQLAlchemy with that URL."""

KEEPALIVES = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A peer that is gone without a word is noticed within half a minute; whatever the source says itself wins."""


class InvalidSource(UsageError):
    """What was given names no PostgreSQL database."""


def conninfo_of(source: Source) -> str:
    """The libpq connection string that `source` stands for. Text is sent as UTF-8, whatever the database stores it in.

    Args:
        source: `postgresql://…` or `postgres://…`, also with a SQLAlchemy driver as in `postgresql+psycopg://…`;
            a libpq string of `name=value` words; or an engine, whose URL is used and whose connections are not.

    Raises:
        InvalidSource: it is none of these.
    """
    text = source if isinstance(source, str) else source.url.render_as_string(hide_password=False)
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise InvalidSource(f"a database's URL begins with postgresql://, not with {scheme}://")
        text = f"postgresql://{rest}"
    elif "=" not in text:
        raise InvalidSource(f"a database's URL begins with postgresql://; {text!r} does not")
    try:
        defaults = {"application_name": "fairlead", **KEEPALIVES}
        return make_conninfo("", **{**defaults, **conninfo_to_dict(text), "client_encoding": "UTF8"})
    except psycopg.ProgrammingError as error:
        raise InvalidSource(f"not a PostgreSQL URL: {str(error).strip()}") from error
