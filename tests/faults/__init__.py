"""Faults on purpose: the failure catalogue, and what it takes to make a Kafka fail in a given way."""
