"""Watching: noting which marks are reached, as long as somebody wants to know.

The functions of the modules that have marks are given the code of the same source, in which a note precedes the
statement of each mark. Modules stay what they are, and so do classes, functions and whatever refers to them.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from types import CodeType, FunctionType, ModuleType
from typing import TypeAlias

from .register import Mark, all_marks

NOTE = "__reached__"
"""What marked code calls while it is watched, among the built-in functions: it needs no import anywhere."""

Place: TypeAlias = tuple[str, str, int]
"""Of a function's code: file, qualified name and first line."""

_counters: list[Counter[str]] = []


def _note(what: str) -> None:
    for counter in _counters:
        counter[what] += 1


@contextmanager
def watched(marks: Iterable[Mark] | None = None) -> Generator[Counter[str]]:
    """Count how often each mark is reached in this process, by its words.

    Args:
        marks: which to watch; all where None.
    """
    reached = Counter[str]()
    setattr(builtins, NOTE, _note)
    before = _replaced(noting_codes(all_marks() if marks is None else marks))
    _counters.append(reached)
    try:
        yield reached
    finally:
        _counters.remove(reached)
        _replaced(before)


def noting_codes(marks: Iterable[Mark]) -> dict[Place, CodeType]:
    """The code of all functions that have marks, with their notes."""
    codes: dict[Place, CodeType] = {}
    for place, of_place in groupby(sorted(marks), key=lambda mark: mark.place):
        module = importlib.import_module(f"fairlead.{place.removesuffix('.py').replace('/', '.')}")
        codes.update(_noting_codes(module, list(of_place)))
    return codes


def _replaced(codes: Mapping[Place, CodeType]) -> dict[Place, CodeType]:
    """Give functions other code; answers what they had."""
    before: dict[Place, CodeType] = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (place := _place(each.__code__)) in codes:
            before[place], each.__code__ = each.__code__, codes[place]
    return before


def _noting_codes(module: ModuleType, marks: list[Mark]) -> Iterator[tuple[Place, CodeType]]:
    """The code of every function of a module that has marks, with notes."""
    assert module.__file__ is not None, "marks are found in files"
    with open(module.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    by_line = {mark.statement: mark for mark in marks}
    for node in [*ast.walk(tree)]:
        for name in ("body", "orelse", "finalbody"):
            statements: list[ast.stmt] | ast.expr | None = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [each for statement in statements for each in _noting(statement, by_line)])
    for code in _codes_in(compile(ast.fix_missing_locations(tree), module.__file__, "exec", dont_inherit=True)):
        if NOTE in code.co_names or any(NOTE in inner.co_names for inner in _codes_in(code)):
            yield _place(code), code


def _noting(statement: ast.stmt, by_line: Mapping[int, Mark]) -> list[ast.stmt]:
    """A statement, with the note of its mark if it has one."""
    mark = by_line.get(statement.lineno)
    if mark is None:
        return [statement]
    note = ast.copy_location(ast.Expr(ast.Call(ast.Name(NOTE, ast.Load()), [ast.Constant(mark.what)], [])), statement)
    if not mark.suppressed:
        return [note, statement]
    assert isinstance(statement, ast.With), "nothing else suppresses"
    (suppressing,) = (item.context_expr for item in statement.items if isinstance(item.context_expr, ast.Call))
    raised = ast.ExceptHandler(ast.Tuple(suppressing.args, ast.Load()), None, [note, ast.Raise()])
    statement.body = [ast.copy_location(ast.Try(statement.body, [raised], [], []), statement.body[0])]
    return [statement]


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of the functions that are defined in some code, at any depth."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes_in(inner)


def _place(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno
