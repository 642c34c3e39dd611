"""Tests of what people do about sagas."""
