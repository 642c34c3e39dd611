"""The demo: a real Kafka, two orchestrators, a crash, and the proof that nothing was lost."""
