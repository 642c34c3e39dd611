"""Tests of the sagas that are written as data."""
