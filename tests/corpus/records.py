"""Makes the corpus anew: the records of every story, and of simulated worlds, as JSON that can be compared."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import orjson

from app.wire.statedoc import encode
from app.wire.writer import Origin, input_cause, write
from tests.saga.words import ID
from tests.simulation.plan import draw
from tests.simulation.run import undisturbed
from tests.simulation.world import world
from tests.wire.stories import TALES, decisions

WORLDS, SAGAS = 20, 50
"""Seeds of simulated worlds from 0, and the sagas of each."""

_TRACE = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
Record = dict[str, Any]


def story_records() -> Iterator[Record]:
    """For each decision of each story: the records written, and the state document put into the changelog."""
    for name, tale in TALES.items():
        for number, (decision, _, at_ms) in enumerate(decisions(*tale.said, saga=tale.saga), 1):
            cause = input_cause(Origin("order.requests", 0, number, at_ms), f"m-{number}", "order.place", _TRACE)
            for out in write(tale.saga, ID, decision, cause, at_ms):
                yield {"story": name, **_shown(out.topic, out.key, out.value, out.headers)}
            yield {"story": name, **_shown("saga.state", ID.encode(), encode(decision.progress), ())}


def world_records(seed: int) -> Iterator[Record]:
    """All records that readers see of a simulated world, each with its place and time (ms since 1970)."""
    with undisturbed(), world(draw(seed, SAGAS)) as lived:
        lived.live()
        for (topic, partition), log in lived.kafka.logs.items():
            for message in log.read():
                shown = _shown(topic, message.key(), message.value(), message.headers() or ())
                yield {**shown, "partition": partition, "offset": message.offset(), "at_ms": message.at_ms}


def world_digest(seed: int) -> str:
    """The same for the same records of a world."""
    total = sha256()
    for record in world_records(seed):
        total.update(orjson.dumps(record))
    return total.hexdigest()


def _shown(topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Record:
    """Bytes as text; latin-1 gives each byte a character of its own."""
    return {
        "topic": topic,
        "key": _text(key),
        "value": _text(value),
        "headers": [[name, _text(content)] for name, content in headers],
    }


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("latin-1")
