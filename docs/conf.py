"""How Sphinx makes the site: `make site`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "Fairlead"
author = "the authors of Fairlead"
project_copyright = author
release = version = installed_version("fairlead")

extensions = ["myst_parser", "sphinx_copybutton", "docs.site.mermaid"]
exclude_patterns = ["**/*.py"]
nitpicky = True

myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "Fairlead"
html_static_path = ["site/static"]
html_css_files = ["fairlead.css"]
html_copy_source = False
html_show_sourcelink = False

pygments_style = "friendly"
pygments_dark_style = "native"

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True
