"""Asks all witnesses at once, again and again, until each has seen enough."""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from app.wire.topics import TopicPartitionKey
from tests.witnesses.witness import Lag, NoAnswer, Witness

_PAUSE = 0.05  # seconds between two questions to a witness


@dataclass(frozen=True, slots=True)
class Sight:
    """When a witness first saw what was awaited, in seconds; None if it never did. `last` is its last answer."""

    witness: Witness
    seconds: float | None
    last: str

    @property
    def cell(self) -> str:
        """The seconds, or the last answer of a witness that waited in vain."""
        return f"{self.seconds:.2f} s" if self.seconds is not None else f"never: {self.last}"


def await_zero(
    witnesses: Sequence[Witness], partitions: Collection[TopicPartitionKey], since: float, patience: float
) -> list[Sight]:
    """Waits until each witness says 0 for every one of the partitions; the answer's end counts."""
    return _watch(witnesses, lambda lag: _not_zero(lag, partitions), since, patience)


def await_more(
    witnesses: Sequence[Witness], partition: TopicPartitionKey, since: float, patience: float
) -> list[Sight]:
    """Waits until each witness says more than 0 for the partition."""
    return _watch(witnesses, lambda lag: "" if lag.get(partition, 0) > 0 else "0", since, patience)


def largest(witnesses: Sequence[Witness], partition: TopicPartitionKey, over: Callable[[], bool]) -> dict[Witness, int]:
    """The largest lag of the partition that each witness sees, until it is over."""
    with ThreadPoolExecutor(len(witnesses)) as pool:
        watched = {witness: pool.submit(_largest, witness, partition, over) for witness in witnesses}
        return {witness: each.result() for witness, each in watched.items()}


def _largest(witness: Witness, partition: TopicPartitionKey, over: Callable[[], bool]) -> int:
    found = 0
    while not over():
        with suppress(NoAnswer):
            found = max(found, witness.lag().get(partition, 0))
        time.sleep(_PAUSE)
    return found


def _watch(witnesses: Sequence[Witness], missing: Callable[[Lag], str], since: float, patience: float) -> list[Sight]:
    with ThreadPoolExecutor(len(witnesses)) as pool:
        watched = [pool.submit(_ask_until, witness, missing, since, patience) for witness in witnesses]
        return [each.result() for each in watched]


def _ask_until(witness: Witness, missing: Callable[[Lag], str], since: float, patience: float) -> Sight:
    while True:
        try:
            last = missing(witness.lag())
        except NoAnswer as none:
            last = str(none) or "no answer"
        seconds = time.monotonic() - since
        if not last:
            return Sight(witness, seconds, "")
        if seconds > patience:
            return Sight(witness, None, last)
        time.sleep(_PAUSE)


def _not_zero(lag: Lag, partitions: Collection[TopicPartitionKey]) -> str:
    """The partitions whose lag isn't known to be 0; empty when there are none."""
    wrong = [(topic, number) for topic, number in partitions if lag.get((topic, number)) != 0]
    return ", ".join(f"{lag.get(key, 'nothing')} on {_short(key[0])}[{key[1]}]" for key in wrong)


def _short(topic: str) -> str:
    """The last two words of a topic's name."""
    return ".".join(topic.split(".")[-2:])
