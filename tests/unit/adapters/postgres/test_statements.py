"""SQL files are loaded once, in the configured schema, with their parameters numbered."""

from __future__ import annotations

from importlib.resources import files

import pytest

from fairlead.adapters.postgres import sql
from fairlead.adapters.postgres.statements import Statements, in_schema, numbered, quoted


def test_named_parameters_are_numbered() -> None:
    """A name that comes twice is one parameter."""
    statement = numbered("SELECT %(b)s, %(a)s, %(b)s, '50%'")

    assert (statement.text, statement.names) == (b"SELECT $1, $2, $1, '50%'", ("b", "a"))
    assert statement.arguments({"a": 1, "b": 2}) == [2, 1]


def test_the_schema_is_quoted() -> None:
    """Any printable name is a schema's, and none is anything else."""
    assert in_schema("SELECT FROM fairlead.runs", 'my "own"; --') == 'SELECT FROM "my ""own""; --".runs'
    assert in_schema("SELECT FROM fairlead.runs", "fairlead") == "SELECT FROM fairlead.runs"


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 64, "ü" * 32])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    """Empty, not printable, or cut off by PostgreSQL."""
    with pytest.raises(ValueError, match="schema"):
        quoted(name)


def _names() -> list[str]:
    folder = files(sql)
    found = [file.name for file in folder.iterdir()]
    for part in ("apply", "invariants"):
        found += [f"{part}/{file.name}" for file in folder.joinpath(part).iterdir()]
    return sorted(name.removesuffix(".sql") for name in found if name.endswith(".sql"))


@pytest.mark.parametrize("name", _names())
def test_every_statement_can_be_loaded_in_any_schema(name: str) -> None:
    """No file names the default schema where another is configured, and none is left without its comment's subject."""
    text = Statements("elsewhere").text(name)

    assert "fairlead" not in text
    assert "--" not in text
    assert not text.endswith(";")


def test_a_statement_is_limited_from_outside() -> None:
    """The limit is no part of the query, which is planned as if all of its rows were read."""
    statement = Statements().limited("invariants/I22_one_run_per_key")

    assert statement.text.startswith(b"WITH found AS MATERIALIZED (\nSELECT")
    assert statement.text.endswith(b")\nSELECT * FROM found LIMIT $1")
    assert statement.names == ("rows_max",)


def test_statements_are_put_together() -> None:
    """Several writes become one statement that knows how many rows each is to write."""
    statement = Statements().together(("apply/runs", "apply/events"))

    assert statement.text.startswith(b"WITH apply_runs AS (\nUPDATE fairlead.runs")
    assert b"(SELECT count(*)::integer FROM apply_runs), (SELECT count(*)::integer FROM apply_events)" in statement.text
    assert len(statement.names) == len(set(statement.names)) == 19
    assert statement.names[-1] == "expected"
