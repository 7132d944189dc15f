"""The SQL files, loaded once per schema.

The files name the default schema, so that they are valid SQL on their own; where another schema is configured,
`fairlead.` is replaced by its quoted name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from attrs import frozen

from . import sql as folder

DEFAULT_SCHEMA = "fairlead"

IDENTIFIER_BYTES_MAX = 63
"""PostgreSQL cuts longer names off, so that two could become one."""

_QUALIFIER = re.compile(r"\bfairlead\.")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


def quoted(identifier: str) -> str:
    """An identifier as SQL writes it, whatever characters it has.

    Raises:
        ValueError: it is empty, not printable, or longer than PostgreSQL keeps.
    """
    if not identifier.isprintable() or not 1 <= len(identifier.encode()) <= IDENTIFIER_BYTES_MAX:
        raise ValueError(f"a schema's name is 1 to {IDENTIFIER_BYTES_MAX} bytes of printable text, not {identifier!r}")
    return '"' + identifier.replace('"', '""') + '"'


def in_schema(sql: str, schema: str) -> str:
    """`sql` with the default schema replaced by `schema`."""
    if schema == DEFAULT_SCHEMA:
        return sql
    name = quoted(schema)
    return _QUALIFIER.sub(lambda _: f"{name}.", sql)


@frozen
class Statement:
    """A statement with numbered parameters, and the names that stand for the numbers."""

    text: bytes
    names: tuple[str, ...]

    def arguments(self, parameters: Mapping[str, object]) -> list[object]:
        """The parameters in the order of their numbers."""
        return [parameters[name] for name in self.names]


def numbered(sql: str) -> Statement:
    """`sql` with `%(name)s` replaced by `$1`, `$2`, …: done once, so that sending a statement parses nothing."""
    names: dict[str, int] = {}
    text = _PARAMETER.sub(lambda match: f"${names.setdefault(match[1], len(names) + 1)}", sql)
    return Statement(text.encode(), tuple(names))


_GUARD = """SELECT CASE WHEN wrote.rows = %(expected)s THEN 1 ELSE ('wrote ' || wrote.rows::text)::integer END
FROM (SELECT ARRAY[counts] AS rows) AS wrote"""
"""Fails in the server, so that a COMMIT that was sent along commits nothing: text is no integer."""

WROTE = re.compile(r"wrote \{([\d,]+)\}")
"""What the message of that error says, in whatever language and quotation marks: how many rows each part wrote."""


class Statements:
    """The statements of one schema, by the names of their files."""

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        self.schema = schema
        self._texts: dict[str, str] = {}
        self._statements: dict[str, Statement] = {}

    def __getitem__(self, name: str) -> Statement:
        """The statement in `sql/<name>.sql`."""
        found = self._statements.get(name)
        if found is None:
            found = self._statements[name] = numbered(self.text(name))
        return found

    def text(self, name: str) -> str:
        """The file's text without comments, its parameters named."""
        found = self._texts.get(name)
        if found is None:
            found = in_schema(_COMMENT.sub("", read_file(name)).strip().rstrip(";"), self.schema)
            self._texts[name] = found
        return found

    def limited(self, name: str) -> Statement:
        """A reading statement that ends after `%(rows_max)s` rows, planned as if all of them were wanted.

        A limit beside the query would make the planner expect to be done early; where nothing is found, a plan that
        relies upon that reads everything in the slowest way.
        """
        key = f"{name} limited"
        found = self._statements.get(key)
        if found is None:
            sql = f"WITH found AS MATERIALIZED (\n{self.text(name)}\n)\nSELECT * FROM found LIMIT %(rows_max)s"
            found = self._statements[key] = numbered(sql)
        return found

    def together(self, names: tuple[str, ...]) -> Statement:
        """Several writing statements, each ending in RETURNING, as one that fails unless each writes as many rows as
        the parameter `expected` says; see `WROTE`.

        One statement is parsed, sent and answered at a fraction of what several cost. Its parts see one snapshot and
        write different rows.
        """
        key = " ".join(names)
        found = self._statements.get(key)
        if found is None:
            parts = ",\n".join(f"{_part(name)} AS (\n{self.text(name)}\n)" for name in names)
            counts = ", ".join(f"(SELECT count(*)::integer FROM {_part(name)})" for name in names)
            found = self._statements[key] = numbered(f"WITH {parts}\n{_GUARD.replace('counts', counts, 1)}")
        return found


def _part(name: str) -> str:
    return name.replace("/", "_")


@cache
def read_file(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return files(folder).joinpath(*f"{name}.sql".split("/")).read_text(encoding="utf-8")
