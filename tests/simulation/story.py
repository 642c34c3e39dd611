"""All that was ever written of one order, in the order in which it was."""

from collections.abc import Iterator

from tests.simulation.kafka import Kafka, Message
from tests.simulation.plan import START_MS


def story(kafka: Kafka, id: str) -> str:
    """The records of an order's key, one a line: when (s), where, by which life of a pod, and what."""
    key = id.encode()
    found = [message for log in kafka.logs.values() for message in log.read() if message.key() == key]
    return "\n".join([f"the story of {id}", *_lines(sorted(found, key=lambda message: message.order))])


def _lines(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        commit = message.commit
        by = f"pod {commit.life.number} ({commit.life.skew_ms:+d} ms) #{commit.number}" if commit is not None else "-"
        headers = dict(message.headers() or ())
        names = b" ".join(headers[name] or b"" for name in ("ce_type", "ce_id", "ce_causationid") if name in headers)
        value = (message.value() or b"(none)")[:400].decode(errors="replace")
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        yield f"{(message.at_ms - START_MS) / 1000:10.3f} {by:24} {place:36} {names.decode(errors='replace')} {value}"
