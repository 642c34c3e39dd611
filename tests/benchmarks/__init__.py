"""Throughput and latency of the product beside its peers: `make bench`."""
