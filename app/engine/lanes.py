"""Transactional producers, each with a thread that waits for its commits, so that deciding goes on meanwhile."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from app.engine.errands import Errands
from app.engine.errors import Ended, Refused, Stopped
from app.engine.rights import is_denied, not_known

log = logging.getLogger(__name__)

# Of the time that brokers leave a transaction open: when that is over, the client asks again for the end of it.
_SHARE = 0.9
_MARGIN = 0.05  # of it: how much longer what the client should have ended by then is waited for
_WAIT_SECONDS = 0.1
_LOSSES = ("FAIL", "REQTMOUT")
_NEVER_UP = ("in state CONNECT", "in state TRY_CONNECT")  # nothing was sent on a connection that never came to be
Header = tuple[str, bytes | None]
Delivered = Callable[[Any, Any], None]


class CommitFailed(Ended):
    """A transaction that may not have been committed: this process must end, and start from what was."""


class _Ear:
    """Takes a client's log lines in place of a logger, and notes whether one tells that an answer was late or lost.

    The first one of a client's life is always told; the client leaves out more of the same words for half a minute.
    """

    def __init__(self, onward: logging.Logger) -> None:
        self._onward = onward
        self.heard_of_loss = False

    def log(self, level: int, _: str, kind: str, client: str, said: str) -> None:
        """One line; only the worst go on to the process's own log."""
        if kind in _LOSSES and not any(state in said for state in _NEVER_UP):
            self.heard_of_loss = True
        if level >= logging.CRITICAL:
            self._onward.log(level, said, extra={"client": client})


@dataclass(frozen=True, slots=True)
class _Awaited:
    """Until when (monotonic seconds) something must have happened, and what it means if it hasn't."""

    until: float
    otherwise: str


class Lane:
    """One transactional producer. Between `begin` and the end of its commit it holds one transaction open.

    `topic` is one that is there: to ask about it makes the connections.
    """

    def __init__(self, config: dict[str, Any], timeout: float, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._timeout = timeout
        self._limit = config["transaction.timeout.ms"] / 1000 * _SHARE
        self._begin_life()
        self._errands = Errands("commit")
        self._commit: Future[None] | None = None
        self._awaits: _Awaited | None = None

    def open(self) -> None:
        """Takes over this lane's transactional id: ends what a process before left open, and fences it."""
        try:
            self._producer.list_topics(self._topic, self._timeout)  # without a connection it would pause for 0.5 s
            self._producer.init_transactions(self._timeout)
        except KafkaException as error:
            raise _stopped(error, "the transaction coordinator did not answer: ") from error

    @property
    def idle(self) -> bool:
        """Whether a transaction can begin; raises CommitFailed when the last one failed."""
        if self._commit is None:
            return True
        if self._commit.done():
            self.wait()
            return True
        self._check()
        return False

    def wait(self) -> None:
        """Waits for the commit that is under way. Raises CommitFailed."""
        if self._commit is not None:
            while not self._commit.done():
                self.rest(_WAIT_SECONDS)
                self._check()
            try:
                self._commit.result()
            except KafkaException as error:
                raise self._failed(error) from error
            self._commit = None

    def rest(self, seconds: float) -> None:
        """Waits for the end of the commit that is under way, but not for longer than this."""
        if self._commit is not None:
            wait([self._commit], seconds)

    def begin(self) -> None:
        """Begins a transaction; nothing is sent yet."""
        self._producer.begin_transaction()

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
        partition: int,
        delivered: Delivered | None = None,
    ) -> None:
        """Adds a record to the transaction."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, delivered, None, 0, headers or None)
            except BufferError:  # the client's queue is full: what is in it is being sent
                self._producer.poll(0.1)
            else:
                return

    def commit(self, positions: list[TopicPartition], group: Any, committed: Callable[[], None]) -> None:
        """Commits records and positions together, then calls `committed`; all on the lane's own thread."""
        self._commit = self._errands.do(partial(self._finish, positions, group, committed))

    def close(self) -> None:
        """Ends the thread; an open transaction is left for the next owner of the id to end."""
        self._errands.close()

    def _finish(self, positions: list[TopicPartition], group: Any, committed: Callable[[], None]) -> None:
        # A commit whose outcome is open must not be tried again on this producer: what was asked for first may still
        # come, late, and would end another transaction (KIP-890). So the process ends before the client asks again by
        # itself, and its next life opens the same id in a new epoch, for which the broker ends what was left.
        #
        # Where the connection is lost the client asks again at once, and doesn't say so when that one is answered.
        # Then no other transaction may begin in this epoch either.
        end = time.monotonic() + self._limit
        with self._await_for(self._limit, _unknown(self._limit)):
            self._producer.send_offsets_to_transaction(positions, group, self._limit)
            self._producer.commit_transaction(max(0.0, end - time.monotonic()))
        committed()
        self._producer.poll(0)  # for its log lines
        if self._ear.heard_of_loss:
            log.info("an answer was late or lost: the producer begins a new epoch")
            with self._await_for(self._timeout, "the transaction coordinator did not answer"):
                self._begin_life()
                self.open()

    @contextmanager
    def _await_for(self, seconds: float, otherwise: str) -> Iterator[None]:
        """The block is over within so many seconds, or whoever waits for it is told otherwise."""
        self._awaits = _Awaited(time.monotonic() + seconds + _MARGIN * self._limit, otherwise)
        yield
        self._awaits = None

    def _check(self) -> None:
        """The client doesn't keep to its limits where the group's coordinator is away (its issue 5456)."""
        awaits = self._awaits
        if awaits is not None and time.monotonic() > awaits.until:
            raise CommitFailed(awaits.otherwise)

    def _begin_life(self) -> None:
        self._ear = _Ear(self._config.get("logger", log))
        self._producer = Producer({**self._config, "log_level": 6, "logger": self._ear})

    def _failed(self, error: KafkaException) -> Stopped:
        if error.args[0].code() == KafkaError._TIMED_OUT:
            return CommitFailed(_unknown(self._limit))
        return _stopped(error)


def _unknown(seconds: float) -> str:
    return f"what came of a commit was not known after {seconds:.1f} s: look at the brokers"


def _stopped(error: KafkaException, doing: str = "") -> Stopped:
    why = error.args[0]
    if is_denied(why):
        return Refused(f"this user may not write as it must ({why.str()}): `saga topics check` names what it lacks")
    return not_known(why) or CommitFailed(doing + why.str())
