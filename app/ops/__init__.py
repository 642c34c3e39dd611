"""What every process needs beside its work: settings, logs, metrics.

- settings: all settings, read from `SAGA_…` variables (kafka_settings has those of the Kafka clients)
- cluster_options: the options of commands that name a Kafka
- kafka_cluster: brokers, name prefix and security in one value, for the programs around the orchestrator
- logs: JSON lines on standard error; errors without their texts
- metrics: an HTTP endpoint for Prometheus, and the probes
- pid_file: which process works on a state folder
- errors: the error that ends a command with one sentence
"""
