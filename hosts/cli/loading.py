"""MODULE:KERNEL: from what a person writes to the object that it names."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeGuard, cast

from ...kernel import Flow, Kernel, Ports
from ...ports.errors import FairleadError, UsageError

FORM = "write MODULE:NAME, as in myapp.flows:kernel"


class TargetNotFound(UsageError):
    """What MODULE:NAME names is not there."""

    def __init__(self, target: str, message: str) -> None:
        self.target = target
        super().__init__(f"{target!r}: {message}")


class TargetUnusable(UsageError):
    """What MODULE:NAME names is there, and cannot be used: it does not import, is something else, or raises."""

    def __init__(self, target: str, message: str) -> None:
        self.target = target
        super().__init__(f"{target!r}: {message}")


def find_target(target: str) -> object:
    """Return what a MODULE:NAME names; modules of the current folder are found too.

    Raises:
        TargetNotFound: there is no such module or name; the nearest is proposed.
        TargetUnusable: the module cannot be imported.
        FairleadError: whatever a flow in the module raises while it is defined.
    """
    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise TargetNotFound(target, FORM)
    found: object = _imported(target, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise TargetNotFound(target, f"{_described(found)} has no {name!r}; {_nearest_name(name, found)}") from None
    return found


def takes_ports(target: str, found: object) -> bool:
    """Whether a kernel's source wants to be given ports, rather than having its own.

    Raises:
        TargetUnusable: it is no `Kernel`, no flow, and no callable that takes nothing, or `ports`.
    """
    if isinstance(found, Kernel):
        return False
    if is_flow(found):
        return True
    expected = "expected a Kernel, a function that returns one and takes nothing or `ports`, or a flow"
    if not callable(found):
        raise TargetUnusable(target, f"it is {_article(found)}; {expected}")
    if inspect.iscoroutinefunction(found):
        raise TargetUnusable(target, f"it is an async function; {expected}")
    required = required_parameters(found)
    if required not in ([], ["ports"]):
        raise TargetUnusable(target, f"it wants {', '.join(map(repr, required))}; {expected}")
    return required == ["ports"]


def build_kernel(target: str, found: object, ports: Ports | None) -> Kernel:
    """Return the kernel that `found` is or makes; of a flow, a kernel that has it alone.

    Args:
        target: how it was named, for messages.
        found: what `find_target` returned.
        ports: given to it if it takes ports; None if it does not.

    Raises:
        TargetUnusable: it raises, or returns something else.
        FairleadError: as it is raised inside.
    """
    if isinstance(found, Kernel):
        return found
    if is_flow(found) and ports is not None:
        return Kernel(flows=[found], ports=ports)
    make = cast("Callable[..., object]", found)
    try:
        made = make() if ports is None else make(ports=ports)
    except FairleadError:
        raise
    except Exception as error:
        raise TargetUnusable(target, f"calling it raised {raised(error)}") from error
    if not isinstance(made, Kernel):
        raise TargetUnusable(target, f"it returned {made!r:.80}, not a Kernel")
    return made


def is_flow(found: object) -> TypeGuard[Flow[Any]]:
    """Whether one flow was found."""
    return isinstance(found, Flow)


def required_parameters(found: Callable[..., object]) -> list[str]:
    """The parameters that a callable cannot do without; none where it does not tell."""
    try:
        return [name for name, each in inspect.signature(found).parameters.items() if _is_required(each)]
    except (TypeError, ValueError):
        return []


def raised(error: BaseException) -> str:
    """An exception and the line it comes from, without its traceback."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" ({os.path.relpath(frame.tb_frame.f_code.co_filename)}, line {frame.tb_lineno})"
    said = f": {error}" if str(error) else ""
    return f"{type(error).__qualname__}{said}{place}; --debug shows all of it"


def _imported(target: str, name: str) -> ModuleType:
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise TargetNotFound(target, f"there is no module {missing!r}; {_nearest_module(missing)}") from error
        message = f"module {name!r} imports {missing!r}, which is not installed here"
        raise TargetUnusable(target, message) from error
    except FairleadError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetUnusable(target, f"importing module {name!r} raised {raised(error)}") from error


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _nearest_module(missing: str) -> str:
    """Propose a module beside the missing one."""
    parent, _, name = missing.rpartition(".")
    places: Iterable[str] = sys.modules[parent].__path__ if parent else [os.getcwd()]
    prefix = f"{parent}." if parent else ""
    found = [prefix + each.name for each in pkgutil.iter_modules(list(places))]
    return _proposal(prefix + name, found) or f"is it in {os.getcwd()}, or installed in {sys.prefix}?"


def _nearest_name(name: str, owner: object) -> str:
    """Propose a kernel, or what may make one."""
    public = [each for each in vars(owner) if not each.startswith("_")] if hasattr(owner, "__dict__") else []
    kernels = [each for each in public if isinstance(getattr(owner, each, None), Kernel)]
    proposal = _proposal(name, public)
    if proposal is not None:
        return proposal
    return f"it has {', '.join(map(repr, kernels))}" if kernels else "and no Kernel under another name"


def _proposal(name: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _described(found: object) -> str:
    return f"module {found.__name__!r}" if isinstance(found, ModuleType) else _article(found)


def _article(found: object) -> str:
    name = found.__name__ if isinstance(found, type) else type(cast(Any, found)).__name__
    return f"the class {name}" if isinstance(found, type) else f"of type {name}"
