"""The register of faults and the tests that show them: neither without the other."""

from __future__ import annotations

from docs.generating.fault_register import FAULTS
from docs.generating.faults import by_fault, shown


def test_every_fault_is_shown() -> None:
    """What no test shows is no more than a sentence."""
    without = [number for number, tests in by_fault().items() if not tests]

    assert without == []


def test_every_mark_names_faults() -> None:
    """A number that is not in the register says nothing."""
    wrong = {f"{test.place}::{test.name}": test.faults for test in shown() if not FAULTS.keys() >= {*test.faults}}

    assert wrong == {}


def test_numbers_are_for_ever() -> None:
    """None is missing and none is there twice, so that what names one means the same in every version."""
    assert list(FAULTS) == list(range(1, len(FAULTS) + 1))
