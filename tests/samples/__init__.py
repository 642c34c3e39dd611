"""Tests of the samples.

- shop, participant, services: tests of the rooms of the same names
- test_cli: the commands that need no Kafka
- test_kafka_clients: the producer on a topic that was just created
- commands: commands as the orchestrator sends them
- wire: the orchestrator's side of the topics, and services running beside a test
"""
