"""The page of faults: what goes wrong, what has to come of it, and the tests that show that it does.

The tests are read and not run: a test says `@pytest.mark.fault(5, 6)`, or its module does for all of its tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import attrs

from .fault_register import FAULTS, REGISTER, Fault
from .page import head, text

ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen(order=True)
class Shown:
    """A test that shows what comes of some faults."""

    place: str
    """The path of its module."""
    name: str
    faults: tuple[int, ...]


def faults_page() -> str:
    """Every fault with its right outcome and the tests that show it."""
    return text([*head("Faults", "the register of faults and the tests"), *_INTRODUCTION, *_parts()])


_INTRODUCTION = (
    "What goes wrong around a system like this one, and what has to come of it. Each line is shown by tests, which",
    "name the faults that they are about by number: `@pytest.mark.fault(5, 6)`. Places are those below `tests`. What",
    "is promised in spite of all this is [a page of its own](promises.md).",
    "",
)


@cache
def shown() -> tuple[Shown, ...]:
    """Every test that names faults, by its place."""
    modules = sorted((ROOT / "tests").rglob("test_*.py"))
    return tuple(each for module in modules for each in _of_module(module))


def by_fault() -> Mapping[int, tuple[Shown, ...]]:
    """The tests of each fault."""
    return {number: tuple(each for each in shown() if number in each.faults) for number in FAULTS}


def _of_module(module: Path) -> Iterator[Shown]:
    source = module.read_text(encoding="utf-8")
    if "mark.fault(" not in source:
        return
    parsed = ast.parse(source)
    place = module.relative_to(ROOT).as_posix()
    common = [each for statement in parsed.body for each in _of_all(statement)]
    for each in parsed.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
            faults = [*common, *(number for mark in each.decorator_list for number in _named(mark))]
            if faults:
                yield Shown(place, each.name, tuple(sorted(set(faults))))


def _of_all(statement: ast.stmt) -> Iterator[int]:
    """The faults that a module names for all of its tests."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=ast.List(elts=marks)):
            yield from (number for mark in marks for number in _named(mark))
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=mark):
            yield from _named(mark)
        case _:
            pass


def _named(mark: ast.expr) -> Iterator[int]:
    match mark:
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="fault"), args=numbers):
            yield from (ast.literal_eval(each) for each in numbers)
        case _:
            pass


def _parts() -> Iterator[str]:
    tests = by_fault()
    for title, faults in REGISTER.items():
        yield from (f"## {title}", "", "| | what goes wrong | what comes of it | shown by |", "|---|---|---|---|")
        for number, fault in faults.items():
            yield _row(number, fault, tests[number])
        yield ""


def _row(number: int, fault: Fault, tests: Iterable[Shown]) -> str:
    return f"| {number} | {fault.what} | {fault.outcome} | {'<br>'.join(map(_cell, tests))} |"


def _cell(test: Shown) -> str:
    """The test in words and its module; no line, which would move with every change above it."""
    words = test.name.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")
    return f"{words} (`{test.place.removeprefix('tests/')}`)"
