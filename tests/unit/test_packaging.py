"""What `pyproject.toml` says of the folders: a package it does not list is silently absent from the wheel."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("kernel", "ports", "adapters", "hosts")

pytestmark = pytest.mark.skipif(not (ROOT / "kernel").is_dir(), reason="the tests run beside an installed wheel")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The project's file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def shipped() -> list[Path]:
    """Every file below the four folders, relative to the root, that is no product of running."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return [path.relative_to(ROOT) for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"]


def test_every_folder_is_a_listed_package(project: dict[str, Any]) -> None:
    """Folders that hold only data are listed too, and nothing is listed that does not exist."""
    folders = {"fairlead." + ".".join(path.parent.parts) for path in shipped()}

    assert folders == set(project["tool"]["setuptools"]["packages"])


def test_every_folder_says_that_it_is_a_package() -> None:
    """`fairlead` is a namespace; what is below it is not."""
    without = {str(path.parent) for path in shipped() if not (ROOT / path.parent / "__init__.py").is_file()}

    assert without == set()


def test_every_file_that_is_no_code_is_package_data(project: dict[str, Any]) -> None:
    """A new kind of file must be named, or it is not shipped."""
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    data = [path for path in shipped() if path.suffix != ".py"]

    assert [path for path in data if not any(fnmatch(path.name, pattern) for pattern in patterns)] == []
    assert {path.parent.parts[0] for path in data if path.name == "py.typed"} == set(FOLDERS)
