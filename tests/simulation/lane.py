"""A transactional producer, and the fuse that ends a pod between any two of its effects."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from confluent_kafka import TopicPartition

from tests.simulation.kafka import Delivered, Kafka, Life, Written


class Crash(BaseException):
    """The pod is dead."""


class Fuse:
    """Ends the pod before its n-th effect from now; never, when it was not lit."""

    def __init__(self) -> None:
        self._left = 0

    def light(self, effects: int) -> None:
        """So many effects are left, 0 for no end."""
        self._left = effects

    def burn(self) -> None:
        """An effect is about to happen. Raises Crash."""
        if self._left:
            self._left -= 1
            if not self._left:
                raise Crash


class Lane:
    """Stands in for the engine's lane. A commit that is under way may be done at once, or some turns later."""

    def __init__(self, kafka: Kafka, life: Life, fuse: Fuse, chance: Random) -> None:
        self._kafka = kafka
        self._life = life
        self._fuse = fuse
        self._chance = chance
        self._written: list[Written] = []
        self._commit: tuple[list[TopicPartition], Callable[[], None]] | None = None

    @property
    def idle(self) -> bool:
        """Whether a transaction can begin."""
        if self._commit is not None and self._chance.random() < 0.5:
            self.wait()
        return self._commit is None

    def begin(self) -> None:
        """Begins a transaction."""
        self._fuse.burn()

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        partition: int,
        delivered: Delivered | None = None,
    ) -> None:
        """Adds a record to it."""
        self._fuse.burn()
        self._written.append((topic, key, value, headers, partition, delivered))

    def commit(self, positions: list[TopicPartition], _: Any, committed: Callable[[], None]) -> None:
        """Sets about committing it."""
        self._fuse.burn()
        self._commit = positions, committed
        if self._chance.random() < 0.5:
            self.wait()

    def wait(self) -> None:
        """Ends the commit that is under way; a pod can die before and after it."""
        if self._commit is None:
            return
        positions, committed = self._commit
        self._fuse.burn()
        written, self._written, self._commit = self._written, [], None
        self._kafka.transact(written, positions, self._life)
        self._fuse.burn()
        committed()

    def rest(self, _: float) -> None:
        """Waits for its end."""
        self.wait()

    def abandon(self) -> None:
        """Its pod is dead: the brokers commit what they were told to commit, or abort it."""
        if self._commit is not None and self._chance.random() < 0.5:
            self._kafka.transact(self._written, self._commit[0], self._life)
        else:
            self._kafka.abort(self._written)
        self._commit, self._written = None, []
