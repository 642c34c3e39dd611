"""Tests of the stream runtime."""
