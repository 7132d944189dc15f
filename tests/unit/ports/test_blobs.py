"""The rule for the keys of blobs, which every adapter shares."""

from __future__ import annotations

import pytest

from fairlead.ports.blobs import KEY_LENGTH_MAX, SEGMENT_LENGTH_MAX, InvalidBlobKey, check_blob_key
from fairlead.ports.errors import UsageError

LONGEST = "/".join(["x" * SEGMENT_LENGTH_MAX, "y" * SEGMENT_LENGTH_MAX, "z" * (KEY_LENGTH_MAX - 402)])


@pytest.mark.parametrize("key", ["a", "runs/1/step.json", "A-Z_0.9", "..a/b..", "...", LONGEST])
def test_a_key_that_fits_the_rule_is_accepted(key: str) -> None:
    """Dots are only refused where they are a segment that leads upwards."""
    check_blob_key(key)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "it is empty"),
        ("x" * (KEY_LENGTH_MAX + 1), "it has 513 characters, at most 512 are allowed"),
        ("a b", "only A-Z, a-z, 0-9 and . _ / - are allowed"),
        ("ä", "only A-Z, a-z, 0-9 and . _ / - are allowed"),
        ("a\n", "only A-Z, a-z, 0-9 and . _ / - are allowed"),
        ("a\\b", "only A-Z, a-z, 0-9 and . _ / - are allowed"),
        ("a\0", "only A-Z, a-z, 0-9 and . _ / - are allowed"),
        ("..", "the segment '..' is not allowed"),
        ("a/../b", "the segment '..' is not allowed"),
        ("a/./b", "the segment '.' is not allowed"),
        ("/a", "it begins or ends with '/', or has two of them side by side"),
        ("a/", "it begins or ends with '/', or has two of them side by side"),
        ("a//b", "it begins or ends with '/', or has two of them side by side"),
        ("a/" + "x" * (SEGMENT_LENGTH_MAX + 1), "a segment has 201 characters, at most 200 are allowed"),
    ],
)
def test_any_other_key_is_refused_with_its_problem(key: str, problem: str) -> None:
    """As the caller's fault, with the key at hand."""
    with pytest.raises(InvalidBlobKey) as refused:
        check_blob_key(key)

    assert isinstance(refused.value, UsageError)
    assert (refused.value.key, refused.value.problem) == (key, problem)
