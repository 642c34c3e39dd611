"""The report: totals, and their text."""
