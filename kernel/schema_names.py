"""Completing classes that were written inside a function under postponed annotations.

With `from __future__ import annotations` a class keeps its annotations as text, and whoever reads it later looks the
names up in its module. A class whose fields name a neighbour that lives in the same function cannot be read that way.
Where a handler is decorated, those names are still in sight, so this is the moment to put the types themselves in
place of the text, as `attrs.resolve_types` does for attrs classes alone.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping


def complete(annotation: object, names: Mapping[str, object], seen: set[int] | None = None) -> None:
    """Resolve the postponed annotations of all classes an annotation mentions, as far as `names` and modules go.

    Args:
        annotation: A resolved annotation; the classes in it are changed in place.
        names: What is in sight where the classes were written.
        seen: Classes that are done; for the recursion alone.
    """
    seen = set() if seen is None else seen
    for argument in typing.get_args(annotation):
        complete(argument, names, seen)
    cls = typing.get_origin(annotation) or annotation
    if not isinstance(cls, type) or id(cls) in seen:
        return
    seen.add(id(cls))
    for base in cls.__mro__:
        for hint in _completed(base, names).values():
            complete(hint, names, seen)


def _completed(cls: type, names: Mapping[str, object]) -> dict[str, object]:
    """Return the annotations written in a class; put them into it where only `names` could resolve them."""
    try:
        return _hints(cls, {})
    except NameError:
        pass
    try:
        hints = _hints(cls, names)
    except NameError:
        # Whoever reads the class reports what is missing.
        return {}
    cls.__annotations__ = hints
    return hints


def _hints(cls: type, names: Mapping[str, object]) -> dict[str, object]:
    module = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    own: dict[str, object] = {parameter.__name__: parameter for parameter in getattr(cls, "__type_params__", ())}
    written = type(cls.__name__, (), {"__annotations__": inspect.get_annotations(cls)})
    return typing.get_type_hints(written, module, {**names, **own}, include_extras=True)
