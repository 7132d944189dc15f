"""Commands that messages propose.

They are written in backticks, as they are typed; what is in capitals is for whoever types it to fill in. The command
line completes them with what it was called with: the database, and the kernel.
"""

from __future__ import annotations

import shlex

KERNEL = "MODULE:KERNEL"
"""Stands for the kernel that a command needs."""


def proposed(*words: str) -> str:
    """A command of `fairlead`, as it is typed."""
    return f"`fairlead {shlex.join(words)}`"
