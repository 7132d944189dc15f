"""The reference pages that follow from the code, and what makes each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cli import cli_page
from .errors import errors_page
from .events import events_page
from .limits import limits_page
from .options import options_page
from .ports import ports_page
from .python import python_page
from .statuses import statuses_page

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "limits.md": limits_page,
    "options.md": options_page,
    "ports.md": ports_page,
    "python.md": python_page,
    "statuses.md": statuses_page,
}
"""What makes each page of `docs/reference` that nobody writes by hand."""
