"""What every process needs beside its work: settings, logs, metrics.

- settings: all settings, read from `SAGA_…` variables (kafka_settings has those of the Kafka clients)
- kafka_cluster: brokers, name prefix and security in one value, for the programs around the orchestrator
- logs: JSON lines on standard error; errors without their texts
- metrics: an HTTP endpoint for Prometheus
- errors: the error that ends a command with one sentence
"""
