"""How keys are named as files: different keys by different names, on every file system, and back again.

A folder's name ends with `+`, so that the blob `a` stands beside the folder of `a/b`. Names are written in lower case,
because some file systems take `Key` and `key` for one; which letters were capitals follows behind a `=` as a number
in hexadecimal, bit n for character n. `runs/7/Report.json` is the file `runs+/7+/report.json=1`.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from ...ports.blobs import is_blob_key

FOLDER_MARK = "+"
_CAPITALS_MARK = "="

_NAME = re.compile(r"(?P<letters>[a-z0-9._-]+)(?:=(?P<capitals>[1-9a-f][0-9a-f]*))?")


def path_of(key: str) -> PurePath:
    """Where the blob of a key is, relative to the store's folder."""
    *folders, leaf = key.split("/")
    return PurePath(*(_name_of(folder) + FOLDER_MARK for folder in folders), _name_of(leaf))


def segment_of(name: str) -> str | None:
    """The segment of a key that a file's name stands for, with a slash where it is a folder's; None if no key's."""
    slash = "/" if name.endswith(FOLDER_MARK) else ""
    found = _NAME.fullmatch(name.removesuffix(FOLDER_MARK))
    if found is None:
        return None
    capitals = int(found["capitals"] or "0", 16)
    segment = "".join(
        letter.upper() if capitals >> place & 1 else letter for place, letter in enumerate(found["letters"])
    )
    is_its_name = _name_of(segment) == name.removesuffix(FOLDER_MARK)
    return segment + slash if is_its_name and is_blob_key(segment) else None


def _name_of(segment: str) -> str:
    capitals = sum(1 << place for place, letter in enumerate(segment) if letter.isupper())
    return segment.lower() + (f"{_CAPITALS_MARK}{capitals:x}" if capitals else "")
