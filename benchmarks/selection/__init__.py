"""Which operating point to use within a budget: what `pick` answers."""
