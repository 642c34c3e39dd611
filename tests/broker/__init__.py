"""Tests on a real broker, with real processes."""
