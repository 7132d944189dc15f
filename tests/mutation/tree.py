"""The tree: a copy of code and tests in which mutmut works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGE = "fairlead"

PACKAGES = ("kernel", "ports", "adapters", "hosts")

BESIDE = ("tests", "docs", "README.md", "CHANGELOG.md")
"""What the tests look at, too."""

JUDGES = ("tests/unit/kernel", "tests/contract/behaviours")

MEMORY = {"FAIRLEAD_ADAPTERS": "memory=tests.support.memory_subject:adapter"}

DISTURBED = (
    "tests/unit/kernel/test_context.py::test_a_context_offers_nothing_to_change_it",
    "tests/unit/kernel/definition/test_binding.py::test_a_local_class_as_the_input_of_a_flow",
)
"""They look at the names of a class and at the stack, and mutmut adds to both."""

REPEATED = (
    *(f"tests/unit/kernel/decisions/test_random_courses.py::test_long_courses[{seed}]" for seed in (50, 100, 150)),
    "tests/unit/kernel/decisions/test_random_courses.py::test_generations_of_maps[50]",
)
"""The same again for other seeds: they take longer than all that is written for one rule, for every survivor."""

TEST_TIMEOUT_S = 90
"""A test that takes so long hangs, and has noticed. The slowest takes twenty seconds on a busy machine."""

ROUND_CONSTANT_S = 30.0
ROUND_MULTIPLIER = 5.0
"""A mutant hangs when its tests take so many times longer than without it."""

LOG = "mutmut.log"

TELLING_INTERVAL_S = 10.0

GENERATE = """\
import sys
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, set_mutant_under_test
set_mutant_under_test("mutant_generation")
copy_src_dir()
copy_also_copy_files()
create_mutants(int(sys.argv[1]))
"""
"""mutmut has no command that writes mutants and plays none."""


def plant(tree: Path, only: Sequence[str], root: Path = ROOT) -> None:
    """Copy what is needed to `tree`, which is emptied before.

    Args:
        tree: a folder for nothing else.
        only: patterns of the files to change, from the root: `kernel/decisions/*`.
        root: the checkout.
    """
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in (*PACKAGES, *BESIDE):
        target = tree / PACKAGE / name if name in PACKAGES else tree / name
        if (root / name).is_dir():
            shutil.copytree(root / name, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(root / name, target)
    options = (root / "pyproject.toml").read_text(encoding="utf-8")
    (tree / "pyproject.toml").write_text(options + _options(only), encoding="utf-8")


def generate(tree: Path, jobs: int) -> None:
    """Write the mutants of the tree: into `mutants`, a list of their names beside each module."""
    command = [sys.executable, "-c", GENERATE, str(jobs)]
    subprocess.run(command, cwd=tree, stdout=subprocess.DEVNULL, check=True)


def play(tree: Path, jobs: int, tell: Callable[[], None]) -> bool:
    """Play the mutants that are listed and not played yet. Ctrl-C ends it early.

    Args:
        tree: where they are.
        jobs: processes.
        tell: is called every few seconds.

    Returns:
        Whether it went well. What mutmut says is in `LOG`.
    """
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(jobs)]
    with (tree / LOG).open("wb") as log:
        process = subprocess.Popen(command, cwd=tree, env={**os.environ, **MEMORY}, stdout=log, stderr=log)
        while True:
            try:
                return process.wait(TELLING_INTERVAL_S) == 0
            except subprocess.TimeoutExpired:
                tell()
            except KeyboardInterrupt:
                continue  # mutmut hears it as well, and ends


def _options(only: Sequence[str]) -> str:
    pytest = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
    pytest += ["-o", f"faulthandler_timeout={TEST_TIMEOUT_S}", "-o", "faulthandler_exit_on_timeout=true"]
    pytest += [f"--deselect={test}" for test in (*DISTURBED, *REPEATED)]
    options = {
        "source_paths": [PACKAGE],
        "only_mutate": [f"{PACKAGE}/{pattern}" for pattern in only],
        "also_copy": list(BESIDE),
        "pytest_add_cli_args": pytest,
        "pytest_add_cli_args_test_selection": list(JUDGES),
        "timeout_constant": ROUND_CONSTANT_S,
        "timeout_multiplier": ROUND_MULTIPLIER,
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    # What JSON says of texts, numbers, lists and truth, TOML says the same.
    return "\n[tool.mutmut]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
