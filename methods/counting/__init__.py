"""Counting multiply-accumulates by executing: what torch's dispatcher runs, refused where it is not known."""

from methods.counting.counter import Count, count, refuse_scripts

__all__ = ["Count", "count", "refuse_scripts"]
