"""The one error of this room; its text is for the person at the keyboard."""


class DevKafkaError(Exception):
    """A local Kafka can't be had or has ended; the message says what to change."""
