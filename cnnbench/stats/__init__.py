"""Intervals, tests and plans: arrays in, numbers out. No records, no files."""
