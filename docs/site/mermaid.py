"""The Sphinx extension that draws the state charts of the pages."""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from .state_chart import NotAStateChart, draw_state_chart, read_state_chart


class Mermaid(SphinxDirective):
    """A fence with the language `mermaid`: a picture instead of its text."""

    has_content: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """The picture, or the reason why there is none."""
        try:
            chart = read_state_chart("\n".join(self.content))
        except NotAStateChart as problem:
            raise self.error(str(problem)) from problem
        title = f"State chart: {', '.join(chart.states)}. The table below says the same."
        return [nodes.raw("", draw_state_chart(chart, title), format="html")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive, as Sphinx asks for it."""
    app.add_directive("mermaid", Mermaid)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
