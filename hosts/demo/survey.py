"""The flow: list the files of a folder, analyse each, combine, write a report."""

from __future__ import annotations

from datetime import timedelta

from attrs import field, frozen

from ...kernel import Context, Flow, GiveUp
from .analysis import FileAnalysis, analyse_file
from .listing import Listing, list_folder
from .paths import path_bytes
from .report import Survey, remove_file, render, staged_path, write_file
from .totals import Totals, total

FILES_MAX = 100_000
"""Their paths are one payload, the output of `list_files`; at 160 bytes each they fill the 16 MiB that one may have."""


@frozen(kw_only=True)
class Request:
    """What to survey. Paths are absolute and written as `path_text` writes them."""

    folder: str
    report: str
    """Where the report goes, as JSON if it ends in `.json`, otherwise as Markdown."""
    leave_out: list[str] = field(factory=list[str])
    """Patterns for the names of folders that are not entered."""


# The demo invites people to kill the worker, and each kill costs the tasks in its hands an attempt.
survey_folder = Flow("survey_folder", version=1, input=Request, input_name="request", max_attempts=50)


@survey_folder.step(timeout=timedelta(minutes=10))
def list_files(request: Request) -> Listing:
    """Find every file."""
    try:
        listing = list_folder(
            path_bytes(request.folder), leave_out=request.leave_out, report=path_bytes(request.report)
        )
    except OSError as error:
        raise GiveUp(f"{request.folder} cannot be read: {error.strerror}") from error
    if len(listing.files) > FILES_MAX:
        raise GiveUp(
            f"{request.folder} holds {len(listing.files):,} files, more than {FILES_MAX:,}: survey a part of it"
        )
    return listing


@survey_folder.map(over="list_files.files", timeout=timedelta(minutes=30))
def analyse(item: str, request: Request) -> FileAnalysis:
    """Measure one file; there is one task for each."""
    return analyse_file(path_bytes(request.folder), item)


@survey_folder.step
def combine(analyse: list[FileAnalysis]) -> Totals:
    """Add everything up, and find the duplicates."""
    return total(analyse)


@survey_folder.step
def write_report(
    request: Request, list_files: Listing, analyse: list[FileAnalysis], combine: Totals, ctx: Context
) -> str:
    """Write the report, in place of an earlier one; what earlier attempts have left half-written is removed."""
    survey = Survey(folder=request.folder, listing=list_files, totals=combine, files=analyse)
    content = render(survey, as_json=request.report.endswith(".json"))
    try:
        for earlier in range(1, ctx.attempt):
            remove_file(staged_path(request.report, ctx.run_id, earlier))
        write_file(path_bytes(request.report), content, staged=staged_path(request.report, ctx.run_id, ctx.attempt))
    except OSError as error:
        raise GiveUp(f"the report {request.report} cannot be written: {error.strerror}") from error
    return request.report
