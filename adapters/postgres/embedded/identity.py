"""As whom the server's programs run. PostgreSQL refuses root, and initdb refuses a user without a name."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from attrs import frozen

from .errors import EmbeddedServerError

NAMELESS_USER = "nobody"
"""The account that nearly every system has and that owns nothing."""

PROBE_TIMEOUT_S = 10.0
"""Entering a namespace takes milliseconds."""


@frozen(kw_only=True)
class Identity:
    """How to start a program so that PostgreSQL accepts it."""

    prefix: tuple[str, ...] = ()
    """Words to put before the command; they enter a user namespace."""
    uid: int | None = None
    """The user to become, where that is not the present one."""
    gid: int | None = None


def identity_for(data: Path) -> Identity:
    """As whom to run the server of a data folder.

    An ordinary user runs it as themselves. A cluster of root's own runs in a user namespace, where root's files
    seem to belong to an ordinary user; where namespaces are forbidden, as in many containers, a new cluster
    belongs to `nobody`. An existing cluster that belongs to another user is run as that user.

    Args:
        data: The cluster; it need not exist yet.

    Raises:
        EmbeddedServerError: None of these ways is open.
    """
    root = os.geteuid() == 0
    owner = data.stat() if root and data.exists() else None
    if owner is not None and owner.st_uid != 0:
        return Identity(uid=owner.st_uid, gid=owner.st_gid)
    if not root and _has_name(os.geteuid()):
        return Identity()
    if namespaces_allowed():
        return Identity(prefix=_namespace_prefix())
    if root and owner is None:
        account = _unprivileged_account()
        return Identity(uid=account.pw_uid, gid=account.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as user {os.geteuid()}, and user namespaces are not allowed here; run as an "
        "ordinary user that /etc/passwd names, or set DATABASE_URL to a database that is already there"
    )


def namespaces_allowed() -> bool:
    """Whether a program may be started in a user namespace of its own."""
    try:
        command = [*_namespace_prefix(), "true"]
        probe = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def _namespace_prefix() -> tuple[str, ...]:
    account = _unprivileged_account()
    unshare = shutil.which("unshare") or "unshare"
    return (unshare, "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}")


def _unprivileged_account() -> pwd.struct_passwd:
    """`nobody`, or on a system without it any account that is not root: initdb wants one with a name."""
    others = [account for account in pwd.getpwall() if account.pw_uid != 0]
    named = [account for account in others if account.pw_name == NAMELESS_USER]
    if not others:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and /etc/passwd names no other user; add one, "
            "or set DATABASE_URL to a database that is already there"
        )
    return (named or others)[0]


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
