"""Hostile records by the thousand through all that one record leads to, judged by what may never happen."""
