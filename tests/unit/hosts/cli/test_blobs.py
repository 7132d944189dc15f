"""Where the command line finds large payloads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fairlead.adapters.s3 import FolderBlobs, InvalidBlobStore
from fairlead.hosts.cli.blobs import VARIABLE, BlobsNotShared, open_blobs
from fairlead.hosts.cli.command import DatabaseChoice, FairleadCommand, ports_options

WITHOUT_OBSTORE = "import sys; sys.modules['obstore'] = None; from fairlead.hosts.cli import main; main()"


@click.command(cls=FairleadCommand)
@ports_options
def place(choice: DatabaseChoice) -> None:
    """Say what was chosen."""
    click.echo(f"{choice.blobs} {choice.open}")


def test_the_option_is_part_of_the_choice() -> None:
    """And a choice that is made, as the database's address is."""
    runner = CliRunner()

    assert runner.invoke(place, ["--blobs", "s3://bucket/prefix"]).output == "s3://bucket/prefix False\n"
    assert runner.invoke(place, []).output == "None True\n"


async def test_the_option_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is needed: then payloads are in the database."""
    monkeypatch.delenv(VARIABLE, raising=False)
    nowhere = open_blobs(None)
    monkeypatch.setenv(VARIABLE, f"file://{tmp_path}/environment")
    by_environment, by_option = open_blobs(None), open_blobs(f"file://{tmp_path}/option")
    assert isinstance(by_environment, FolderBlobs)
    assert isinstance(by_option, FolderBlobs)
    await by_environment.put("a", b"1")
    await by_option.put("b", b"2")

    assert nowhere is None
    assert (tmp_path / "environment" / "a").read_bytes() == b"1"
    assert (tmp_path / "option" / "b").read_bytes() == b"2"


def test_what_no_other_process_sees_is_refused() -> None:
    """A payload in the memory of a command would be lost with it."""
    with pytest.raises(BlobsNotShared):
        open_blobs("memory://")
    with pytest.raises(InvalidBlobStore):
        open_blobs("/a/folder")


def test_without_obstore_a_command_says_what_to_install() -> None:
    """The world's fault: exit code 1, one sentence; the database is not asked."""
    words = ["runs", "show", "latest", "--database", "postgresql://127.0.0.1:1/none", "--blobs", "s3://bucket"]

    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_OBSTORE, *words], capture_output=True, text=True, timeout=60, check=False
    )

    assert (found.returncode, found.stdout) == (1, "")
    assert "pip install 'fairlead[s3]'" in found.stderr
    assert len(found.stderr.splitlines()) == 1
