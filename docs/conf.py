# Sphinx reads the same Markdown that a forge shows.
project = "pytest-gotest"
extensions = ["myst_parser"]
root_doc = "README"
html_theme = "alabaster"
myst_heading_anchors = 4
# The index is a plain list of links; tests/test_docs.py sees that no page is missing from it.
suppress_warnings = ["toc.not_included"]
