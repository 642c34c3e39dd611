"""The error of the local Kafka."""


class DevKafkaError(Exception):
    """A local Kafka can't be installed or started, or has ended. The message says what to change."""
