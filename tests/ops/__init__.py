"""Tests of settings, logs and metrics."""
