"""The stream runtime: batches in, decisions out, one Kafka transaction each."""
