"""A map over an array of 200 MB in a process that never has it in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import large_worker

COUNT, LENGTH = 2_000, 100_000
PEAK_MIB_MAX = 500
"""What a host may have; it needs less than half of that."""


@pytest.mark.parametrize("store", ["database", "folder"])
def test_a_map_over_an_array_of_200_megabytes(migrated_url: str, tmp_path: Path, store: str) -> None:
    """Made element by element, mapped over and reduced, through either blob store, in bounded memory."""
    blobs = "" if store == "database" else f"file://{tmp_path / 'blobs'}"
    command = [sys.executable, large_worker.__file__, migrated_url, blobs, str(COUNT), str(LENGTH)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)

    assert said["result"] == {"total": [COUNT * LENGTH] * 2}
    assert said["peak_mib"] < PEAK_MIB_MAX
