"""What the files of a folder come to together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from attrs import frozen

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
    measured: int
    unreadable: int
    vanished: int
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


def total(analyses: list[FileAnalysis]) -> Totals:
    """Add up the analyses of all files of a folder."""
    measured = [each for each in analyses if each.status == "ok"]
    duplicates = _duplicates(measured)
    return Totals(
        files=len(analyses),
        measured=len(measured),
        unreadable=sum(each.status == "unreadable" for each in analyses),
        vanished=sum(each.status == "vanished" for each in analyses),
        empty=sum(each.size_bytes == 0 for each in measured),
        size_bytes=_sum(each.size_bytes for each in measured),
        lines=_sum(each.lines for each in measured),
        words=_sum(each.words for each in measured),
        languages=_languages(measured),
        duplicates=duplicates,
        wasted_bytes=sum((len(group.paths) - 1) * group.size_bytes for group in duplicates),
    )


def _languages(measured: list[FileAnalysis]) -> list[LanguageTotals]:
    groups: defaultdict[str, list[FileAnalysis]] = defaultdict(list)
    for each in measured:
        groups[each.language or ""].append(each)
    totals = [
        LanguageTotals(
            language=language,
            files=len(files),
            size_bytes=_sum(each.size_bytes for each in files),
            lines=_sum(each.lines for each in files),
            words=_sum(each.words for each in files),
        )
        for language, files in groups.items()
    ]
    return sorted(totals, key=lambda each: (-each.files, each.language))


def _duplicates(measured: list[FileAnalysis]) -> list[Duplicates]:
    groups: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for each in measured:
        if each.sha256 and each.size_bytes:
            groups[each.sha256, each.size_bytes].append(each.path)
    duplicates = [
        Duplicates(sha256=sha256, size_bytes=size_bytes, paths=paths)
        for (sha256, size_bytes), paths in groups.items()
        if len(paths) > 1
    ]
    return sorted(duplicates, key=lambda group: (-(len(group.paths) - 1) * group.size_bytes, group.paths))


def _sum(numbers: Iterable[int | None]) -> int:
    return sum(number or 0 for number in numbers)
