"""Seeds that once failed, with what they found: they are played before all others.

A seed means what the campaign draws from it today. Where a change of the campaign gives it another meaning, what it
found is kept by the regression test that its defect has.
"""

from __future__ import annotations

from collections.abc import Mapping

CORPUS: Mapping[int, str] = {
    348: "a rerun ran a step that is skipped with one that stays skipped",
    402: "the same, with steps behind it and sleeps beside",
    6787: "a host without a free slot asked its transport for messages, for ever",
}
