"""The stream graph, and the sagas that run on it."""
