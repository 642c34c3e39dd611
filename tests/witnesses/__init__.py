"""Outside witnesses of lag: what Kafka's own tool, franz-go, KEDA and Prometheus see of a pod on a real broker."""
