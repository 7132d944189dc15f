"""The survey as a file, line by line: Markdown for people, JSON for programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec
from attrs import asdict, frozen

from .analysis import FileAnalysis
from .listing import Listing
from .paths import path_bytes
from .totals import Totals

DUPLICATES_SHOWN_MAX = 200
"""Groups of duplicates that the Markdown lists in full; the JSON has them all."""


@frozen(kw_only=True)
class Survey:
    """Everything that a survey has found."""

    folder: str
    listing: Listing
    totals: Totals
    files: Iterable[FileAnalysis | None]
    """In the order of the listing; None for a file that could not be measured. There may be more than fit in memory."""


def write_file(path: bytes, lines: Iterable[str], *, staged: bytes) -> None:
    """Put a file in place at once, so that nobody ever meets half of it.

    Args:
        path: where it goes; what is there is replaced.
        lines: all of it, without the ends of the lines.
        staged: a name in the same folder, used by nobody else, under which it is prepared.
    """
    try:
        with open(staged, "wb") as file:
            file.writelines(f"{line}\n".encode() for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except OSError:
        remove_file(staged)
        raise


def remove_file(path: bytes) -> None:
    """Remove a file if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def staged_path(report: str, run_id: str, attempt: int) -> bytes:
    """Where an attempt at a run's report prepares it."""
    return os.path.join(os.path.dirname(path_bytes(report)), b".fairlead-%s-%d" % (run_id.encode(), attempt))


def json_report(survey: Survey) -> Iterator[str]:
    """The report as lines of one JSON document, with a line for each file. The same survey gives the same lines."""
    listing = survey.listing
    parts = {
        "folder": survey.folder,
        "totals": {**asdict(survey.totals), "measured": survey.totals.measured},
        "links": listing.links,
        "special": listing.special,
        "closed": listing.closed,
        "left_out": listing.left_out,
    }
    yield "{"
    for name, value in parts.items():
        yield f'"{name}": {_encoded(value)},'
    yield '"files": ['
    unread: list[str] = []
    before = ""
    for line in (_encoded(asdict(each)) for each in _measured(survey, unread)):
        if before:
            yield f"{before},"
        before = line
    yield before
    yield f'], "unread": {_encoded(unread)}'
    yield "}"


def markdown_report(survey: Survey) -> Iterator[str]:
    """The report as lines of Markdown. The same survey gives the same lines."""
    yield from _head(survey)
    yield from _languages(survey.totals)
    yield from _duplicates(survey.totals)
    unread: list[str] = []
    yield from _files(_measured(survey, unread))
    yield from _not_surveyed(survey.listing, unread)


def _measured(survey: Survey, unread: list[str]) -> Iterator[FileAnalysis]:
    """The files that were measured; the paths of the others go into `unread` meanwhile."""
    for path, each in zip(survey.listing.files, survey.files, strict=True):
        if each is None:
            unread.append(path)
        else:
            yield each


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _head(survey: Survey) -> Iterator[str]:
    totals, listing = survey.totals, survey.listing
    yield f"# Survey of {survey.folder}"
    yield ""
    yield (
        f"{totals.files:,} files, {totals.size_bytes:,} bytes; "
        f"in those of text {totals.lines:,} lines and {totals.words:,} words."
    )
    yield f"Not measured, since they could not be read: {totals.unread:,}. Empty: {totals.empty:,}."
    yield (
        f"Not followed or opened: {listing.links:,} symbolic links, {listing.special:,} sockets, pipes and devices, "
        f"{len(listing.closed):,} folders that could not be read, {len(listing.left_out):,} folders left out."
    )
    yield r"In paths, `\xNN` stands for a byte that is no printable text, and `\\` for a backslash."
    yield ""


def _languages(totals: Totals) -> Iterator[str]:
    yield "## Languages"
    yield ""
    yield "| language | files | lines | words | bytes |"
    yield "|:--|--:|--:|--:|--:|"
    for each in totals.languages:
        yield f"| {each.language} | {each.files:,} | {each.lines:,} | {each.words:,} | {each.size_bytes:,} |"
    yield f"| **all** | {totals.measured:,} | {totals.lines:,} | {totals.words:,} | {totals.size_bytes:,} |"
    yield ""


def _duplicates(totals: Totals) -> Iterator[str]:
    yield "## Duplicates"
    yield ""
    groups = totals.duplicates
    if not groups:
        yield "No two files that are not empty have the same content."
        yield ""
        return
    yield f"{len(groups):,} contents occur more than once and take {totals.wasted_bytes:,} bytes too many."
    yield from _fenced(
        line
        for group in groups[:DUPLICATES_SHOWN_MAX]
        for line in (f"{group.size_bytes:,} bytes, {group.sha256}", *(f"    {path}" for path in group.paths))
    )
    if len(groups) > DUPLICATES_SHOWN_MAX:
        yield f"{len(groups) - DUPLICATES_SHOWN_MAX:,} more; a report named `*.json` has them all."
        yield ""


def _files(files: Iterator[FileAnalysis]) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "SHA-256, bytes, lines, words, longest line, language, path; `-` where there is nothing to count."
    yield from _fenced(
        f"{each.sha256:64} {each.size_bytes:>12} {_shown(each.lines):>8} {_shown(each.words):>9} "
        f"{_shown(each.longest_line):>8}  {each.language:18} {each.path}"
        for each in files
    )


def _not_surveyed(listing: Listing, unread: list[str]) -> Iterator[str]:
    lines = [f"not read       {path}" for path in unread]
    lines += [f"closed folder  {path}" for path in listing.closed]
    lines += [f"left out       {path}" for path in listing.left_out]
    if lines:
        yield "## Not surveyed"
        yield ""
        yield "Why a file could not be read is told by `fairlead runs show RUN --all`."
        yield from _fenced(lines)


def _fenced(lines: Iterator[str] | list[str]) -> Iterator[str]:
    yield ""
    yield "```text"
    yield from lines
    yield "```"
    yield ""


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
