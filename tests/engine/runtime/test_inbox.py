"""What the inbox does with the errors that the client returns among the records."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.engine.errors import NeedsRestart
from app.engine.runtime.inbox import Inbox


class FakeConsumer:
    """Returns one error, then nothing."""

    def __init__(self, code: int, topic: str | None) -> None:
        error = KafkaError(code, "why")
        self.events = [SimpleNamespace(error=lambda: error, topic=lambda: topic, partition=lambda: 0, offset=lambda: 7)]

    def poll(self, _: float) -> Any:
        """The error, once."""
        return self.events.pop() if self.events else None

    def consume(self, *_: object) -> list[Any]:
        """Nothing."""
        return []


def read(code: int, topic: str | None = "payment.replies") -> Inbox:
    """An inbox that has read this error."""
    assigned = SimpleNamespace(rebalances=1, tasks={}, group_name="group")
    inbox = Inbox(cast("Any", FakeConsumer(code, topic)), cast("Any", assigned), 10)
    inbox.read(0.0)
    return inbox


def test_an_input_that_a_broker_does_not_know_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Its metadata may be old. If the topic is gone, the rebalance that follows refuses to go on without it."""
    assert read(KafkaError.UNKNOWN_TOPIC_OR_PART).waiting == 0
    (line,) = caplog.records
    assert (line.message, line.__dict__["topic"]) == ("input topic not available", "payment.replies")


def test_an_input_that_can_not_be_read_any_further_ends_the_process() -> None:
    """Its next start says what is lost."""
    with pytest.raises(NeedsRestart, match=r"^payment.replies\[0\] can't be read any further: why$"):
        read(KafkaError._AUTO_OFFSET_RESET)


def test_an_error_of_the_whole_consumer_ends_the_process() -> None:
    """No topic is in it."""
    with pytest.raises(KafkaException):
        read(KafkaError._FATAL, None)


def test_the_end_of_a_partition_that_was_revoked_is_nothing() -> None:
    """There is no task to note it in."""
    assert read(KafkaError._PARTITION_EOF).waiting == 0
