"""The watchdog: PostgreSQL's parent, which stops it as soon as nobody uses it any more.

It is run as a script of its own (`python -I -S watchdog.py …`), so it outlives whoever started it and knows
nothing but the standard library. It must not talk to anybody except through locks, signals and exit.

It holds the watchdog's lock, starts PostgreSQL as its child and waits for the first of three things:
the users' lock becoming free (nobody is left), SIGTERM or SIGINT (somebody stops the server), SIGCHLD (the
server ended by itself). In the first two cases it stops the server and waits for its end.
"""

from __future__ import annotations

import _thread
import ctypes
import fcntl
import os
import signal
import sys
import time

STOP_LADDER = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""PostgreSQL's fast stop, its immediate stop, and the end, each with the seconds it is given."""

REAP_INTERVAL_S = 0.005
"""How often the stopping server is asked whether it has ended."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal a process gets when its parent dies (prctl(2))."""

WAKING = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def main(arguments: list[str]) -> None:
    """Become a daemon, run the command under guard, and end after it.

    Args:
        arguments: The data folder; the inherited file descriptors of the watchdog's and the server's lock; user
            and group to become (−1 for the present ones); and the command.
    """
    folder, own_lock, server_lock, uid, gid = arguments[0], *(int(word) for word in arguments[1:5])
    if os.fork():
        # Whoever started the watchdog waits for this process alone and keeps no child behind.
        os._exit(0)
    os.chdir("/")
    os.set_inheritable(own_lock, False)
    os.write(own_lock, f"{os.getpid()}\n".encode())
    # Blocked signals wait for sigwait below: none can be lost between two lines.
    for number in WAKING:
        signal.signal(number, ignore)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    server = start(arguments[5:], server_lock, uid, gid)
    _thread.start_new_thread(wait_until_unused, (folder,))
    while signal.sigwait(WAKING) == signal.SIGCHLD:
        if has_ended(server):
            return
    stop(server)
    if recalls(folder, "discard"):
        discard(folder)


def ignore(_number: int, _frame: object) -> None:
    """Handle a signal by doing nothing: without a handler some systems drop it instead of keeping it."""


def start(command: list[str], server_lock: int, uid: int, gid: int) -> int:
    """Start the server as a child that hears of this process's death and inherits the server's lock alone.

    Returns:
        The child's process id.
    """
    libc = ctypes.CDLL(None)
    watchdog = os.getpid()
    server = os.fork()
    if server:
        os.close(server_lock)
        return server
    try:
        if uid >= 0:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() == watchdog:
            # A session of its own: signals meant for the watchdog's group must not reach the server first.
            os.setsid()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
            os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"could not run {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def wait_until_unused(folder: str) -> None:
    """Wait until nobody holds the users' lock, then end the server, unless it is to stay."""
    users = os.open(os.path.join(folder, "locks", "users"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        # Without locks there is no telling whether anybody is left; a server nobody guards must not stay.
        if recalls(folder, "stay"):
            os.close(users)
        else:
            os.kill(os.getpid(), signal.SIGTERM)


def recalls(folder: str, option: str) -> bool:
    """What the folder's state says about a yes-or-no option."""
    import json

    try:
        with open(os.path.join(folder, "server.json"), encoding="utf-8") as state:
            return bool(json.load(state)[option])
    except (OSError, ValueError, LookupError):
        return False


def stop(server: int) -> None:
    """End the server, gently first, and wait for its end."""
    for number, patience_s in STOP_LADDER:
        os.kill(server, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if has_ended(server):
                return
            time.sleep(REAP_INTERVAL_S)


def has_ended(server: int) -> bool:
    """Whether the child has ended; the kernel forgets it with the answer."""
    return os.waitpid(server, os.WNOHANG)[0] == server


def discard(folder: str) -> None:
    """Delete a data folder. It is renamed first: whoever opens it anew finds none, not half of one."""
    import shutil

    doomed = f"{folder}.discarded-{os.getpid()}"
    try:
        os.rename(folder, doomed)
    except OSError:
        doomed = folder
    shutil.rmtree(doomed, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
