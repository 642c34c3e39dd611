"""Produces the corpus: the records of every story and of simulated worlds, as JSON to compare."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import orjson

from app.wire.state_codec import encode
from app.wire.writer import Origin, input_cause, write
from tests.saga.order_messages import ID
from tests.simulation.plan import draw
from tests.simulation.run import without_logging_and_gc
from tests.simulation.world import world
from tests.wire.stories import ALL_STORIES, decisions

WORLDS, SAGAS = 20, 50
"""The number of simulated worlds, whose seeds count from 0, and of sagas in each."""

_TRACE = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
Record = dict[str, Any]


def story_records() -> Iterator[Record]:
    """For each decision of each story: its records, and the state document for the changelog."""
    for name, story in ALL_STORIES.items():
        for number, (decision, _, at_ms) in enumerate(decisions(*story.inputs, saga=story.saga), 1):
            cause = input_cause(Origin("order.requests", 0, number, at_ms), f"m-{number}", "order.place", _TRACE)
            for out in write(story.saga, ID, decision, cause, at_ms):
                yield {"story": name, **_shown(out.topic, out.key, out.value, out.headers)}
            yield {"story": name, **_shown("saga.state", ID.encode(), encode(decision.progress), ())}


def world_records(seed: int) -> Iterator[Record]:
    """The records of a simulated world that consumers see, each with its position and time (ms since 1970)."""
    with without_logging_and_gc(), world(draw(seed, SAGAS)) as finished:
        finished.run()
        for (topic, partition), log in finished.kafka.logs.items():
            for message in log.read():
                shown = _shown(topic, message.key(), message.value(), message.headers() or ())
                yield {**shown, "partition": partition, "offset": message.offset(), "at_ms": message.at_ms}


def world_digest(seed: int) -> str:
    """One digest over all records of a simulated world."""
    total = sha256()
    for record in world_records(seed):
        total.update(orjson.dumps(record))
    return total.hexdigest()


def _shown(topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Record:
    """A record as JSON. Bytes are text in latin-1, which has a character for each of them."""
    return {
        "topic": topic,
        "key": _text(key),
        "value": _text(value),
        "headers": [[name, _text(content)] for name, content in headers],
    }


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("latin-1")
