"""Where large payloads are, if not in the database: `--blobs`, else `FAIRLEAD_BLOBS`.

Everybody who works on a database needs the same place: who looks elsewhere does not find what another has written.
"""

from __future__ import annotations

import os

from ...ports import BlobStore
from ...ports.errors import UsageError

VARIABLE = "FAIRLEAD_BLOBS"


class BlobsNotShared(UsageError):
    """A place of blobs was named that no other process can look into."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"{url} is gone with this command: name a bucket, or a folder as file:///folder")


def open_blobs(option: str | None) -> BlobStore | None:
    """The blob store that the command line or else the environment names; None for the database's own.

    Nothing is connected yet.

    Args:
        option: the address on the command line.

    Raises:
        UsageError: the address is none.
        AdapterError: what it needs is not installed.
    """
    url = option or os.environ.get(VARIABLE)
    if not url:
        return None
    from ...adapters.s3 import object_blobs

    if url.partition(":")[0] == "memory":
        raise BlobsNotShared(url)
    return object_blobs(url)
