"""Shared by all tests: hypothesis profiles, and the fixtures of a real Kafka."""

from hypothesis import settings

pytest_plugins = ["tests.kafka_fixture"]

settings.register_profile("steady", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", database=None, deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("steady")  # the same examples on every machine; `--hypothesis-profile=explore` looks for new ones
