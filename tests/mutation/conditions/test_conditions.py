"""What is left out, and that it is really left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.conditions.judging import Fate, judge
from tests.mutation.conditions.reading import Condition, conditions, without

STATEMENT = """\
UPDATE fairlead.tasks AS t
SET status = 'running'
FROM new
WHERE t.id = new.id
    AND (
        t.worker IS NULL
        OR t.worker = %(worker)s
    )
    AND EXISTS (SELECT FROM runs WHERE runs.id = t.id);
"""


def test_conditions_are_found(tmp_path: Path) -> None:
    """Those of one line, in the files that were asked for."""
    (tmp_path / "apply").mkdir()
    (tmp_path / "apply" / "tasks.sql").write_text(STATEMENT, encoding="utf-8")
    (tmp_path / "other.sql").write_text(STATEMENT, encoding="utf-8")

    assert list(conditions(["apply/*"], tmp_path)) == [
        Condition("apply/tasks", 4, "WHERE t.id = new.id"),
        Condition("apply/tasks", 9, "AND EXISTS (SELECT FROM runs WHERE runs.id = t.id);"),
    ]


@pytest.mark.parametrize(("line", "becomes"), [(4, "WHERE true\n"), (9, "    AND true;\n")])
def test_a_condition_is_left_out(line: int, becomes: str) -> None:
    """All other lines stay."""
    before, after = STATEMENT.splitlines(keepends=True), without(STATEMENT, line).splitlines(keepends=True)

    assert after[line - 1] == becomes
    assert after[: line - 1] == before[: line - 1]
    assert after[line:] == before[line:]


@pytest.mark.parametrize("line", [0, 1, 5, 10])
def test_what_is_no_condition_is_not_left_out(line: int) -> None:
    """One that goes on in the next line included."""
    with pytest.raises(ValueError, match="no condition"):
        without(STATEMENT, line)


def test_a_guard_that_is_left_out_is_noticed() -> None:
    """By a test that does not fail otherwise."""
    token, status = (
        next(each for each in conditions(["apply/tasks"]) if what in each.text) for what in ("t.token", "t.status")
    )
    judges = ["tests/contract/test_guards.py::test_a_stale_token_is_corruption"]

    verdict = judge(token, judges)

    assert verdict.fate is Fate.NOTICED
    assert verdict.by.startswith(judges[0])
    assert judge(status, judges).fate is Fate.UNNOTICED
