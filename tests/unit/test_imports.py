"""What comes along when Fairlead is imported: nothing that does I/O, and nothing that few need."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOREIGN = ("sqlalchemy", "psycopg", "click", "rich", "pydantic", "asyncio", "socket", "random", "logging")
ALL_MODULES = (
    "import importlib, pkgutil, sys, {package}\n"
    "for each in pkgutil.walk_packages({package}.__path__, '{package}.'): importlib.import_module(each.name)\n"
)


def imported(program: str, names: tuple[str, ...]) -> list[str]:
    """Which of these modules are loaded after a program ran in an interpreter of its own."""
    asked = f"{program}\nimport sys; print(' '.join(name for name in {names!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("package", ["fairlead.kernel", "fairlead.ports"])
def test_the_kernel_and_its_ports_bring_nothing_along(package: str) -> None:
    """Nor does any of their modules: what they need of the world comes through ports."""
    assert imported(ALL_MODULES.format(package=package), FOREIGN) == []


def test_a_flow_of_plain_types_needs_no_pydantic() -> None:
    """It is looked for among what is loaded, never loaded."""
    program = (
        "from fairlead.kernel import Flow\n"
        "flow = Flow('f', version=1, input=int, input_name='n')\n"
        "@flow.step\n"
        "def double(n: int) -> int: return 2 * n\n"
        "flow.seal()\n"
    )

    assert imported(program, ("pydantic", "asyncio")) == []


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("fairlead.adapters.memory", ("sqlalchemy", "psycopg", "click", "rich")),
        ("fairlead.adapters.postgres", ("sqlalchemy", "click", "rich")),
        ("fairlead.hosts.node", ("sqlalchemy", "psycopg", "click", "rich")),
        ("fairlead.hosts.serverless", ("sqlalchemy", "psycopg", "click", "rich")),
        ("fairlead.hosts.cli.database", ("sqlalchemy", "psycopg", "rich")),
        ("fairlead.hosts.cli.demo", ("sqlalchemy", "psycopg", "rich")),
    ],
)
def test_what_few_need_is_imported_by_them(module: str, unwanted: tuple[str, ...]) -> None:
    """SQLAlchemy belongs to applications with tables of their own, rich to commands that draw."""
    assert imported(f"import {module}", unwanted) == []
