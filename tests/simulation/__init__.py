"""Worlds in one process: Kafka, participants, people and time are simulated, the orchestrator is real."""
