"""What the files of a folder come to together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrs import define, frozen

from .analysis import FileAnalysis


@frozen(kw_only=True)
class LanguageTotals:
    """All files of one language."""

    language: str
    files: int
    size_bytes: int
    lines: int
    words: int


@frozen(kw_only=True)
class Duplicates:
    """Files with the same content, of which at least one is not needed."""

    sha256: str
    size_bytes: int
    """Of one of them."""
    paths: list[str]


@frozen(kw_only=True)
class Totals:
    """The whole folder. `files` counts every file that was listed."""

    files: int
    unread: int
    """Those that could not be measured."""
    empty: int
    size_bytes: int
    lines: int
    words: int
    languages: list[LanguageTotals]
    """The one with most files first."""
    duplicates: list[Duplicates]
    """Empty files apart; whatever wastes most first."""
    wasted_bytes: int
    """What would be saved if of each content one file were kept."""

    @property
    def measured(self) -> int:
        """How many files the numbers are about."""
        return self.files - self.unread


def total(analyses: Iterable[FileAnalysis | None]) -> Totals:
    """Add up the analyses of all files of a folder, in one pass.

    Args:
        analyses: one for each file; None for one that could not be measured.
    """
    languages: defaultdict[str, _Sums] = defaultdict(_Sums)
    contents: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    unread = 0
    for each in analyses:
        if each is None:
            unread += 1
            continue
        languages[each.language].add(each)
        if each.size_bytes:
            contents[each.sha256, each.size_bytes].append(each.path)
    everything = _Sums()
    for sums in languages.values():
        everything.join(sums)
    duplicates = _duplicates(contents)
    return Totals(
        files=everything.files + unread,
        unread=unread,
        empty=everything.empty,
        size_bytes=everything.size_bytes,
        lines=everything.lines,
        words=everything.words,
        languages=_languages(languages),
        duplicates=duplicates,
        wasted_bytes=sum((len(group.paths) - 1) * group.size_bytes for group in duplicates),
    )


@define
class _Sums:
    """Some files together."""

    files: int = 0
    empty: int = 0
    size_bytes: int = 0
    lines: int = 0
    words: int = 0

    def add(self, file: FileAnalysis) -> None:
        """Count one more file."""
        self.files += 1
        self.empty += file.size_bytes == 0
        self.size_bytes += file.size_bytes
        self.lines += file.lines or 0
        self.words += file.words or 0

    def join(self, others: _Sums) -> None:
        """Count other files too."""
        self.files += others.files
        self.empty += others.empty
        self.size_bytes += others.size_bytes
        self.lines += others.lines
        self.words += others.words


def _languages(sums: Mapping[str, _Sums]) -> list[LanguageTotals]:
    totals = [
        LanguageTotals(
            language=language, files=each.files, size_bytes=each.size_bytes, lines=each.lines, words=each.words
        )
        for language, each in sums.items()
    ]
    return sorted(totals, key=lambda each: (-each.files, each.language))


def _duplicates(contents: Mapping[tuple[str, int], list[str]]) -> list[Duplicates]:
    duplicates = [
        Duplicates(sha256=sha256, size_bytes=size_bytes, paths=paths)
        for (sha256, size_bytes), paths in contents.items()
        if len(paths) > 1
    ]
    return sorted(duplicates, key=lambda group: (-(len(group.paths) - 1) * group.size_bytes, group.paths))
