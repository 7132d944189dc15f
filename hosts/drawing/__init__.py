"""Flows as pictures: in the terminal, as SVG, as Mermaid.

What there is to draw is said once, as a `Chart`: nodes, edges, and frames around the steps of a branch, all in words.
Mermaid takes it as it is. The two others need places:

    plan ── chart ──────────────────────────────── mermaid
              └── layout (layers, columns, channels) ── text, svg

The layout is that of layered graphs. `layers` puts every box below whatever it depends on, lets edges pass through
the layers between, and orders each layer so that few edges cross. `columns` finds the place of each box from left to
right, `channels` leads the edges through the space between two layers, in right angles. A frame is laid out by itself
first (`groups`, `wiring`) and then is a box among others, which edges enter and leave through its pins; that is
`layout`. It all reckons in whole numbers, of pixels or of characters (a `Measure`), and always gives the same picture
for the same flow.

Nothing here knows of kernels, stores or the command line, and nothing is imported from outside the standard library.
"""

from .chart import Chart, chart_of
from .mermaid import draw_mermaid
from .svg import draw_svg
from .text import draw_text

__all__ = ["Chart", "chart_of", "draw_mermaid", "draw_svg", "draw_text"]
