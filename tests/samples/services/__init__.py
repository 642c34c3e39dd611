"""Tests of the sample services against the definitions of the sagas."""
