"""The report: scores of what was played, and what is told of survivors."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mutation.mutants import Mutant, Outcome
from tests.mutation.report import IN_ALL, Report, survivors_of


def mutant(name: str, path: str) -> Mutant:
    """A mutant that turns a comparison around."""
    original, changed = "def ask(a, b):\n    return a < b\n", "def ask(a, b):\n    return a <= b\n"
    return Mutant(name=name, path=path, function="ask", original=original, changed=changed)


KILLED, SURVIVOR = mutant("m1", "kernel/decisions/wake.py"), mutant("m2", "kernel/decisions/settle.py")
UNTESTED, UNCLEAR = mutant("m3", "kernel/cron.py"), mutant("m4", "kernel/cron.py")
UNPLAYED, NOT_DRAWN = mutant("m5", "kernel/cron.py"), mutant("m6", "kernel/plan.py")
REPORT = Report(
    [UNTESTED, KILLED, SURVIVOR, UNCLEAR, UNPLAYED, NOT_DRAWN],
    {
        "m1": Outcome.KILLED,
        "m2": Outcome.SURVIVED,
        "m3": Outcome.UNTESTED,
        "m4": Outcome.UNCLEAR,
        "m5": Outcome.UNPLAYED,
    },
    messages=7,
)


def test_a_score_counts_what_was_played_and_can_be_told() -> None:
    """What no test calls is not noticed; what is unclear counts for nothing."""
    scores = REPORT.scores()

    assert [*scores] == ["kernel", "kernel/decisions", IN_ALL]
    assert [(each.mutants, each.played, each.killed) for each in scores.values()] == [
        (4, 1, 0),
        (2, 2, 0.5),
        (6, 3, 1 / 3),
    ]


def test_a_package_of_which_nothing_was_played_has_no_score() -> None:
    """None is not zero."""
    (score, _) = Report([NOT_DRAWN], {}, messages=0).scores().values()

    assert score.killed is None


def test_the_table_says_what_is_left_out() -> None:
    """Beside the score, where it is read."""
    lines = REPORT.table().splitlines()

    assert lines[4] == "| in all | 6 | 3 | 1 | 1 | 1 | 1 | 33.3% |"
    assert lines[-1] == "Left out: 7 mutants that change words of messages alone, and 1 that there was no time for."


def test_survivors_that_tests_call_come_first_with_their_changes() -> None:
    """They are holes that a test is near to."""
    text = REPORT.text()

    assert REPORT.survivors() == [SURVIVOR, UNTESTED]
    assert "`kernel/decisions/settle.py` ask: survived, `m2`\n\n```diff\n" in text
    assert "-    return a < b\n+    return a <= b\n```" in text


def test_survivors_are_found_again(tmp_path: Path) -> None:
    """In the file that is for programs."""
    _, data = REPORT.write(tmp_path)

    assert survivors_of(data) == ["m2", "m3"]
    assert json.loads(data.read_text(encoding="utf-8"))["scores"]["kernel/decisions"]["killed"] == 0.5
