"""Tests of the sagas that the product comes with."""
