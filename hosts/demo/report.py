"""The survey as a file: Markdown for people, or JSON where the file is named so."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    files: list[FileAnalysis]


def render(survey: Survey, *, as_json: bool) -> bytes:
    """The content of the report. The same survey gives the same bytes."""
    return _json(survey) if as_json else "\n".join(_markdown(survey)).encode()


def write_file(path: bytes, content: bytes, *, staged: bytes) -> None:
    """Put a file in place at once, so that nobody ever meets half of it.

    Args:
        path: where it goes; what is there is replaced.
        content: all of it.
        staged: a name in the same folder, used by nobody else, under which it is prepared.
    """
    try:
        with open(staged, "wb") as file:
            file.write(content)
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


def _json(survey: Survey) -> bytes:
    listing = survey.listing
    document = {
        "folder": survey.folder,
        "totals": asdict(survey.totals),
        "links": listing.links,
        "special": listing.special,
        "closed": listing.closed,
        "left_out": listing.left_out,
        "files": [asdict(each) for each in survey.files],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _markdown(survey: Survey) -> Iterator[str]:
    yield from _head(survey)
    yield from _languages(survey.totals)
    yield from _duplicates(survey.totals)
    yield from _trouble(survey)
    yield from _files(survey.files)


def _head(survey: Survey) -> Iterator[str]:
    totals, listing = survey.totals, survey.listing
    yield f"# Survey of {survey.folder}"
    yield ""
    yield (
        f"{totals.files:,} files, {totals.size_bytes:,} bytes; "
        f"in those of text {totals.lines:,} lines and {totals.words:,} words."
    )
    yield (
        f"Unreadable: {totals.unreadable:,}. Vanished while the survey ran: {totals.vanished:,}. "
        f"Empty: {totals.empty:,}."
    )
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


def _trouble(survey: Survey) -> Iterator[str]:
    lines = [f"{each.status}  {each.path}  ({each.problem})" for each in survey.files if each.status != "ok"]
    lines += [f"closed folder  {path}" for path in survey.listing.closed]
    lines += [f"left out  {path}" for path in survey.listing.left_out]
    if lines:
        yield "## Not surveyed"
        yield ""
        yield from _fenced(lines)


def _files(files: list[FileAnalysis]) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "SHA-256, bytes, lines, words, longest line, language, path; `-` where there is nothing to count."
    yield from _fenced(
        f"{_shown(each.sha256):64} {_shown(each.size_bytes):>12} {_shown(each.lines):>8} {_shown(each.words):>9} "
        f"{_shown(each.longest_line):>8}  {_shown(each.language):18} {each.path}"
        for each in files
    )


def _fenced(lines: Iterator[str] | list[str]) -> Iterator[str]:
    yield ""
    yield "```text"
    yield from lines
    yield "```"
    yield ""


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
