"""The drawing of the flow that the tutorial writes."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from fairlead.hosts.drawing import chart_of, draw_svg

_PAGE = Path(__file__).parents[1] / "tutorials" / "first-flow.md"
_PARTS = re.compile(r"^```python\n# digest\.py\b.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def tutorial_drawing() -> str:
    """What `fairlead flows graph --output digest.svg` draws of the tutorial's file."""
    module = ModuleType("digest")
    parts = _PARTS.findall(_PAGE.read_text(encoding="utf-8"))
    exec(compile("\n".join(parts), "digest.py", "exec", dont_inherit=True), vars(module))
    flow = module.digest
    flow.seal()
    return draw_svg(chart_of(flow))
