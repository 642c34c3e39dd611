"""The order saga orchestrator: one room per concern, and imports that point one way (the contracts in pyproject.toml).

- saga: the pure core: definitions, states, one decision table
- wire: bytes to messages and back: topics, CloudEvents, strict JSON, schemas
- engine: the runtime on quixstreams and RocksDB: batches, transactions, state
- runner: assembles a pod from settings, engine and topology
- ops, kafka_access: settings, logs, metrics; the way to the brokers
- saga_metrics: the statistics of a pod's partitions for Prometheus
- operators: retry, skip, compensate, and the list of stuck steps
- audit: proves from the topics alone that the invariants hold
- samples, demo, devkafka: sample services and orders, the demo, a local Kafka
- cli: the `saga` command
"""
