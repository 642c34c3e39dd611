"""The saga's stream: requests, replies and operations, joined by order id with the saga's state; decisions out."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, message_context
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Serializer, Topic

from app.engine.turn import Record, Turns
from app.wire.topics import Topics
from app.wire.writer import Origin, Out


class OutBytes(Serializer):
    """An output carries its bytes ready-made."""

    def __call__(self, value: Out, **_: Any) -> bytes | None:  # type: ignore[override]
        """The record's value; None is a tombstone."""
        return value.value


def orchestrate(app: Application, topics: Topics, turns: Turns, clock: Callable[[], int]) -> StreamingDataFrame:
    """Draws the whole flow; runs on any quixstreams Application whose state holds sagas."""

    def topic(name: str) -> Topic:
        return app.topic(topics.full(name), "bytes", "bytes", OutBytes(), "bytes")

    inputs = {name.name: topic(name.name) for name in topics.inputs}
    outputs = inputs | {
        name.name: topic(name.name) for name in topics.outputs
    }  # an input is where strays are sent on to
    contract_name = {at.name: name for name, at in inputs.items()}

    def turn(value: bytes | None, key: bytes | None, timestamp: int, headers: Any, state: Any) -> list[Out]:
        at = message_context()
        record = Record(Origin(at.topic, at.partition, at.offset, timestamp), key, value, headers)
        return turns.take(contract_name[at.topic], record, state, clock())

    inbox, *others = (app.dataframe(at) for at in inputs.values())
    for other in others:
        inbox = inbox.concat(other)
    decided = inbox.apply(turn, stateful=True, expand=True, metadata=True)
    decided = decided.set_headers(lambda out, *_: out.headers)
    return decided.to_topic(lambda out, *_: outputs[out.topic])
