"""Fault injection on a real cluster: pods killed or paused at any point, broker and network faults, and the audit."""
