"""Tests with real pod and service processes on a real broker."""
