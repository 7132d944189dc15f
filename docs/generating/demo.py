"""The drawing of the demo's flow."""

from __future__ import annotations

from fairlead.hosts.demo import survey_folder
from fairlead.hosts.drawing import chart_of, draw_svg


def demo_drawing() -> str:
    """What `fairlead flows graph --kernel fairlead.hosts.demo:kernel --format svg` draws."""
    survey_folder.seal()
    return draw_svg(chart_of(survey_folder))
