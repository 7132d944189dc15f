"""The SQLAlchemy metadata describes the tables that the migrations create."""

from __future__ import annotations

import re

import psycopg
from sqlalchemy import create_engine

from fairlead.adapters.postgres.schema import fairlead_metadata

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated::text,
    a.attidentity::text, pg_get_expr(d.adbin, d.adrelid), coll.collname
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = %s
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS coll ON coll.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, 2
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY 1"
OPTIONS = """
SELECT c.relname, c.reloptions FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1
"""


def test_metadata_and_migrations_agree(url: str, observer: psycopg.Connection[tuple[object, ...]]) -> None:
    """Columns, defaults, collations, indexes and storage are the same."""
    engine = create_engine(re.sub("^postgresql:", "postgresql+psycopg:", url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA described")
        fairlead_metadata("described").create_all(connection)
    engine.dispose()

    for query in (COLUMNS, INDEXES, OPTIONS):
        described = observer.execute(query, ["described"]).fetchall()
        assert repr(described).replace("described", "fairlead") == repr(
            observer.execute(query, ["fairlead"]).fetchall()
        )
