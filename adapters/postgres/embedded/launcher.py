"""Starts PostgreSQL under its watchdog and waits until it takes connections.

Everything here happens while the caller holds the opening lock and shares the users' lock, so nobody else
starts, joins or stops the server of this folder meanwhile, and the watchdog sees a user from its first moment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import attrs

from . import watchdog
from .binaries import Binaries
from .cluster import ensure_cluster, server_environment
from .data_folder import HOST, DataFolder, ServerState
from .errors import PortInUse, ServerBusy, ServerStartFailed
from .identity import identity_for
from .locks import Lock

START_TIMEOUT_S = 120.0
"""A server that recovers from a crash replays its log first, which may take long on a slow disk."""

READY_INTERVAL_S = 0.005
"""How often a starting server is asked whether it is ready; a warm start takes 30 ms."""

ORPHAN_PATIENCE_S = 2.0
"""Processes of a killed server end by themselves within this time."""

STOP_TIMEOUT_S = 90.0
"""Longer than the watchdog's ladder from a gentle to a forced stop."""

PORT_ATTEMPTS_MAX = 5
"""A port that was free a moment ago may be taken by the time PostgreSQL binds it."""

PID_BYTES_MAX = 20
"""A process id in decimal, and its line's end."""

UNSAFE_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""What `durable=False` means."""

OWN_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
    "port": "",
}
"""What callers may not set: where the server listens (`port` is filled in), and a log that errors can quote."""

LOST_PORT = "Address already in use"
"""What PostgreSQL writes into its log, always in English, when it cannot have its port."""


def launch_server(
    folder: DataFolder,
    wanted: ServerState,
    *,
    port: int | None,
    candidates: Iterable[Path],
    progress: Callable[[str], None],
) -> ServerState:
    """Start the server of a folder in which none runs.

    Args:
        folder: A prepared folder.
        wanted: How it shall run. Port and binaries in it are the preferred ones and may be replaced.
        port: The only port that will do; any free one where it is missing.
        candidates: Where to look for server programs.
        progress: Told what is being done.

    Returns:
        How it runs.

    Raises:
        PortInUse: `port` is another program's.
        ServerStartFailed: PostgreSQL ended, or was not ready in time.
        EmbeddedServerError: See `ensure_cluster` and `identity_for`.
    """
    _end_orphan(folder, progress)
    binaries = ensure_cluster(folder, candidates, durable=wanted.durable, progress=progress)
    progress(f"starting PostgreSQL {binaries.version}")
    preferred = wanted.port
    for _ in range(PORT_ATTEMPTS_MAX):
        chosen = port or _free_port(preferred)
        state = attrs.evolve(wanted, port=chosen, binaries=str(binaries.folder))
        with folder.access():
            folder.write_state(state)
            _launch(folder, binaries, state)
        if wait_until_ready(folder):
            return state
        log = folder.log_tail()
        if not any(LOST_PORT in line for line in log):
            raise ServerStartFailed(f"starting PostgreSQL in {folder.path}", log, "see its log")
        preferred = 0
        if port is not None:
            raise PortInUse(port)
    raise ServerStartFailed("finding a free port", folder.log_tail(), "give one with port=")


def wait_until_ready(folder: DataFolder) -> bool:
    """Wait for a server that is starting; false means that it ended instead.

    Raises:
        ServerStartFailed: It is not ready after `START_TIMEOUT_S`.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not folder.watchdog_lives():
            return False
        with folder.access():
            if folder.server_is_ready():
                return True
        time.sleep(READY_INTERVAL_S)
    advice = f"it was not ready after {START_TIMEOUT_S:.0f} s; try again, it may be recovering from a crash"
    raise ServerStartFailed(f"starting PostgreSQL in {folder.path}", folder.log_tail(), advice)


def end_server(folder: DataFolder) -> None:
    """Tell the watchdog to stop the server, and wait for the end of both.

    Raises:
        ServerBusy: It is still there after `STOP_TIMEOUT_S`.
    """
    told: str | None = None
    deadline = time.monotonic() + STOP_TIMEOUT_S
    with Lock.unheld(folder.watchdog_lock) as own:
        # One open file throughout: a folder that is discarded takes its path away before the watchdog ends.
        while not own.convert(exclusive=False):
            if time.monotonic() > deadline:
                raise ServerBusy(folder.watchdog_lock, STOP_TIMEOUT_S)
            # While the lock is held, the process id in the file is the watchdog's; a new one writes it soon.
            pid = os.pread(own.fileno(), PID_BYTES_MAX, 0).decode().strip()
            if pid and pid != told:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
                told = pid
            time.sleep(READY_INTERVAL_S)


def _end_orphan(folder: DataFolder, progress: Callable[[str], None]) -> None:
    """Wait for, and in the end stop, processes of a server whose watchdog is dead."""
    try:
        Lock.take(folder.server_lock, exclusive=True, timeout_s=ORPHAN_PATIENCE_S).close()
    except ServerBusy:
        progress("stopping a PostgreSQL that lost its watchdog")
        if (pid := folder.postmaster_pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        Lock.take(folder.server_lock, exclusive=True, timeout_s=STOP_TIMEOUT_S).close()


def _launch(folder: DataFolder, binaries: Binaries, state: ServerState) -> None:
    # The locks prove that no server of ours lives, so its pid file is stale; whatever process has that number
    # today must not keep PostgreSQL from starting, nor the old "ready" in it be taken for the new one's.
    (folder.data / "postmaster.pid").unlink(missing_ok=True)
    if folder.log_file.exists():
        folder.log_file.replace(folder.log_file.with_name("server.log.previous"))
    identity = identity_for(folder.data)
    log = os.open(folder.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        with (
            # Others may be looking at these locks for an instant, hence the second.
            Lock.take(folder.watchdog_lock, exclusive=True, timeout_s=1.0) as own,
            Lock.take(folder.server_lock, exclusive=True, timeout_s=1.0) as server,
        ):
            os.ftruncate(own.fileno(), 0)
            words: list[object] = [folder.path, own.fileno(), server.fileno()]
            words += [-1 if number is None else number for number in (identity.uid, identity.gid)]
            words += [*identity.prefix, *_server_command(folder, binaries, state)]
            subprocess.run(
                [sys.executable, "-I", "-S", watchdog.__file__, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(own.fileno(), server.fileno()),
                start_new_session=True,
                env=server_environment(os.environ),
                check=True,
            )
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        advice = f"see that {sys.executable} is a Python interpreter"
        raise ServerStartFailed("starting the watchdog", folder.log_tail(), advice) from error
    finally:
        os.close(log)


def _server_command(folder: DataFolder, binaries: Binaries, state: ServerState) -> list[str]:
    unsafe = {} if state.durable else UNSAFE_FAST
    settings = {**unsafe, **state.settings, **OWN_SETTINGS, "port": str(state.port)}
    command = [str(binaries.postgres), "-D", str(folder.data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def _free_port(preferred: int) -> int:
    """The preferred port where it is free (clients that lost the server find it again), otherwise any."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ServerStartFailed("finding a free port", [], "see that the loopback interface is up")
