"""A simulated transactional producer, and the countdown that crashes a pod between any two of its steps."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from confluent_kafka import TopicPartition

from tests.simulation.kafka import Delivered, Incarnation, SimulatedKafka, Written


class Crash(BaseException):
    """Ends the pod at once, wherever it is."""


class CrashCountdown:
    """Crashes the pod before its n-th step from now; never unless it is armed."""

    def __init__(self) -> None:
        self._steps_left = 0

    def arm(self, steps: int) -> None:
        """So many steps are left; 0 for no crash."""
        self._steps_left = steps

    def tick(self) -> None:
        """To be called before each step with an effect. Raises Crash."""
        if self._steps_left:
            self._steps_left -= 1
            if not self._steps_left:
                raise Crash


class SimulatedProducer:
    """Stands in for the engine's TransactionalProducer. A commit may end at once, or after some more polls."""

    def __init__(self, kafka: SimulatedKafka, incarnation: Incarnation, countdown: CrashCountdown, rng: Random) -> None:
        self._kafka = kafka
        self._incarnation = incarnation
        self._countdown = countdown
        self._rng = rng
        self._written: list[Written] = []
        self._commit: tuple[list[TopicPartition], Callable[[], None]] | None = None

    @property
    def idle(self) -> bool:
        """Whether a transaction can begin; a commit in flight may end now."""
        if self._commit is not None and self._rng.random() < 0.5:
            self.wait()
        return self._commit is None

    def begin(self) -> None:
        """A step of its own."""
        self._countdown.tick()

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        partition: int,
        delivered: Delivered | None = None,
    ) -> None:
        """Each record is a step."""
        self._countdown.tick()
        self._written.append((topic, key, value, headers, partition, delivered))

    def commit(self, positions: list[TopicPartition], _: Any, committed: Callable[[], None]) -> None:
        """Hands the commit over; it may end at once."""
        self._countdown.tick()
        self._commit = positions, committed
        if self._rng.random() < 0.5:
            self.wait()

    def wait(self) -> None:
        """Ends the commit in flight; the pod can crash before and after it."""
        if self._commit is None:
            return
        positions, committed = self._commit
        self._countdown.tick()
        written, self._written, self._commit = self._written, [], None
        self._kafka.commit_transaction(written, positions, self._incarnation)
        self._countdown.tick()
        committed()

    def wait_up_to(self, _: float) -> None:
        """Waits for it, however long it takes."""
        self.wait()

    def crash(self) -> None:
        """The pod crashed: the brokers commit its transaction if its commit has reached them, else they abort it."""
        if self._commit is not None and self._rng.random() < 0.5:
            self._kafka.commit_transaction(self._written, self._commit[0], self._incarnation)
        else:
            self._kafka.abort_transaction(self._written)
        self._commit, self._written = None, []
