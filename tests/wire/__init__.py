"""Tests of the wire contract, to the byte."""
