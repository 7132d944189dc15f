"""No table is forgotten when a run is."""

from __future__ import annotations

from importlib.resources import files

from fairlead.adapters.postgres import sql
from fairlead.adapters.postgres.schema import fairlead_metadata


def test_every_table_of_a_run_is_emptied_with_it() -> None:
    """What has a run's id in it is named where runs are deleted."""
    statement = (files(sql) / "delete_runs.sql").read_text(encoding="utf-8")
    of_runs = [table.name for table in fairlead_metadata().tables.values() if "run_id" in table.columns]

    assert len(of_runs) > 5
    assert [name for name in of_runs if f"DELETE FROM fairlead.{name} AS t" not in statement] == []
