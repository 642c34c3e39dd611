"""Verifies a run from its committed records: every order ended once, with the expected outcome."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.benchmarks.clients import Cluster, header, read_to_end, topic_reader
from tests.benchmarks.messages import COMMANDS, DEAD_LETTERS, FINAL, OUTCOMES, Orders

_TOPICS = (OUTCOMES, *COMMANDS, DEAD_LETTERS)
_SILENCE_SECONDS = 20.0


class Seen:
    """The records of one run, counted."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = {}
        self.commands: Counter[str] = Counter()
        self.dead_letters = 0

    def take(self, topic: str, key: str, type: str, id: str) -> None:
        """Counts a record; the topic is without prefix."""
        if topic == DEAD_LETTERS:
            self.dead_letters += 1
        elif topic in COMMANDS:
            self.commands[id] += 1
        elif type in FINAL:
            self.outcomes.setdefault(key, []).append(type)


def verify(cluster: Cluster, orders: Orders, count: int) -> list[str]:
    """The errors, a sentence each, of all orders ever placed under the prefix."""
    seen = Seen()
    consumer = topic_reader(cluster, _TOPICS, "beginning")
    for message in read_to_end(consumer, len(_TOPICS) * cluster.partitions, _SILENCE_SECONDS):
        seen.take(*_fields(message, len(cluster.prefix)))
    consumer.close()
    return list(find_errors(seen, orders, count))


def _fields(message: Any, prefix: int) -> tuple[str, str, str, str]:
    key = str(message.key() or b"", "utf-8", "replace")
    return message.topic()[prefix:], key, header(message, "ce_type"), header(message, "ce_id")


def find_errors(seen: Seen, orders: Orders, count: int) -> Iterator[str]:
    """Errors: a missing, repeated or unexpected outcome, a command sent twice, a dead letter."""
    if len(seen.outcomes) != count:
        yield f"{len(seen.outcomes)} orders have a final outcome, and {count} were placed"
    yield from _unexpected_outcomes(seen.outcomes, orders)
    yield from (f"command {id} was sent {times} times" for id, times in _repeated(seen.commands.items()))
    if seen.dead_letters:
        yield f"{seen.dead_letters} dead letters"


def _unexpected_outcomes(outcomes: Mapping[str, list[str]], orders: Orders) -> Iterator[str]:
    for order_id, types in outcomes.items():
        expected = "order.rejected" if orders.declined(order_id) else "order.completed"
        if types != [expected]:
            yield f"{order_id} ended with {', '.join(types)} and not once with {expected}"


def _repeated(commands: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    return ((id, times) for id, times in commands if times > 1)
