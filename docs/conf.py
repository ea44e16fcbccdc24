"""The documentation as pages to read: `sphinx-build docs build/site`, then open build/site/index.html."""

import os
import sys
from pathlib import Path

import tinyseq

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for _site, which writes the pages that are made from code

# Kernels of the notebooks inherit these: compiling costs seconds that small models do not earn back.
os.environ.setdefault("TINYSEQ_EMITTER", "numpy")
os.environ.setdefault("MATPLOTLIBRC", str(HERE / "_site" / "matplotlibrc"))

project = "tinyseq"
author = "The tinyseq authors"
project_copyright = "2026, The tinyseq authors"
version = release = tinyseq.__version__

extensions = ["myst_nb", "_site"]
exclude_patterns = ["_site", "examples", "**.ipynb_checkpoints"]
myst_heading_anchors = 3
nb_execution_mode = "cache"  # a notebook runs again when its code changes
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True

nitpick_ignore_regex = [("py:class", r"(?!tinyseq).*")]  # types of others: no inventory is fetched
python_maximum_signature_line_length = 88
highlight_language = "none"
html_theme = "furo"
html_title = "tinyseq"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
