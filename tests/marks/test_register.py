"""The marks themselves: each names known faults, has words of its own, and notes its branch and nothing else."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from docs.generating.fault_register import FAULTS
from fairlead.kernel import spilling
from fairlead.ports.blobs import BlobExists
from tests.marks.register import MalformedMark, all_marks, marks_in
from tests.marks.watching import NOTE, noting_codes, watched

SOURCE = """\
def answer(asked):
    try:
        value = asked()
    except (
        KeyError,
    ):  # recovers 1: nothing is found
        # Why that is.
        return None
    if not value:
        # recovers 2, 3: it is empty
        return 0
    return value  # recovers 4: it is there
"""


def test_every_mark_names_faults_and_has_words_of_its_own() -> None:
    """So that a table of marks tells them apart, and the register says more of each."""
    marks = all_marks()

    assert len(marks) > 200
    assert [str(mark) for mark in marks if not FAULTS.keys() >= {*mark.faults}] == []
    assert [what for what, count in Counter(mark.what for mark in marks).items() if count > 1] == []


def test_a_mark_stands_for_what_is_carried_out_first() -> None:
    """Behind the line that opens its branch, above a statement, or behind one."""
    found = [(mark.faults, mark.what, mark.statement) for mark in marks_in(SOURCE, "kernel/answer.py")]

    assert found == [((1,), "nothing is found", 8), ((2, 3), "it is empty", 11), ((4,), "it is there", 12)]


@pytest.mark.parametrize("comment", ["# recovers", "# recovers: nothing", "# recovers all: of it", "# recovers 3:"])
def test_what_begins_like_a_mark_is_one(comment: str) -> None:
    """A mark that is written wrongly would not be watched, and nobody would notice."""
    with pytest.raises(MalformedMark, match=r"kernel/answer.py:1: "):
        marks_in(f"pass  {comment}\n", "kernel/answer.py")


class _Blobs:
    """A store that has what is written already, or has not."""

    def __init__(self, *, has: bool) -> None:
        self._has = has

    async def put(self, key: str, data: bytes) -> None:
        """Write."""
        if self._has:
            raise BlobExists("it is there")


async def test_only_what_is_reached_is_noted() -> None:
    """And only as long as somebody watches: before and after, functions have the code that they were made with."""
    what = "the blob is there, written by a try whose answer was lost"
    blob, code = spilling.NewBlob("key", b""), spilling.put_blob.__code__
    with watched() as reached:
        noting = spilling.put_blob.__code__
        await spilling.put_blob(_Blobs(has=False), blob)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        untouched = dict(reached)
        await spilling.put_blob(_Blobs(has=True), blob)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with suppress(BlobExists):
        await spilling.put_blob(_Blobs(has=True), blob)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert untouched == {}
    assert reached == {what: 1}
    assert NOTE in str(noting.co_names)
    assert spilling.put_blob.__code__ is code


def test_every_mark_is_watched() -> None:
    """Each is in the code that takes the place of its function's: none is silently left out."""
    noted = {each for code in noting_codes(all_marks()).values() for each in code.co_consts if isinstance(each, str)}

    assert [str(mark) for mark in all_marks() if mark.what not in noted] == []
