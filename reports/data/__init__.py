"""Records of runs as typed tables, and what is computed of them: no drawing, no markup."""
