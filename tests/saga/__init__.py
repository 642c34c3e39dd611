"""Tests of the pure core: stories, the failure catalogue, the decision table, and properties of random sagas."""
