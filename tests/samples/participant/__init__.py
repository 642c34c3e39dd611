"""Tests of a participant: its answers, its ledger, its faults, and its loop on a real Kafka."""
