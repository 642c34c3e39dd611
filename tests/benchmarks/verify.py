"""Whether a run was right: what was committed says that every order ended once, and as it had to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.benchmarks.clients import Cluster, header, reader, until_end
from tests.benchmarks.messages import COMMANDS, DEAD_LETTERS, FINAL, OUTCOMES, Orders

_TOPICS = (OUTCOMES, *COMMANDS, DEAD_LETTERS)
_SILENCE_SECONDS = 20.0


class Seen:
    """What the topics of one run hold."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = {}
        self.commands: Counter[str] = Counter()
        self.dead_letters = 0

    def take(self, topic: str, key: str, type: str, id: str) -> None:
        """Takes in a message; the topic is without prefix."""
        if topic == DEAD_LETTERS:
            self.dead_letters += 1
        elif topic in COMMANDS:
            self.commands[id] += 1
        elif type in FINAL:
            self.outcomes.setdefault(key, []).append(type)


def verify(cluster: Cluster, orders: Orders, count: int) -> list[str]:
    """What is wrong, a sentence each, with all orders ever placed under the prefix; none when nothing is."""
    seen = Seen()
    consumer = reader(cluster, _TOPICS, "beginning")
    for message in until_end(consumer, len(_TOPICS) * cluster.partitions, _SILENCE_SECONDS):
        seen.take(*_fields(message, len(cluster.prefix)))
    consumer.close()
    return list(wrongs(seen, orders, count))


def _fields(message: Any, prefix: int) -> tuple[str, str, str, str]:
    key = str(message.key() or b"", "utf-8", "replace")
    return message.topic()[prefix:], key, header(message, "ce_type"), header(message, "ce_id")


def wrongs(seen: Seen, orders: Orders, count: int) -> Iterator[str]:
    """What must not be: a missing, second or wrong outcome, a command sent twice, a dead letter."""
    if len(seen.outcomes) != count:
        yield f"{len(seen.outcomes)} orders have a final outcome, and {count} were placed"
    yield from _wrong_outcomes(seen.outcomes, orders)
    yield from (f"command {id} was sent {times} times" for id, times in _repeated(seen.commands.items()))
    if seen.dead_letters:
        yield f"{seen.dead_letters} dead letters"


def _wrong_outcomes(outcomes: Mapping[str, list[str]], orders: Orders) -> Iterator[str]:
    for order_id, types in outcomes.items():
        wanted = "order.rejected" if orders.declined(order_id) else "order.completed"
        if types != [wanted]:
            yield f"{order_id} ended with {', '.join(types)} and not once with {wanted}"


def _repeated(commands: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    return ((id, times) for id, times in commands if times > 1)
