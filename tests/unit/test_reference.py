"""The reference of Python: what a program can import, call, be given and be asked for has an entry on some page."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import fairlead.kernel
from docs.generating.page import PUBLIC
from fairlead.ports.transport import Job

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ENTRY = re.compile(r"^#{2,4} (\w+)$", re.MULTILINE)
IMPORT = re.compile(r"^#+ (\w+)\n\n`from ([\w.]+) import \1`\n", re.MULTILINE)
MEMBER = re.compile(r"^#### (\w+)\.(\w+)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)

PARTS = {
    "adapters.memory": {"MemoryBlobs", "MemoryPersistence", "MemoryScheduler", "MemoryWakeups"},
    "adapters.postgres": {
        "DEFAULT_SCHEMA",
        "PostgresBlobs",
        "PostgresCallers",
        "PostgresClock",
        "PostgresPersistence",
        "PostgresScheduler",
        "PostgresTransport",
    },
    "adapters.postgres.embedded": {"OLDEST_MAJOR", "Binaries", "candidate_folders", "default_folder", "find_binaries"},
    "ports": {"DEFAULT_SINK"},
}
"""What users are given by functions that have entries, such as `memory_ports`, and need not name."""


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


FAMILIES = set(re.findall(r"\w+Error\b", page("errors").split("```")[1]))
ENTRIES = {name for each in ("python", "ports", "errors") for name in ENTRY.findall(page(each))} | FAMILIES
IMPORTED = dict(IMPORT.findall(page("python")))


@pytest.mark.parametrize("place", PUBLIC)
def test_what_can_be_imported_has_an_entry(place: str) -> None:
    """Every public name of every package that users import from, but for what one of them says is a part."""
    exported = set(getattr(import_module(place), "__all__", ()))

    assert exported - ENTRIES == PARTS.get(place.removeprefix("fairlead."), set())


@pytest.mark.parametrize("name", sorted(IMPORTED))
def test_an_entry_can_be_imported_from_where_it_says(name: str) -> None:
    """The line that a reader copies."""
    assert hasattr(import_module(IMPORTED[name]), name)


def shown_members() -> Iterator[tuple[str, str, str]]:
    """Every class and member that the page tells of, with what it tells."""
    return ((found[1], found[2], found[3]) for found in MEMBER.finditer(page("python")))


def in_annotation(*annotations: Any) -> Iterator[type]:
    """The classes of Fairlead in annotations, aliases resolved."""
    for each in annotations:
        if inspect.isclass(each) and each.__module__.startswith("fairlead."):
            yield each
        elif isinstance(each, list):  # the arguments of a `Callable`
            yield from in_annotation(*each)
        if each is not None:
            yield from in_annotation(typing.get_origin(each), *typing.get_args(each))


def hints(annotated: object) -> dict[str, Any]:
    """Its annotations, evaluated; what their modules import for type checkers alone is public, or not ours."""
    known = {**vars(fairlead.kernel), "Job": Job, "Engine": object, "AsyncEngine": object, "ObjectStore": object}
    return typing.get_type_hints(annotated, localns=known)


def called(owner: type, name: str) -> Callable[..., Any] | None:
    """The function behind a member; None for an attribute."""
    member = inspect.getattr_static(owner, name)
    member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return member if inspect.isfunction(member) else None


@pytest.mark.parametrize(
    ("owner", "name", "told"), [pytest.param(*each, id=".".join(each[:2])) for each in shown_members()]
)
def test_a_member_is_told_with_all_its_parameters(owner: str, name: str, told: str) -> None:
    """Also those that take any number of arguments; and whatever classes it takes and returns have entries."""
    function = called(getattr(import_module(IMPORTED[owner]), owner), name)
    assert function is not None
    parameters = list(inspect.signature(function).parameters.values())
    stars: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    wanted = [f"{stars.get(each.kind, '')}{each.name}" for each in parameters if each.name not in ("self", "cls")]
    signature = told.split("```")[1] if "```py" in told else ""
    assert [each for each in wanted if not re.search(rf"(?<![\w*]){re.escape(each)}\b", signature)] == []

    mentioned = {each.__name__ for kind in hints(function).values() for each in in_annotation(kind)}
    assert {each for each in mentioned if not each.endswith(("Arguments", "Options"))} - ENTRIES == set()


@pytest.mark.parametrize("name", sorted(IMPORTED))
def test_a_field_is_of_a_type_that_has_an_entry(name: str) -> None:
    """The fields of records that the page shows, and the arguments of functions."""
    named = getattr(import_module(IMPORTED[name]), name)
    if not (inspect.isclass(named) or inspect.isfunction(named)):
        return
    section = re.search(rf"^### {name}\n(.*?)(?=^###|^## |\Z)", page("python"), re.MULTILINE | re.DOTALL)
    assert section is not None
    shown = set(re.findall(r"^- `(\w+)[`:]", section[1], re.MULTILINE)) | {"return"}

    mentioned = {
        each.__name__ for field, kind in hints(named).items() if field in shown for each in in_annotation(kind)
    }
    assert mentioned - ENTRIES == set()
