"""What only the source says: the texts below constants and fields, and what an error keeps."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any


@cache
def modules(place: str) -> tuple[ModuleType, ...]:
    """The modules of Fairlead at and below a place, such as `hosts.node`."""
    package = import_module(f"fairlead.{place}")
    below = pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}.")
    return (package, *(import_module(each.name) for each in below if not each.name.endswith("__main__")))


def defining(place: str, constant: str) -> ModuleType:
    """The module at or below a place that defines a constant, with a text below it."""
    return next(each for each in modules(place) if constant in constant_texts(each))


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def constant_texts(module: ModuleType) -> Mapping[str, str]:
    """The text below each constant of a module, by name."""
    return dict(_texts(_tree(module).body))


def field_texts(owner: type) -> Mapping[str, str]:
    """The text below each field of a class and of those it derives from, by name."""
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        if each.__module__.startswith("fairlead."):
            found.update(_texts(_definition(each).body))
    return found


def kept_fields(error: type) -> list[tuple[str, str]]:
    """What an exception keeps: the names that its `__init__` assigns, with their types, in order."""
    for owner in error.__mro__:
        if "__init__" in vars(owner) and owner.__module__.startswith("fairlead."):
            break
    else:
        return []
    constructor = vars(owner)["__init__"]
    types = {name: str(each.annotation) for name, each in inspect.signature(constructor).parameters.items()}
    made = next(
        each for each in _definition(owner).body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    )
    names = [
        target.attr
        for statement in ast.walk(made)
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Attribute)
    ]
    return [(name, types.get(name, "")) for name in dict.fromkeys(names) if not name.startswith("_")]


def _definition(owner: type) -> ast.ClassDef:
    module: Any = inspect.getmodule(owner)
    return next(
        each for each in ast.walk(_tree(module)) if isinstance(each, ast.ClassDef) and each.name == owner.__name__
    )


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, below in pairwise(body):
        name = _assigned(statement)
        if name and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            text = below.value.value
            if isinstance(text, str):
                yield name, " ".join(inspect.cleandoc(text).split())


def _assigned(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None
