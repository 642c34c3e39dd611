"""Tests of `saga traces`."""
