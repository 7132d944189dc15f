"""Reading the marks: which there are, and the statement of each that tells whether it was reached."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = ("kernel", "hosts", "adapters")

MARK = re.compile(r"# recovers (?P<faults>[\d, ]+): (?P<what>.+)")

BEGINS = "# recovers"
"""What is no mark and begins like one is a mistake."""


class MalformedMark(Exception):
    """A comment begins like a mark, and is none."""


@frozen(order=True)
class Mark:
    """One branch that recovers from something."""

    place: str
    """The path of its module."""
    line: int
    """Where the comment is."""
    faults: tuple[int, ...]
    """By their numbers in the register of faults."""
    what: str
    """What has gone wrong, in words; no other mark has the same ones."""
    statement: int
    """The line of the statement that is carried out first where the branch is reached."""
    suppressed: bool = False
    """Whether it is the end of a `with suppress(…)`: reached where something was raised in there."""

    def __str__(self) -> str:
        return f"{self.place}:{self.line} {self.what}"


@cache
def all_marks() -> tuple[Mark, ...]:
    """All marks, by place."""
    modules = sorted(module for folder in FOLDERS for module in (ROOT / folder).rglob("*.py"))
    return tuple(mark for module in modules for mark in _of_module(module))


def _of_module(module: Path) -> Iterator[Mark]:
    source = module.read_text(encoding="utf-8")
    if BEGINS in source:
        yield from marks_in(source, module.relative_to(ROOT).as_posix())


def marks_in(source: str, place: str) -> list[Mark]:
    """The marks of one module.

    Raises:
        MalformedMark: a comment begins like one, and is none.
    """
    statements = sorted(
        (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)), key=lambda node: node.lineno
    )
    comments = (
        each for each in tokenize.generate_tokens(io.StringIO(source).readline) if each.type == tokenize.COMMENT
    )
    return [_mark(each, place, statements) for each in comments if each.string.startswith(BEGINS)]


def _mark(comment: tokenize.TokenInfo, place: str, statements: list[ast.stmt]) -> Mark:
    found, line = MARK.fullmatch(comment.string), comment.start[0]
    if found is None:
        raise MalformedMark(f"{place}:{line}: {comment.string!r} should be '{BEGINS} <faults>: <what>'")
    before = comment.line[: comment.start[1]].rstrip()
    around = [node for node in statements if node.lineno <= line <= (node.end_lineno or node.lineno)]
    suppressing = isinstance(around[-1], ast.With) and "suppress(" in before
    if suppressing or (before and not before.endswith(":")):
        statement = around[-1]
    else:  # it opens a block, or stands above a statement
        statement = next(node for node in statements if node.lineno > line)
    return Mark(
        place=place,
        line=line,
        faults=tuple(int(number) for number in found["faults"].split(",")),
        what=found["what"],
        statement=statement.lineno,
        suppressed=suppressing,
    )
