"""The pages and drawings that follow from the code, and what makes each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cli import cli_page
from .demo import demo_drawing
from .errors import errors_page
from .events import events_page
from .faults import faults_page
from .limits import limits_page
from .options import options_page
from .ports import ports_page
from .python import python_page
from .statuses import statuses_page
from .tutorial import tutorial_drawing

FILES: Mapping[str, Callable[[], str]] = {
    "explanation/faults.md": faults_page,
    "images/survey_folder.svg": demo_drawing,
    "reference/cli.md": cli_page,
    "reference/errors.md": errors_page,
    "reference/events.md": events_page,
    "reference/limits.md": limits_page,
    "reference/options.md": options_page,
    "reference/ports.md": ports_page,
    "reference/python.md": python_page,
    "reference/statuses.md": statuses_page,
    "tutorials/digest.svg": tutorial_drawing,
}
"""What makes each file of `docs` that nobody writes by hand, by its place there."""
