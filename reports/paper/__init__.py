"""Text for papers and boards: LaTeX, Markdown, CSV, BibTeX."""
