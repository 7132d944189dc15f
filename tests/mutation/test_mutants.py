"""Mutants: what is read of what mutmut writes, and which of it only changes words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, Outcome, keep, read_mutants, read_outcomes

WRITTEN = '''\
class Box:
    def xǁBoxǁopen__mutmut_orig(self, key):
        """Open it."""
        return key == self.key

    def xǁBoxǁopen__mutmut_1(self, key):
        """Open it."""
        return key != self.key


def x_length__mutmut_orig(box):
    return box.height + 1


def x_length__mutmut_1(box):
    return box.height - 1


def x_length__mutmut_2(box):
    return box.height + 2
'''
SPANS = {
    "xǁBoxǁopen__mutmut_orig": [2, 4],
    "xǁBoxǁopen__mutmut_1": [6, 8],
    "x_length__mutmut_orig": [11, 12],
    "x_length__mutmut_1": [15, 16],
    "x_length__mutmut_2": [19, 20],
}
OPEN = "fairlead.kernel.boxes.shapes.xǁBoxǁopen__mutmut_1"
SHORTER = "fairlead.kernel.boxes.shapes.x_length__mutmut_1"
LONGER = "fairlead.kernel.boxes.shapes.x_length__mutmut_2"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of one module, as mutmut leaves it: one mutant killed, one survivor, one that is not played yet."""
    folder = tmp_path / "mutants" / "fairlead" / "kernel" / "boxes"
    folder.mkdir(parents=True)
    (folder / "shapes.py").write_text(WRITTEN, encoding="utf-8")
    (folder / "shapes.py.spans").write_text(json.dumps({"version": 1, "spans": SPANS}), encoding="utf-8")
    codes = {OPEN: 1, SHORTER: 0, LONGER: None}
    (folder / "shapes.py.meta").write_text(json.dumps({"exit_code_by_key": codes, "durations_by_key": {}}), "utf-8")
    return tmp_path


def mutant(original: str, changed: str) -> Mutant:
    """A mutant of which only the change matters."""
    head = "def ask():\n    "
    return Mutant(name="", path="", function="ask", original=head + original, changed=head + changed)


def test_mutants_are_read_with_their_place_and_their_change(tree: Path) -> None:
    """Without the names that mutmut gives to functions."""
    opened, shorter, _ = read_mutants(tree)

    assert (opened.name, opened.path, opened.package) == (OPEN, "kernel/boxes/shapes.py", "kernel/boxes")
    assert (opened.function, shorter.function) == ("Box.open", "length")
    assert opened.original.startswith('def open(self, key):\n    """Open it."""\n')
    assert shorter.difference.splitlines()[1:] == [
        " def length(box):",
        "-    return box.height + 1",
        "+    return box.height - 1",
    ]


def test_what_came_of_mutants_is_said_in_our_words(tree: Path) -> None:
    """By the exit codes that mutmut notes."""
    assert read_outcomes(tree) == {OPEN: Outcome.KILLED, SHORTER: Outcome.SURVIVED, LONGER: Outcome.UNPLAYED}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((code, Outcome.KILLED) for code in (1, 3, 4, -24, -9)),
        *((code, Outcome.UNTESTED) for code in (5, 33)),
        (2, Outcome.UNPLAYED),
        (77, Outcome.UNCLEAR),
    ],
)
def test_exit_codes_of_pytest_and_mutmut(tree: Path, code: int, outcome: Outcome) -> None:
    """A mutant that lets no module of tests be imported is noticed as well; an unknown code says nothing."""
    (listed,) = tree.rglob("*.meta")
    listed.write_text(json.dumps({"exit_code_by_key": {OPEN: code}}), encoding="utf-8")

    assert read_outcomes(tree) == {OPEN: outcome}


def test_what_is_not_kept_is_not_listed_any_more(tree: Path) -> None:
    """So mutmut plays nothing else; everything else that it notes stays."""
    keep(tree, {LONGER})

    assert [each.name for each in read_mutants(tree)] == [LONGER]
    (listed,) = tree.rglob("*.meta")
    assert json.loads(listed.read_text(encoding="utf-8")).keys() == {"exit_code_by_key", "durations_by_key"}


@pytest.mark.parametrize(
    "changed",
    ['raise Refused("XXno such boxXX", box)', 'raise Refused("NO SUCH BOX", box)'],
)
def test_changed_words_are_a_message(changed: str) -> None:
    """A text with a blank in it is for people."""
    assert mutant('raise Refused("no such box", box)', changed).is_message


@pytest.mark.parametrize(
    ("original", "changed"),
    [
        ('raise Refused("no such box", box)', 'raise Refused("no such box", None)'),
        ('return "box"', 'return "XXboxXX"'),
        ('return "box"', 'return "BOX"'),
        ('return first == "a box"', 'return first != "a box"'),
    ],
)
def test_everything_else_is_none(original: str, changed: str) -> None:
    """A word alone may be a key, a slug, a kind."""
    assert not mutant(original, changed).is_message
