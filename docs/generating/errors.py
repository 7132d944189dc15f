"""The page of errors: every class that Fairlead raises on purpose, by whose fault it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from fairlead.kernel import GiveUp, RetryAfter
from fairlead.ports.errors import AdapterError, CorruptionError, FairleadError, UsageError

from .docstrings import markdown
from .page import head, home, text
from .sources import kept_fields, modules

_PLACES = {
    "fairlead.kernel": "Flows, runs and payloads",
    "fairlead.ports": "Everywhere",
    "fairlead.hosts": "Hosts",
    "fairlead.hosts.testing": "Testing flows",
    "fairlead.hosts.simulation": "Simulating",
    "fairlead.hosts.cli": "The command line",
    "fairlead.hosts.demo": "The demo",
    "fairlead.adapters.postgres": "PostgreSQL",
    "fairlead.adapters.postgres.embedded": "The embedded PostgreSQL",
    "fairlead.adapters.memory": "In memory",
    "fairlead.adapters.s3": "Object stores and folders of blobs",
}
"""What the classes of a package are about; the longest prefix of a module's name decides."""

_WORLD = (
    "A database, a store or a network refused, or could not be reached. `retryable` says whether the same call may "
    "succeed when it is made again; hosts do that by themselves."
)

_FAMILIES = (
    (UsageError, "Yours", "What was asked for is wrong, and stays wrong when it is asked again."),
    (AdapterError, "The world's", _WORLD),
    (CorruptionError, "Ours", "Something that the rules make impossible was met."),
)


def errors_page() -> str:
    """Every class of errors, what it means and what it keeps."""
    return text([*head("Errors", "the classes of errors"), *_INTRODUCTION, *_families(), *_handlers()])


_INTRODUCTION = (
    "Everything that Fairlead raises on purpose is a `FairleadError`, of one of three families: it is the caller's",
    "fault, the world's, or Fairlead's own. A message says what was expected, what was found and what to do. What it",
    "is made of is kept in fields, so that no program has to read messages.",
    "",
    "```py",
    "from fairlead.kernel import AdapterError, CorruptionError, FairleadError, UsageError",
    "```",
    "",
)


def error_classes() -> list[type[FairleadError]]:
    """Every class below `FairleadError`, by module and place in it."""
    for folder in ("kernel", "ports", "adapters", "hosts"):
        modules(folder)
    found = {FairleadError}
    unseen = [FairleadError]
    while unseen:
        below = [each for each in unseen.pop().__subclasses__() if each.__module__.startswith("fairlead.")]
        unseen += [each for each in below if each not in found]
        found.update(below)
    return sorted(found, key=lambda each: (each.__module__, inspect.getsourcelines(each)[1]))


def _families() -> Iterator[str]:
    classes = [each for each in error_classes() if not each.__name__.startswith("_")]
    for family, whose, meaning in _FAMILIES:
        yield from (f"## {whose}: `{family.__name__}`", "", meaning, "")
        members = [each for each in classes if issubclass(each, family) and each is not family]
        if family is CorruptionError:
            yield from (line for each in members for line in _entry(each, level=3))
            continue
        for place in (each for each in _PLACES.values() if each in set(map(_place, members))):
            yield from (f"### {place}", "")
            yield from (line for each in members if _place(each) == place for line in _entry(each, level=4))


def _handlers() -> Iterator[str]:
    yield from (
        "## Raised by handlers",
        "",
        "These are no errors of Fairlead: a handler raises them to say how to go on.",
        "",
    )
    yield from (line for each in (RetryAfter, GiveUp) for line in _entry(each, level=3))


def _entry(error: type[Exception], *, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {error.__name__}", "", f"`from {home(error)} import {error.__name__}`", "")
    yield from markdown(error)
    yield ""
    kept = [f"`{name}: {kind}`" if kind else f"`{name}`" for name, kind in kept_fields(error)]
    if issubclass(error, AdapterError):
        kept = [*(each for each in kept if not each.startswith("`retryable")), f"`retryable = {error.retryable}`"]
    if kept:
        yield from (f"Keeps {', '.join(kept)}.", "")


def _place(error: type[Exception]) -> str:
    prefix = max((each for each in _PLACES if f"{error.__module__}.".startswith(f"{each}.")), key=len)
    return _PLACES[prefix]
