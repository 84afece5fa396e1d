"""Intervals, tests and frontiers: pure functions over numbers."""
