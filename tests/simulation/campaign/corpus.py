"""Seeds that once failed, with what they found: they are played before all others.

A seed means what the campaign draws from it today. Where a change of the campaign gives it another meaning, what it
found is kept by the regression test that its defect has.
"""

from __future__ import annotations

from collections.abc import Mapping

CORPUS: Mapping[int, str] = {
    25256: "a host that had stood still started a run whose start was withdrawn meanwhile",
    39235: "a deadline was forgotten whose run started while it was looked for",
    70002: "a start was withdrawn whose run a host had put down before it died",
    500720: "time jumped while the answer to a claim was delayed, and the run was cancelled meanwhile",
    820827: "a lease that nobody knew of was over by its host's clock, and not yet by the world's",
}
