"""What a page shows of a command's output, compared with what came: ids, times and durations differ each time."""

from __future__ import annotations

import re
from collections.abc import Sequence

REST = "…"
"""On a line of its own any lines, within a line any text: what a page leaves out."""

_PARTS = re.compile(
    r"(?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    r"|(?P<moment>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<clock>\b\d\d:\d\d:\d\d(?:[.,]\d+)?(?!\d))"
    r"|(?P<duration>\b\d+(?:\.\d+)? ?(?:ms|s|min|h)\b)"
    r"|(?P<rest>…)"
    r"|(?P<space>\s+)"
)
_UNLIKE = {
    "id": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "moment": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:\d\d)?",
    "clock": r"\d\d:\d\d:\d\d(?:[.,]\d+)?",
    "duration": r"\d+(?:\.\d+)? ?(?:ms|s|min|h)",
    "rest": r".*?",
    "space": r"\s+",
}


class Ids:
    """Which real id each id on a page stands for. What stands for one thing once stands for it to the end."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def in_command(self, command: str) -> str:
        """A page's command with the real ids."""
        return _PARTS.sub(lambda part: self._real.get(part[0], part[0]), command)

    def match(self, shown: str, line: str) -> bool:
        """Whether a line came as a page shows it; if so, its ids are known from now on."""
        names: dict[str, str] = {}
        pattern, end = "", 0
        for part in _PARTS.finditer(shown):
            pattern += re.escape(shown[end : part.start()]) + self._pattern(part, names)
            end = part.end()
        found = re.fullmatch(pattern + re.escape(shown[end:]), line.rstrip())
        if found is None:
            return False
        self._real.update({shown_id: found[name] for shown_id, name in names.items()})
        return True

    def _pattern(self, part: re.Match[str], names: dict[str, str]) -> str:
        kind = part.lastgroup
        assert kind is not None
        if kind != "id":
            return _UNLIKE[kind]
        if part[0] in self._real:
            return re.escape(self._real[part[0]])
        if part[0] in names:
            return f"(?P={names[part[0]]})"
        names[part[0]] = f"id{len(names)}"
        return f"(?P<{names[part[0]]}>{_UNLIKE['id']})"


def unlike(shown: Sequence[str], lines: Sequence[str], ids: Ids, *, whole: bool = True) -> str | None:
    """Return how output differs from what a page shows of it; None where it does not.

    Args:
        shown: the page's lines.
        lines: what came.
        ids: grows by those that are met.
        whole: whether nothing may come after what is shown.
    """
    place = 0
    skipping = False
    for each in shown:
        if each.strip() == REST:
            skipping = True
            continue
        while place < len(lines) and skipping and not ids.match(each, lines[place]):
            place += 1
        if place >= len(lines) or not ids.match(each, lines[place]):
            return f"the page shows\n  {each}\nbut there came\n" + "\n".join(f"  {line}" for line in lines)
        place, skipping = place + 1, False
    if whole and not skipping and place < len(lines):
        return "the page does not show\n" + "\n".join(f"  {line}" for line in lines[place:])
    return None
