"""A plugin for pytest: the SQL without the condition that the environment names."""

from __future__ import annotations

import os

from fairlead.adapters.postgres import statements

from .reading import without

LEFT_OUT = "FAIRLEAD_LEFT_OUT"
"""Holds the place of the condition: `apply/tasks:30`."""


def pytest_configure() -> None:
    """Have statements read without it."""
    place = os.environ.get(LEFT_OUT)
    if place is None:
        return
    file, _, line = place.rpartition(":")
    read = statements.read_file

    def read_without(name: str) -> str:
        sql = read(name)
        return without(sql, int(line)) if name == file else sql

    statements.__dict__["read_file"] = read_without
