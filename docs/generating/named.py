"""What annotations name: the classes and aliases of Fairlead that whoever reads a signature may ask about.

Annotations are read as their source has them, so that an alias stays the alias that stands there.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from attrs import frozen

from .sources import constant_texts, modules, parsed

_FOLDERS = ("ports", "kernel", "adapters", "hosts")


@frozen
class Alias:
    """A name for a type that is written out elsewhere."""

    name: str
    module: str
    written: str
    """The type, as the source has it."""
    meaning: str

    @property
    def value(self) -> object:
        """What stands under the name."""
        return vars(import_module(self.module))[self.name]


def alias_of(value: object) -> Alias:
    """The alias that something is."""
    return next(each for found in _aliases().values() for each in found if each.value is value)


def named_in_signature(called: Callable[..., Any], *, bound: bool) -> Iterator[type | Alias]:
    """What the annotations of a function name, its parameters' before its result.

    Args:
        called: a function.
        bound: whether its first parameter is filled already.
    """
    annotations = dict(called.__annotations__)
    if bound:
        annotations.pop(next(iter(inspect.signature(called).parameters)), None)
    module = import_module(called.__module__)
    for each in annotations.values():
        yield from _named(each, module)


def named_in_fields(owner: type, names: list[str]) -> Iterator[type | Alias]:
    """What the annotations of some fields of a class name."""
    for each in owner.__mro__:
        annotations: Mapping[str, object] = vars(each).get("__annotations__", {})
        for name in names:
            if name in annotations:
                yield from _named(annotations[name], import_module(each.__module__))


def named_in_alias(alias: Alias) -> Iterator[type | Alias]:
    """What an alias stands for, as far as that is Fairlead's."""
    yield from (each for each in _named(alias.written, import_module(alias.module)) if each != alias)


def _named(annotation: object, module: ModuleType) -> Iterator[type | Alias]:
    if not isinstance(annotation, str):
        if inspect.isclass(annotation) and annotation.__module__.startswith("fairlead."):
            yield annotation
        return
    for name in _names(ast.parse(annotation, mode="eval")):
        found = vars(module).get(name, _for_type_checkers(module).get(name))
        if inspect.isclass(found):
            if found.__module__.startswith("fairlead."):
                yield found
        elif found is not None:
            yield from (each for each in _aliases().get(name, ()) if each.value is found)


def _names(tree: ast.AST) -> Iterator[str]:
    """The names in an annotation, from left to right."""
    for child in ast.iter_child_nodes(tree):
        match child:
            case ast.Name(id=name):
                yield name
            case _:
                yield from _names(child)


@cache
def _aliases() -> Mapping[str, list[Alias]]:
    """Every type alias of Fairlead by its name, which several modules may use."""
    found: dict[str, list[Alias]] = {}
    for folder in _FOLDERS:
        for module in modules(folder):
            for statement in parsed(module).body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value) if (
                        ast.unparse(kind).endswith("TypeAlias")
                    ):
                        text = value.value if isinstance(value, ast.Constant) else ast.unparse(value)
                        written = str(text).replace("'", '"')  # as the formatter has it, also on the page
                        meaning = constant_texts(module).get(name, "")
                        found.setdefault(name, []).append(Alias(name, module.__name__, written, meaning))
                    case _:
                        pass
    return found


@cache
def _for_type_checkers(module: ModuleType) -> Mapping[str, object]:
    """What a module imports from Fairlead for its annotations alone."""
    found: dict[str, object] = {}
    for statement in parsed(module).body:
        if not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
            continue
        for each in statement.body:
            if isinstance(each, ast.ImportFrom) and each.level:
                source = import_module("." * each.level + (each.module or ""), module.__package__)
                found.update({name.asname or name.name: vars(source)[name.name] for name in each.names})
    return found
