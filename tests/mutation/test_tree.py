"""The tree: what is copied, and that mutmut understands what it is told."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.mutation.tree import BESIDE, DISTURBED, PACKAGES, REPEATED, ROOT, plant


def test_a_tree_holds_the_four_folders_as_one_package(tmp_path: Path) -> None:
    """And what the tests look at; of what lay there before, nothing."""
    checkout, tree = tmp_path / "checkout", tmp_path / "tree"
    for name in (*PACKAGES, "tests", "docs", "tests/__pycache__"):
        (checkout / name).mkdir(parents=True)
        (checkout / name / "plan.py").write_text("", encoding="utf-8")
    for name in (*BESIDE[2:], "pyproject.toml"):
        (checkout / name).write_text("", encoding="utf-8")
    plant(tree, ["kernel/plan.py"], checkout)
    (tree / "mutants").mkdir()

    plant(tree, ["kernel/decisions/*"], checkout)

    found = {str(each.relative_to(tree)) for each in tree.rglob("*") if each.is_file()}
    assert found == {
        *(f"fairlead/{name}/plan.py" for name in PACKAGES),
        *("tests/plan.py", "docs/plan.py", "README.md", "CHANGELOG.md", "pyproject.toml"),
    }
    options = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    assert options["only_mutate"] == ["fairlead/kernel/decisions/*"]
    assert options["track_dependencies"] is False
    assert not (tree / "mutants").exists()


def test_the_tests_that_judge_no_mutant_are_there() -> None:
    """Nothing is left out under a name that it had once."""
    for test in (*DISTURBED, *REPEATED):
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
