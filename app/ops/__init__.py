"""Settings and logs of whatever runs."""
