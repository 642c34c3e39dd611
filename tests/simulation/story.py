"""The story of one order: all of its records, in write order."""

from collections.abc import Iterator

from tests.simulation.kafka import Message, SimulatedKafka
from tests.simulation.plan import START_MS


def story(kafka: SimulatedKafka, id: str) -> str:
    """One line per record: time (s), the pod's process and transaction, coordinates, ids, value."""
    key = id.encode()
    found = [message for log in kafka.logs.values() for message in log.read() if message.key() == key]
    return "\n".join([f"the story of {id}", *_lines(sorted(found, key=lambda message: message.order))])


def _lines(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        commit = message.commit
        pod = commit.incarnation if commit is not None else None
        by = f"pod {pod.number} ({pod.skew_ms:+d} ms) #{commit.number}" if pod and commit else "-"
        headers = dict(message.headers() or ())
        ids = b" ".join(headers[name] or b"" for name in ("ce_type", "ce_id", "ce_causationid") if name in headers)
        value = (message.value() or b"(none)")[:400].decode(errors="replace")
        at = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        yield f"{(message.at_ms - START_MS) / 1000:10.3f} {by:24} {at:36} {ids.decode(errors='replace')} {value}"
