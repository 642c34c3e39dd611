"""Tests of logs and metrics; those of settings are in tests/engine/test_settings.py and tests/security."""
