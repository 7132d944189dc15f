"""An example that is more than one: a flow that surveys a folder, file by file, and writes a report.

`survey` holds the flow. The other modules are what any program would have that does this work; they know nothing of
flows. `fairlead demo FOLDER` starts a run, works on it and shows how far it is; what was begun by a process that was
killed is finished by the next. Any other worker may help:

    fairlead worker fairlead.hosts.demo:kernel
"""

from __future__ import annotations

from ...kernel import Kernel, Ports
from .analysis import FileAnalysis
from .listing import Listing
from .paths import path_bytes, path_text
from .survey import (
    AnalyseSettings,
    ListSettings,
    Request,
    analyse,
    combine,
    list_files,
    survey_folder,
    write_json,
    write_markdown,
)
from .totals import Duplicates, LanguageTotals, Totals


def kernel(ports: Ports) -> Kernel:
    """The kernel that a worker of the demo needs."""
    return Kernel(flows=[survey_folder], ports=ports)


__all__ = [
    "AnalyseSettings",
    "Duplicates",
    "FileAnalysis",
    "LanguageTotals",
    "ListSettings",
    "Listing",
    "Request",
    "Totals",
    "analyse",
    "combine",
    "kernel",
    "list_files",
    "path_bytes",
    "path_text",
    "survey_folder",
    "write_json",
    "write_markdown",
]
