"""The offline page of a run or of many, and the site of many pages."""
