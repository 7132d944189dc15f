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
def parsed(module: ModuleType) -> ast.Module:
    """The source of a module, parsed."""
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def constant_texts(module: ModuleType) -> Mapping[str, str]:
    """The text below each constant of a module, by name."""
    return dict(_texts(parsed(module).body))


def field_texts(owner: type) -> Mapping[str, str]:
    """The text below each field of a class and of those it derives from, by name."""
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        if each.__module__.startswith("fairlead."):
            found.update(_texts(_definition(each).body))
    return found


def field_defaults(owner: type) -> Mapping[str, str]:
    """What the fields of a class are where nothing is given for them, as it is written, by name."""
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        if each.__module__.startswith("fairlead."):
            for statement in _definition(each).body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                        found[name] = _default(value)
                    case ast.AnnAssign(target=ast.Name(id=name)):
                        found.pop(name, None)
                    case _:
                        pass
    return {name: written for name, written in found.items() if written}


def _default(value: ast.expr) -> str:
    """A default, also one that is made anew each time; nothing where a field is described otherwise."""
    if not isinstance(value, ast.Call):
        return ast.unparse(value)
    made = {each.arg: each.value for each in value.keywords}
    factory = made.get("factory") or made.get("default_factory")
    if factory is not None:
        return _EMPTY.get(ast.unparse(factory).partition("[")[0], "")
    return ast.unparse(made["default"]) if "default" in made else ""


_EMPTY = {"dict": "{}", "list": "[]", "tuple": "()", "frozenset": "frozenset()"}


def made_attributes(owner: type) -> Iterator[tuple[str, str, str]]:
    """The public attributes that the `__init__` of a class makes: name, type where it is told, and the text below.

    A type is that of the argument, or of the argument's field, which the attribute is.
    """
    constructor = next(
        (each for each in _definition(owner).body if isinstance(each, ast.FunctionDef) and each.name == "__init__"),
        None,
    )
    if constructor is None:
        return
    arguments = [*constructor.args.args, *constructor.args.kwonlyargs]
    types = {each.arg: ast.unparse(each.annotation) for each in arguments if each.annotation is not None}
    for statement, below in pairwise([*constructor.body, ast.Pass()]):
        match statement:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=ast.Name(id=given)):
                kind = types.get(given, "")
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)],
                value=ast.Attribute(value=ast.Name(id=given), attr=part),
            ):
                holder = vars(inspect.getmodule(owner)).get(types.get(given, ""))
                kind = getattr(holder, "__annotations__", {}).get(part, "")
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)]):
                kind = ""
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation):
                kind = ast.unparse(annotation)
            case _:
                continue
        if not name.startswith("_"):
            yield name, kind, _text(below)


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
        each for each in ast.walk(parsed(module)) if isinstance(each, ast.ClassDef) and each.name == owner.__name__
    )


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, below in pairwise(body):
        name, text = _assigned(statement), _text(below)
        if name and text:
            yield name, text


def _text(statement: ast.stmt) -> str:
    """What a statement says that is nothing but text."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(inspect.cleandoc(text).split())
        case _:
            return ""


def _assigned(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None
