"""An installation without the extras: one sentence that says what to install."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fairlead.hosts.cli.extras import ExtraMissing, importing_postgres

WITHOUT_DRIVER = "import sys; sys.modules['psycopg'] = None; from fairlead.hosts.cli import main; main()"
WITHOUT_LIBPQ = (
    "import sys, psycopg.pq\n"
    "for name in [each for each in sys.modules if each.startswith(('psycopg', 'fairlead'))]: del sys.modules[name]\n"
    "sys.modules.update({'psycopg_binary': None, 'psycopg_c': None})\n"
    "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
    "from fairlead.hosts.cli import main; main()"
)


def call(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program that ends in the command line."""
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    [
        "runs list",
        "runs list --database postgresql://localhost/none",
        "migrate",
        "migrate --sql",
        "demo .",
        "db start",
        "db stop",
        "db url",
        "db status",
    ],
)
def test_without_the_driver_a_command_says_what_to_install(words: str) -> None:
    """The world's fault, not a defect: exit code 1, one sentence, no traceback."""
    found = call(WITHOUT_DRIVER, *words.split())

    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("Error: what PostgreSQL needs is not installed (")
    assert "pip install 'fairlead[postgres]'" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_program_reads_which_error_it_is() -> None:
    """With `--json` the class is named."""
    found = call(WITHOUT_DRIVER, "migrate", "--sql", "--json")

    assert json.loads(found.stderr)["error"] == "ExtraMissing"


def test_a_driver_without_its_library_is_no_defect_either() -> None:
    """The pure-Python psycopg finds no libpq: the extra brings one."""
    found = call(WITHOUT_LIBPQ, "migrate", "--sql")

    assert (found.returncode, found.stdout) == (1, "")
    assert "no pq wrapper available" in found.stderr
    assert "pip install 'fairlead[postgres]'" in found.stderr


def test_a_module_of_our_own_that_is_missing_stays_a_defect() -> None:
    """Nobody is told to install what should have been in the wheel."""
    with pytest.raises(ModuleNotFoundError), importing_postgres():
        raise ModuleNotFoundError(
            "No module named 'fairlead.adapters.postgres.lost'", name="fairlead.adapters.postgres.lost"
        )

    with pytest.raises(ExtraMissing), importing_postgres():
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
