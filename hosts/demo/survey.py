"""The flow: list the files of a folder, analyse each, combine, write a report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from attrs import field, frozen

from ...kernel import Context, Flow, GiveUp
from .analysis import FileAnalysis, Unmeasurable, analyse_file
from .listing import Listing, list_folder
from .paths import path_bytes
from .report import Survey, json_report, markdown_report, remove_file, staged_path, write_file
from .totals import Totals, total

FILES_MAX = 1_000_000
"""Their paths are one payload, the output of `list_files`; at 160 bytes each they are well below what one may have."""


@frozen(kw_only=True)
class Request:
    """What to survey. Paths are absolute and written as `path_text` writes them."""

    folder: str
    report: str
    """Where the report goes."""
    format: Literal["markdown", "json"] = "markdown"
    """Of the report."""


@frozen(kw_only=True)
class ListSettings:
    """How files are listed."""

    leave_out: list[str] = field(factory=list[str])
    """Patterns for the names of folders that are not entered."""


@frozen(kw_only=True)
class AnalyseSettings:
    """How files are analysed."""

    pause_s: float = 0.0
    """Before each file: for those who want to see the survey run, or to interrupt it."""


# The demo invites people to kill the worker, and each kill costs the tasks in its hands an attempt.
survey_folder = Flow("survey_folder", version=2, input=Request, input_name="request", max_attempts=50)


@survey_folder.step(timeout=timedelta(minutes=10))
def list_files(request: Request, config: ListSettings) -> Listing:
    """Find every file."""
    try:
        listing = list_folder(path_bytes(request.folder), leave_out=config.leave_out, report=path_bytes(request.report))
    except OSError as error:
        raise GiveUp(f"{request.folder} cannot be read: {error.strerror}") from error
    if len(listing.files) > FILES_MAX:
        raise GiveUp(
            f"{request.folder} holds {len(listing.files):,} files, more than {FILES_MAX:,}: survey a part of it"
        )
    return listing


@survey_folder.map(
    over="list_files.files",
    tolerate_failures="all",  # a file that cannot be read costs its own line of the report, and no more
    non_retryable=(Unmeasurable,),
    timeout=timedelta(minutes=30),
)
def analyse(item: str, request: Request, config: AnalyseSettings) -> FileAnalysis:
    """Measure one file; there is one task for each."""
    time.sleep(config.pause_s)
    return analyse_file(path_bytes(request.folder), item)


@survey_folder.step
def combine(analyse: Iterable[FileAnalysis | None]) -> Totals:
    """Add everything up, and find the duplicates."""
    return total(analyse)


as_json = survey_folder.branch(when={"request": {"format": "json"}})


@as_json.step
def write_json(
    request: Request, list_files: Listing, analyse: Iterable[FileAnalysis | None], combine: Totals, ctx: Context
) -> str:
    """Write the report for programs."""
    survey = Survey(folder=request.folder, listing=list_files, totals=combine, files=analyse)
    return _written(request, json_report(survey), ctx)


@as_json.otherwise().step
def write_markdown(
    request: Request, list_files: Listing, analyse: Iterable[FileAnalysis | None], combine: Totals, ctx: Context
) -> str:
    """Write the report for people."""
    survey = Survey(folder=request.folder, listing=list_files, totals=combine, files=analyse)
    return _written(request, markdown_report(survey), ctx)


def _written(request: Request, lines: Iterable[str], ctx: Context) -> str:
    """Put the report in place of an earlier one; what earlier attempts have left half-written is removed."""
    try:
        for earlier in range(1, ctx.attempt):
            remove_file(staged_path(request.report, ctx.run_id, earlier))
        write_file(path_bytes(request.report), lines, staged=staged_path(request.report, ctx.run_id, ctx.attempt))
    except OSError as error:
        raise GiveUp(f"the report {request.report} cannot be written: {error.strerror}") from error
    return request.report
