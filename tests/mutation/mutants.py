"""Mutants: what mutmut has written, and what came of each."""

from __future__ import annotations

import ast
import difflib
import json
import re
import textwrap
from collections.abc import Container, Iterator
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from attrs import frozen

MUTANTS = "mutants"
"""Where mutmut writes, below the tree."""

CLASS = "ǁ"
"""What mutmut puts around the name of a class."""


class Outcome(StrEnum):
    """What came of a mutant."""

    KILLED = "killed"
    """A test failed, or hung."""
    SURVIVED = "survived"
    UNTESTED = "no test"
    """No test calls the function."""
    UNCLEAR = "unclear"
    """It ended as nobody foresaw."""
    UNPLAYED = "not played"


OUTCOMES: dict[int | None, Outcome] = {
    None: Outcome.UNPLAYED,
    0: Outcome.SURVIVED,
    1: Outcome.KILLED,
    2: Outcome.UNPLAYED,  # Ctrl-C
    3: Outcome.KILLED,  # an internal error of pytest
    4: Outcome.KILLED,  # a module of tests cannot even be imported
    5: Outcome.UNTESTED,
    33: Outcome.UNTESTED,  # mutmut has not asked pytest
    -24: Outcome.KILLED,  # SIGXCPU: out of time
    -11: Outcome.KILLED,
    -9: Outcome.KILLED,
}
"""By the exit code that mutmut notes; of all others nobody can say."""


@frozen(kw_only=True)
class Mutant:
    """A function in which one thing is changed."""

    name: str
    """As mutmut calls it: `fairlead.kernel.plan.x_length__mutmut_3`."""
    path: str
    """Of the module, from the root: `kernel/plan.py`."""
    function: str
    """`length`, `Plan.step`."""
    original: str
    changed: str

    @property
    def package(self) -> str:
        """`kernel/decisions`; `kernel` for the modules beside the packages."""
        return self.path.rpartition("/")[0]

    @property
    def is_message(self) -> bool:
        """Whether nothing but the words of a message are changed."""
        # mutmut puts X around a text, or changes its case; parsing everything else would take a minute.
        like_a_text = _folded(self.original) == _folded(self.changed)
        return like_a_text and _without_words(self.original) == _without_words(self.changed)

    @property
    def difference(self) -> str:
        """What is changed, with a line around it."""
        lines = difflib.unified_diff(self.original.splitlines(), self.changed.splitlines(), lineterm="", n=1)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def read_mutants(tree: Path) -> Iterator[Mutant]:
    """All mutants that are listed in the tree."""
    for listed in _lists(tree):
        path = str(listed.relative_to(tree / MUTANTS)).removesuffix(".meta")
        lines = (tree / MUTANTS / path).read_text(encoding="utf-8").splitlines(keepends=True)
        spans = json.loads((tree / MUTANTS / f"{path}.spans").read_text(encoding="utf-8"))["spans"]
        sources = {name: textwrap.dedent("".join(lines[first - 1 : last])) for name, (first, last) in spans.items()}
        for name in json.loads(listed.read_text(encoding="utf-8"))["exit_code_by_key"]:
            mangled = name.rpartition(".")[2]
            original = mangled.partition("__mutmut_")[0] + "__mutmut_orig"
            yield Mutant(
                name=name,
                path=path.partition("/")[2],
                function=_function(mangled),
                original=_named(sources[original], original),
                changed=_named(sources[mangled], mangled),
            )


def keep(tree: Path, names: Container[str]) -> None:
    """Take from the lists of the tree whatever is not among `names`, so that it is not played."""
    for listed in _lists(tree):
        content = json.loads(listed.read_text(encoding="utf-8"))
        codes = content["exit_code_by_key"]
        content["exit_code_by_key"] = {name: code for name, code in codes.items() if name in names}
        listed.write_text(json.dumps(content), encoding="utf-8")


def read_outcomes(tree: Path) -> dict[str, Outcome]:
    """What came of each mutant that is listed."""
    codes: dict[str, int | None] = {}
    for listed in _lists(tree):
        codes |= json.loads(listed.read_text(encoding="utf-8"))["exit_code_by_key"]
    return {name: OUTCOMES.get(code, Outcome.UNCLEAR) for name, code in codes.items()}


def _lists(tree: Path) -> list[Path]:
    return sorted((tree / MUTANTS).rglob("*.meta"))


def _function(mangled: str) -> str:
    name = mangled.partition("__mutmut_")[0]
    return ".".join(name.split(CLASS)[1:]) if CLASS in name else name.removeprefix("x_")


def _named(source: str, mangled: str) -> str:
    return source.replace(mangled, _function(mangled).rpartition(".")[2], 1).strip("\n") + "\n"


def _folded(source: str) -> str:
    return re.sub("xx", "", source.casefold())


@lru_cache(maxsize=64)
def _without_words(source: str) -> str:
    class Words(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("") if isinstance(node.value, str) and " " in node.value else node

    return ast.dump(Words().visit(ast.parse(source)))
