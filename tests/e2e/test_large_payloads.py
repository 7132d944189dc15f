"""Arrays of 100 MB and more in processes that never have them in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import large_worker

COUNT, LENGTH = 2_000, 100_000
PEAK_MIB_MAX = 500
"""What a host may have; it needs less than half of that."""

READER_PEAK_MIB_MAX = 100
"""What a host that only goes through lists may have, each of which alone is as large."""


@pytest.mark.fault(54)
@pytest.mark.parametrize("store", ["database", "folder"])
def test_a_map_over_an_array_of_200_megabytes(migrated_url: str, tmp_path: Path, store: str) -> None:
    """Made element by element, mapped over and reduced, through either blob store, in bounded memory."""
    blobs = "" if store == "database" else f"file://{tmp_path / 'blobs'}"
    said = _worked("streamed", migrated_url, blobs, COUNT, LENGTH)

    assert said["result"] == {"total": [COUNT * LENGTH] * 2}
    assert said["peak_mib"] < PEAK_MIB_MAX


def test_lists_that_were_whole_elsewhere_are_gone_through_in_bounded_memory(migrated_url: str, tmp_path: Path) -> None:
    """An input and the output of a step that returns a list, of 100 MB in a million elements each."""
    blobs = f"file://{tmp_path / 'blobs'}"
    assert _worked("lists", migrated_url, blobs, 1_000_000, 100)["result"] == 1_000_000
    said = _worked("pages", migrated_url, blobs, 0, 0)

    assert said["result"] == {"counted": [100_000_000] * 2}
    assert said["peak_mib"] < READER_PEAK_MIB_MAX


def _worked(part: str, url: str, blobs: str, count: int, length: int) -> dict[str, Any]:
    command = [sys.executable, large_worker.__file__, part, url, blobs, str(count), str(length)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said
