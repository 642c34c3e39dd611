"""The stream graph of a saga: requests, replies and operations joined by order id, timers, capacity; decisions out."""

from collections.abc import Callable
from typing import Any, Protocol

from quixstreams import message_context
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Serializer, Topic

from app.engine.processor import Record, SagaProcessor
from app.wire.topics import Topics
from app.wire.writer import Origin, OutputRecord


class StreamApplication(Protocol):
    """The part of quixstreams' Application that is used here, plus the engine's timers and capacity."""

    @property
    def topic(self) -> Callable[..., Topic]:
        """Declares a topic."""

    @property
    def dataframe(self) -> Callable[..., StreamingDataFrame]:
        """A dataframe of a topic."""

    def clock(self) -> int:
        """The time of the decision being made (ms since 1970)."""

    def on_timer(self, handler: Any) -> None:
        """Registers the handler of due timers."""

    def on_capacity(self, handler: Any) -> None:
        """Registers the handler of free capacity at a participant."""


class OutputBytes(Serializer):
    """Passes an output's value through: it is bytes already."""

    def __call__(self, value: OutputRecord, **_: Any) -> bytes | None:  # type: ignore[override]
        """The record's value; None is a tombstone."""
        return value.value


def orchestrate(app: StreamApplication, topics: Topics, processor: SagaProcessor) -> StreamingDataFrame:
    """Builds the stream graph: three kinds of input topics, due timers and free capacity lead to decisions."""

    def topic(name: str) -> Topic:
        return app.topic(topics.full(name), "bytes", "bytes", OutputBytes(), "bytes")

    inputs = {each.name: topic(each.name) for each in topics.inputs}
    outputs = inputs | {each.name: topic(each.name) for each in topics.outputs}  # inputs: for misrouted records
    name_without_prefix = {each.name: name for name, each in inputs.items()}

    def process(value: bytes | None, key: bytes | None, timestamp: int, headers: Any, state: Any) -> list[OutputRecord]:
        context = message_context()
        record = Record(Origin(context.topic, context.partition, context.offset, timestamp), key, value, headers)
        return processor.on_record(name_without_prefix[context.topic], record, state, app.clock())

    joined, *others = (app.dataframe(each) for each in inputs.values())
    for other in others:
        joined = joined.concat(other)
    decided = joined.apply(process, stateful=True, expand=True, metadata=True)
    app.on_timer(processor.on_timer)
    app.on_capacity(processor.on_capacity)
    # The stock Application takes headers and topic from these two; the engine takes them from the output itself.
    decided = decided.set_headers(lambda out, *_: out.headers)
    return decided.to_topic(lambda out, *_: outputs[out.topic])
