"""The audit: recordings, and a checker that finds every wrong one."""
