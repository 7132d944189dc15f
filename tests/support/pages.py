r"""Pages of the documentation, read as what they tell a reader to do, and done.

The blocks of a page are carried out in order, in a folder of the page's own:

- A `python` block whose first line is a comment with a file's name, as in `# orders.py`, is written to that file;
  `# orders.py, further down` is added to it. Any other `python` block is executed, in one module per page.
- A `console` block holds commands after `$ ` and what they write. What a page shows of it must come, and nothing else.
- A `text` block is what the page's Python blocks have printed since the last one.
- Every other block is only read.

A comment before a block says what cannot be seen in it: `<!-- not run: why -->`, `<!-- exit code: 2 -->`, and
`<!-- terminal: worker -->` for commands that stay while the page goes on elsewhere; there, `^C` and `^\\` are the keys
that end them.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n+)?^```(?P<language>[\w{}]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_FILE = re.compile(r"# (?P<name>[\w/]+\.\w+)(?P<more>, further down)?\n")
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?", re.MULTILINE)
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""The pages of a checkout beside those of `docs/`. Other files at its root are somebody's: `make demo` writes one."""

KEYS = {"^C": signal.SIGINT, "^\\": signal.SIGQUIT}
"""What a terminal does where Ctrl and a key are pressed."""


def pages_of(checkout: Path) -> list[Path]:
    """All that is written for readers, in a checkout."""
    return [*(checkout / name for name in AT_THE_ROOT), *sorted((checkout / "docs").rglob("*.md"))]


@frozen(kw_only=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.page.name}, line {self.line}"

    @property
    def not_run(self) -> bool:
        """Whether the page says why it is not."""
        return self.note.startswith("not run: ")

    @property
    def exit_code(self) -> int:
        """What its last command ends with."""
        return int(self.note.removeprefix("exit code: ")) if self.note.startswith("exit code: ") else 0

    @property
    def terminal(self) -> str | None:
        """The terminal that its commands are given in, if it is not the reader's first."""
        return self.note.removeprefix("terminal: ") if self.note.startswith("terminal: ") else None

    @property
    def file(self) -> tuple[str, bool] | None:
        """The file that it belongs into, and whether there is some of it already."""
        found = _FILE.match(self.text)
        return None if found is None else (found["name"], found["more"] is not None)

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """The commands of a `console` block, or one of `KEYS`, each with the lines that it writes."""
        before, *rest = _COMMAND.split(self.text)
        if before:
            first, *lines = before.splitlines()
            assert first in KEYS, f"{self}: a console block begins with '$ ' or one of {', '.join(KEYS)}"
            yield first, lines
        for command, output in zip(rest[::2], rest[1::2], strict=True):
            yield command.replace("\\\n", ""), output.splitlines()


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            note=found["note"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]
