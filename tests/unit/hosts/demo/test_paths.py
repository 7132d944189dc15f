"""Paths survive being text, whatever bytes they consist of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.hosts.demo.paths import path_bytes, path_text
from fairlead.kernel.codec import decode, encode


@given(st.binary(max_size=60).map(lambda path: path.replace(b"\0", b"")))
def test_every_path_comes_back_from_its_text(path: bytes) -> None:
    """Any bytes make printable text, which is a payload, and which names the same bytes again."""
    text = path_text(path)

    assert text.isprintable()
    assert decode(encode(text)) == text
    assert path_bytes(text) == path


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_paths_never_have_one_text(first: bytes, second: bytes) -> None:
    """Different paths stay different, so nothing is counted twice or lost."""
    assert (path_text(first) == path_text(second)) == (first == second)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"docs/plain name.txt", "docs/plain name.txt"),
        ("größe/日本.md".encode(), "größe/日本.md"),
        (b"caf\xe9", r"caf\xe9"),
        (b"back\\slash", r"back\\slash"),
        (rb"looks\xe9like", r"looks\\xe9like"),
        (b"two\nlines", r"two\x0alines"),
        ("no\u00a0break".encode(), r"no\xc2\xa0break"),
        ("\ud800".encode("utf-8", "surrogatepass"), r"\xed\xa0\x80"),
    ],
)
def test_text_is_readable(path: bytes, text: str) -> None:
    """Ordinary names stay as they are; what is odd is escaped byte by byte."""
    assert path_text(path) == text
    assert json.loads(json.dumps(path_text(path))) == text


@pytest.mark.parametrize("text", ["\\", r"a\q", r"a\x4", r"a\xZZ", r"odd\\\ "])
def test_text_that_is_no_path_is_refused(text: str) -> None:
    """A lone backslash is an error with its place, not a guess."""
    with pytest.raises(ValueError, match="backslash at"):
        path_bytes(text)
