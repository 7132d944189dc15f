"""What generated pages are made of."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

PUBLIC = (
    "fairlead.kernel",
    "fairlead.ports",
    "fairlead.adapters.postgres",
    "fairlead.adapters.postgres.embedded",
    "fairlead.adapters.memory",
    "fairlead.adapters.s3",
    "fairlead.adapters.sinks",
    "fairlead.hosts.node",
    "fairlead.hosts.serverless",
    "fairlead.hosts.testing",
    "fairlead.hosts.simulation",
)
"""Where users import from, the first that has a name before the others."""

_ABSENT = "_ABSENT"
"""What the source writes for an argument that need not be given and has no default."""
_ONE_LINE = 96


def head(title: str, source: str) -> list[str]:
    """A page's title, and whence it comes."""
    return [f"# {title}", "", f"<!-- Written by `make docs` from {source}; do not edit. -->", ""]


def text(lines: Iterable[str]) -> str:
    """A page of lines, which ends with one line feed."""
    return "\n".join(lines).rstrip() + "\n"


def home(named: Any) -> str:
    """The module that users import something from."""
    return exporting(named.__name__, named) or named.__module__


def exporting(name: str, value: object) -> str | None:
    """The first public module that has a value under a name for others; None where none has."""
    for place in PUBLIC:
        module = import_module(place)
        exported = name in module.__all__ if hasattr(module, "__all__") else getattr(value, "__module__", None) == place
        if exported and getattr(module, name, None) is value:
            return place
    return None


def signature(called: Callable[..., Any], name: str, *, bound: bool = False) -> Iterator[str]:
    """A fence with how something is called, as its source has it.

    Args:
        called: a function.
        name: what it is called as.
        bound: whether its first parameter is filled already.
    """
    made = definition(called)
    parameters = list(_parameters(made.args, called.__globals__))[1 if bound else 0 :]
    prefix = "async " if isinstance(made, ast.AsyncFunctionDef) else ""
    returned = "" if made.returns is None or ast.unparse(made.returns) == "None" else f" -> {ast.unparse(made.returns)}"
    line = f"{prefix}{name}({', '.join(parameters)}){returned}"
    yield "```py"
    if len(line) <= _ONE_LINE:
        yield line
    else:
        yield f"{prefix}{name}("
        yield from (f"    {each}," for each in parameters)
        yield f"){returned}"
    yield "```"


def definition(called: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """The source of a function, parsed."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(called))).body
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    return found


def _parameters(arguments: ast.arguments, known: Mapping[str, object]) -> Iterator[str]:
    """Every parameter as it is written, with the signs between them and the values of constants."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    for number, (each, default) in enumerate(zip(positional, defaults, strict=True)):
        yield _parameter(each, default, known)
        if number + 1 == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg is not None:
        yield f"*{_written(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(each, default, known)
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"


def _parameter(parameter: ast.arg, default: ast.expr | None, known: Mapping[str, object]) -> str:
    written = _written(parameter)
    if default is None:
        return written
    shown = ast.unparse(default)
    if isinstance(default, ast.Name) and shown.isupper():
        shown = "..." if shown == _ABSENT else repr(known[shown])
    return f"{written} = {shown}"


def _written(parameter: ast.arg) -> str:
    return parameter.arg if parameter.annotation is None else f"{parameter.arg}: {ast.unparse(parameter.annotation)}"
