"""Pictures: the frontier of a run, figures for papers, sheets of example images."""
