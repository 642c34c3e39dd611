"""Tests of what the benchmark computes, without Kafka."""
