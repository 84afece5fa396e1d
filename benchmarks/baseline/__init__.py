"""Exact costs of all methods, committed and compared."""
