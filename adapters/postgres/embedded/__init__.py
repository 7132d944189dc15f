"""A PostgreSQL server that comes with the program: no installation, no service, nothing left behind.

    with EmbeddedServer.open() as server:
        url = server.ensure_database("fairlead")

It takes the server programs of a wheel (`fairlead[embedded]`) or of the system, creates a cluster in the data
folder the first time, and starts PostgreSQL on a port of 127.0.0.1. Whoever opens the same folder meanwhile, in
this process or another, joins the same server. When the last of them leaves or dies, it stops. It works for
ordinary users and for root, on Linux and macOS.

**Who lives for whom.** Three kinds of process, four locks in `FOLDER/locks`. A lock is an flock: the kernel gives it
up when its holders are gone, however they went, so every answer below holds after SIGKILL too.

    user ──shares──────────────► users ◄──waits to have it alone── watchdog ──parent of──► PostgreSQL
    user ──holds, for a moment──► opening                             │                        │
                                                    watchdog ◄──holds─┘           server ◄──holds┘

- `opening` makes starting, joining, leaving last and stopping one at a time. Two processes that open at the same
  moment: one starts the server, the other waits for the lock and finds it running.
- `users` is shared by every `EmbeddedServer` for as long as it is open. The watchdog, PostgreSQL's parent in a session
  of its own (Ctrl-C does not reach it), sleeps in the kernel until it gets this lock for itself: then nobody is
  left, and it stops PostgreSQL with SIGINT, the fast stop. A server that is to stay (`start_server`) is stopped by
  `stop_server` alone.
- `watchdog` is held by the watchdog. While it is held, the process id in it is the watchdog's and may be signalled.
- `server` is inherited by PostgreSQL's processes. It tells a stale `postmaster.pid` from a living server.

**When something dies.** A user: its share of `users` is gone; the watchdog acts if it was the last. PostgreSQL: the
watchdog ends as well, and the next `open` starts both again on the same port; PostgreSQL recovers by its log. The
watchdog: on Linux the kernel sends PostgreSQL the fast stop (elsewhere it runs on until the next `open`, which stops
it); the next `open` starts both. A process in the midst of creating the cluster: a staging folder is left, which the
next start removes; the cluster appears by one rename. Time from the last user's death to a free port:
wake-up + fast stop, some 50 ms, and 80 s at most, when PostgreSQL has to be killed.

**Why TCP with a password.** A URL with host and port works for every driver and tool; a Unix socket was no faster in
round trips (60 µs each way of connecting) and its path is limited to 107 bytes. On a machine with several users
everybody may connect to a loopback port, and a superuser's session can run programs, so `trust` is out of the
question: the password is random, costs nothing at initdb and 2 ms per new connection, and lies in the folder for
its owner alone.

**Root.** PostgreSQL refuses to run as root. In a user namespace root's files look like an ordinary user's, and
nothing has to change hands. Where namespaces are forbidden the cluster belongs to `nobody`, and the folder must be
one that this user can reach.

The data folder must lie on a local disk: flock over a network is another thing.
"""

from .binaries import OLDEST_MAJOR, Binaries, candidate_folders, find_binaries
from .control import ServerStatus, server_status, server_url, start_server, stop_server
from .data_folder import default_folder
from .errors import (
    ClusterVersionMismatch,
    DataFolderUnusable,
    EmbeddedServerError,
    InvalidDatabaseUrl,
    InvalidServerOption,
    NoServerBinaries,
    PortInUse,
    ServerBusy,
    ServerConflict,
    ServerNotRunning,
    ServerStartFailed,
)
from .resolution import ResolvedDatabase, resolve_database_url
from .server import EmbeddedServer

__all__ = [
    "OLDEST_MAJOR",
    "Binaries",
    "ClusterVersionMismatch",
    "DataFolderUnusable",
    "EmbeddedServer",
    "EmbeddedServerError",
    "InvalidDatabaseUrl",
    "InvalidServerOption",
    "NoServerBinaries",
    "PortInUse",
    "ResolvedDatabase",
    "ServerBusy",
    "ServerConflict",
    "ServerNotRunning",
    "ServerStartFailed",
    "ServerStatus",
    "candidate_folders",
    "default_folder",
    "find_binaries",
    "resolve_database_url",
    "server_status",
    "server_url",
    "start_server",
    "stop_server",
]
