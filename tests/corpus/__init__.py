"""The recorded corpus: what crosses Kafka for known inputs, kept as it was, so that no change to the wire is unseen."""
