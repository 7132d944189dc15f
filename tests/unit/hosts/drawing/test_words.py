"""Conditions and policies in words."""

from __future__ import annotations

import pytest

from fairlead.hosts.drawing.words import (
    CONDITION_LINES_MAX,
    CONDITION_WIDTH_MAX,
    condition_words,
    duration_words,
    policy_words,
    shortened,
    sleep_words,
    source_words,
    tolerance_words,
    wrapped,
)
from fairlead.kernel.plan import Condition, Consequence, StepKind, StepPlan, Tolerance
from tests.support.drawn_plans import otherwise, over, pattern, unless, when


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"status": "paid"}, 'charge.status = "paid"'),
        ({"by": {"card": {"issuer": "x"}}, "cents": 7}, 'charge.by.card.issuer = "x" and charge.cents = 7'),
        ({"tags": ["new", "vip"]}, 'charge.tags contains "new" and charge.tags contains "vip"'),
        ({"lines": [{"sku": "a", "n": 2}]}, 'charge.lines contains {sku: "a", n: 2}'),
        ({"odd key": None}, 'charge["odd key"] = null'),
        ({}, "charge is an object"),
        ({"tags": []}, "charge.tags is an array"),
        (["x"], 'charge contains "x"'),
        ([[1, {"a b": True}]], 'charge contains [1, {"a b": true}]'),
        (3.5, "charge = 3.5"),
    ],
)
def test_a_pattern_reads_as_a_sentence(value: object, said: str) -> None:
    """Fields are reached by dots, several hold together, values are JSON."""
    assert condition_words(when("charge", value)) == f"when {said}"


def test_every_kind_of_condition_has_its_words() -> None:
    """`when`, `unless`, both, and the complement of each; nothing is lost where several patterns hold together."""
    paid, test = pattern("charge", {"paid": True}), pattern("input", {"test": True})
    both = Condition(when=(paid,), unless=(test,))
    several = Condition(when=(paid,), unless=(paid, test))

    assert condition_words(unless("a", 1)) == "unless a = 1"
    assert condition_words(Condition(unless=(paid, test))) == "unless charge.paid = true and input.test = true"
    assert condition_words(otherwise(when("a", 1))) == "unless a = 1"
    assert condition_words(otherwise(unless("a", 1))) == "when a = 1"
    assert condition_words(both, "order") == "when charge.paid = true and not order.test = true"
    assert condition_words(otherwise(both), "order") == "unless (charge.paid = true and not order.test = true)"
    assert condition_words(several) == "when charge.paid = true and not (charge.paid = true and input.test = true)"


@pytest.mark.parametrize(
    ("tolerance", "said"),
    [(1, "1 may fail"), (0.1, "10 % may fail"), (0.125, "12.5 % may fail"), ("all", "any may fail")],
)
def test_tolerance_is_told(tolerance: Tolerance, said: str) -> None:
    """A count, a fraction, or every one."""
    assert tolerance_words(tolerance) == said


def test_very_small_tolerances_are_not_rounded_away() -> None:
    """Of a million elements some may fail."""
    assert tolerance_words(0.00001) == "1e-05 of all may fail"


def test_only_policies_that_are_not_the_default_are_told() -> None:
    """What happens without a policy needs no words."""
    chosen = StepPlan(
        slug="map",
        kind=StepKind.MAP,
        source=over("input.lines"),
        condition=when("a", 1),
        on_unmet=Consequence.SKIP_CASCADE,
        on_exhausted=Consequence.SKIP,
        tolerate_failures=2,
        requires=("a", "b"),
    )

    assert list(policy_words(StepPlan(slug="step", condition=when("a", 1)))) == []
    assert list(policy_words(chosen)) == [
        "unmet: skips all that follow",
        "failed: skipped",
        "2 may fail",
        "requires a, b",
    ]
    assert (source_words(chosen, "order"), source_words(StepPlan(slug="step"))) == ("order.lines", None)


@pytest.mark.parametrize(
    ("consequence", "said"),
    [
        (Consequence.FAIL, "within 3 d, else the run fails"),
        (Consequence.SKIP, "within 3 d, else skipped"),
        (Consequence.SKIP_CASCADE, "within 3 d, else all that follow are skipped"),
    ],
)
def test_how_long_a_signal_is_waited_for_is_told(consequence: Consequence, said: str) -> None:
    """And what follows where it is late; nothing where it is waited for as long as it takes."""
    signal = StepPlan(slug="approval", kind=StepKind.SIGNAL, wait_s=3 * 86_400.0, on_timeout=consequence)

    assert list(policy_words(signal)) == [said]
    assert list(policy_words(StepPlan(slug="approval", kind=StepKind.SIGNAL))) == []


def test_how_long_a_sleep_lasts_is_told() -> None:
    """A while, or until a time in the data, under the input's name."""
    until = StepPlan(slug="evening", kind=StepKind.SLEEP, until=over("input.send_at"))

    assert sleep_words(StepPlan(slug="nap", kind=StepKind.SLEEP, wait_s=0.0)) == "for 0 s"
    assert sleep_words(until, "mail") == "until mail.send_at"
    assert sleep_words(StepPlan(slug="approval", kind=StepKind.SIGNAL, wait_s=60.0)) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.25, "0.25 s"),
        (59.5, "59.5 s"),
        (60.0, "1 min"),
        (90.0, "1 min 30 s"),
        (7200.0, "2 h"),
        (5400.0, "1 h 30 min"),
        (3 * 86_400.0, "3 d"),
        (86_400.1, "1 d 0.1 s"),
        (3650 * 86_400.0, "3650 d"),
    ],
)
def test_durations_are_told_as_they_were_meant(seconds: float, said: str) -> None:
    """In whole units, the largest first, and nothing of those of which there are none."""
    assert duration_words(seconds) == said


def test_long_words_are_bounded() -> None:
    """A condition takes some lines and no more; a name is cut where it has to be."""
    lines = wrapped(condition_words(when("step", {f"field_{number}": "x" * 30 for number in range(9)})))

    assert len(lines) == CONDITION_LINES_MAX
    assert max(map(len, lines)) <= CONDITION_WIDTH_MAX
    assert lines[-1].endswith("…")
    assert wrapped("when a = 1") == ("when a = 1",)
    assert (shortened("abcdef", 4), shortened("abcd", 4)) == ("abc…", "abcd")
