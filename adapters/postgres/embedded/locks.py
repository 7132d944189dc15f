"""Locks that the kernel releases when their holders die.

An flock belongs to an open file, which children inherit and which closes with the last process that has it. So
"is anybody there" is asked of the lock, never of a list of process ids, and no kill can make the answer wrong.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from .errors import ServerBusy


class FolderVanished(Exception):
    """The folder of a lock is not there (any more): a temporary data folder was discarded meanwhile."""


POLL_INTERVAL_S = 0.01
"""How often a lock that somebody else holds is tried again; a start takes some hundred milliseconds."""


class Lock:
    """A lock that this process holds through one open file; closing the file gives it up."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd: int | None = fd

    @classmethod
    def unheld(cls, path: Path) -> Lock:
        """The lock's file, open and not locked; it is created where it is missing.

        Raises:
            FolderVanished: Its folder is missing.
        """
        try:
            return cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except FileNotFoundError as error:
            raise FolderVanished(path) from error

    @classmethod
    def attempt(cls, path: Path, *, exclusive: bool) -> Lock | None:
        """Take the lock if that is possible at once.

        Args:
            path: The lock file; it is created where it is missing.
            exclusive: Alone, or shared with others who want it shared.

        Returns:
            The lock, or nothing when somebody else's stands against it.
        """
        lock = cls.unheld(path)
        if lock.convert(exclusive=exclusive):
            return lock
        lock.close()
        return None

    @classmethod
    def take(cls, path: Path, *, exclusive: bool, timeout_s: float) -> Lock:
        """Take the lock, waiting for those who hold it.

        Raises:
            ServerBusy: It was not to be had within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while (lock := cls.attempt(path, exclusive=exclusive)) is None:
            if time.monotonic() > deadline:
                raise ServerBusy(path, timeout_s)
            time.sleep(POLL_INTERVAL_S)
        return lock

    def convert(self, *, exclusive: bool) -> bool:
        """Change between shared and exclusive without waiting; on refusal the lock is lost altogether."""
        mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(self.fileno(), mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the file still lies at its path, so that later comers meet this very lock."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self.fileno()))

    def fileno(self) -> int:
        """The open file, for handing it to a child."""
        if self._fd is None:
            raise ValueError(f"the lock {self.path} was given up")
        return self._fd

    def close(self) -> None:
        """Give this process's share up; a child that inherited the file keeps the lock alive."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Whether any living process holds the lock exclusively."""
    try:
        with Lock.unheld(path) as lock:
            return not lock.convert(exclusive=False)
    except FolderVanished:
        return False
