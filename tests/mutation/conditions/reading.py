"""The conditions in the SQL files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from attrs import frozen

SQL = Path(__file__).parents[3] / "adapters" / "postgres" / "sql"

ASIDE = "invariants/*"
"""They judge, and are judged by tests of their own."""

_CONDITION = re.compile(r"^(?P<indent>\s*)(?P<word>WHERE|AND) (?P<what>.+?)(?P<end>;?)$")


@frozen(order=True)
class Condition:
    """One condition of a file."""

    file: str
    """Under the folder of SQL, without its ending: `apply/tasks`."""
    line: int
    """From 1."""
    text: str
    """The line without its indentation."""

    @property
    def place(self) -> str:
        """By which it is named: `apply/tasks:30`."""
        return f"{self.file}:{self.line}"


def conditions(patterns: Sequence[str], folder: Path = SQL) -> Iterator[Condition]:
    """The conditions of all files that match one of the patterns: `apply/*`."""
    for path in sorted(folder.rglob("*.sql")):
        file = path.relative_to(folder).with_suffix("").as_posix()
        if fnmatch(file, ASIDE) or not any(fnmatch(file, pattern) for pattern in patterns):
            continue
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if _condition(text) is not None:
                yield Condition(file, line, text.strip())


def without(sql: str, line: int) -> str:
    """SQL in which the condition of one line holds for every row.

    Raises:
        ValueError: there is no condition in that line.
    """
    lines = sql.splitlines(keepends=True)
    found = _condition(lines[line - 1].rstrip("\n")) if 0 < line <= len(lines) else None
    if found is None:
        raise ValueError(f"line {line} is no condition")
    lines[line - 1] = f"{found['indent']}{found['word']} true{found['end']}\n"
    return "".join(lines)


def _condition(text: str) -> re.Match[str] | None:
    """The line as a condition, unless it goes on in the next line or ends what encloses it."""
    found = _CONDITION.match(text)
    return found if found is not None and found["what"].count("(") == found["what"].count(")") else None
