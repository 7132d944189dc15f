"""What code holds on to: the variables a function closes over, the globals it names, what a class keeps for all of its
instances. A fake may remember there what was done to it.

Only code of users is looked into so: what Python and installed packages keep is nobody's fake, and would differ from
course to course for reasons of its own.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from types import CodeType, FunctionType

Held = Iterator[tuple[str, object]]
"""What is held, by the name under which it is."""

INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def held_by_function(function: FunctionType) -> Held:
    """What it closes over, its defaults, and the globals that it names; of installed code, what it closes over."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # nothing is assigned to the variable yet
            continue
    if _is_installed(function.__code__.co_filename):
        return
    yield from enumerated("defaults", function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def held_by_class(kind: type) -> Held:
    """Attributes that all instances share, and what its methods hold; nothing of installed classes."""
    for base in kind.__mro__:
        file = getattr(sys.modules.get(base.__module__), "__file__", None)
        if base is object or base.__module__ in sys.builtin_module_names or (file and _is_installed(file)):
            continue
        attributes: Mapping[str, object] = vars(base)
        for name, value in attributes.items():
            if name not in LANGUAGE:
                yield name, value


def enumerated(name: str, values: tuple[object, ...]) -> Held:
    """Values without names."""
    for number, value in enumerate(values):
        yield f"{name}[{number}]", value


LANGUAGE = frozenset(
    {
        *("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__slots__", "__annotations__"),
        *("__annotations_cache__", "__annotate__", "__annotate_func__", "__match_args__", "__parameters__"),
        *("__orig_bases__", "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
        *("__attrs_attrs__", "__attrs_props__", "__attrs_own_setattr__", "__attrs_base_of_slotted__"),
        *("__dataclass_fields__", "__dataclass_params__", "_is_protocol", "__protocol_attrs__"),
        *("__non_callable_proto_members__", "__struct_config__", "__struct_fields__", "__classcell__"),
    }
)
"""Attributes of classes that say how they are made."""


@cache
def _names(code: CodeType) -> frozenset[str]:
    """The globals that code may name, also in functions within it."""
    inner = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return frozenset(code.co_names).union(*inner)


@cache
def _is_installed(file: str) -> bool:
    return file.startswith(("<frozen ", *INSTALLED))
