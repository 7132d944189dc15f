"""Conditions over answers of which some are not there yet."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.conditions import Answer, is_met, outcome
from fairlead.kernel.plan import Condition, Pattern

PATTERNS = [Pattern(name, b"{}") for name in ("draft", "judge", "publish")]
SOME = st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple)
CONDITIONS = st.builds(Condition, when=SOME, unless=SOME, negated=st.booleans())
ANSWERS = st.fixed_dictionaries({each: st.sampled_from([True, False, None]) for each in PATTERNS})


def completions(answers: Mapping[Pattern, Answer]) -> list[dict[Pattern, bool]]:
    """Everything that the answers may become once all are there."""
    choices = [[True, False] if answer is None else [answer] for answer in answers.values()]
    return [dict(zip(answers, chosen, strict=True)) for chosen in itertools.product(*choices)]


@given(CONDITIONS, ANSWERS)
def test_what_is_known_early_stays_true(condition: Condition, answers: Mapping[Pattern, Answer]) -> None:
    """Whatever comes, no decision that was taken with some of the answers has to be taken back."""
    early = outcome(condition, answers.__getitem__)

    assert early is None or {is_met(condition, each.__getitem__) for each in completions(answers)} == {early}


@given(CONDITIONS, ANSWERS)
def test_a_branch_and_its_complement(condition: Condition, answers: Mapping[Pattern, Answer]) -> None:
    """When all answers are there, one of the two runs, never both; and the order of patterns decides nothing."""
    other = Condition(when=condition.when[::-1], unless=condition.unless[::-1], negated=not condition.negated)

    for each in completions(answers):
        assert is_met(condition, each.__getitem__) is not is_met(other, each.__getitem__)
