"""Recordings: read from Kafka, and kept as files."""
