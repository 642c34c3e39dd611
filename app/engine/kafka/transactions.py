"""Transactional producers, each with a thread that waits for its commits while the loop decides the next batch."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from app.engine.errors import EngineStopped, NeedsOperator, NeedsRestart
from app.engine.kafka.permissions import is_denied, rejected_credentials
from app.engine.meters import Meters

log = logging.getLogger(__name__)

# A commit may take this share of the transaction timeout: when that is over, the client sends EndTxn again.
_COMMIT_SHARE = 0.9
_MARGIN = 0.05  # of that limit: how much longer to wait for a client call that should have ended by itself
_WAIT_SECONDS = 0.1
_LOSS_KINDS = ("FAIL", "REQTMOUT")
_NEVER_CONNECTED = ("in state CONNECT", "in state TRY_CONNECT")  # such a connection has carried no request
Header = tuple[str, bytes | None]
Delivered = Callable[[Any, Any], None]
Call = Callable[[], None]


class CommitFailed(NeedsRestart):
    """The outcome of a transaction is unknown: the process must exit and restart from the last committed state."""


class _LossListener:
    """Stands in for a client's logger, and notes whether a line reports a late or lost response.

    A client always logs the first such line of its life; it suppresses repeats for half a minute.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.lost_a_response = False

    def log(self, level: int, _: str, kind: str, client: str, text: str) -> None:
        """Takes one line of the client; only critical ones go on to the process's own log."""
        if kind in _LOSS_KINDS and not any(state in text for state in _NEVER_CONNECTED):
            self.lost_a_response = True
        if level >= logging.CRITICAL:
            self._logger.log(level, text, extra={"client": client})


class _DaemonWorker:
    """Runs calls one after the other. Unlike an executor's, its thread does not keep the process from exiting."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Call, Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> Future[None]:
        """Queues a call; the future gets its end or its error."""
        result: Future[None] = Future()
        self._calls.put((call, result))
        return result

    def close(self) -> None:
        """Waits for the queued calls, then ends the thread."""
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        for call, result in iter(self._calls.get, None):
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - it is for the caller that waits on the future
                result.set_exception(error)
            else:
                result.set_result(None)


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When (monotonic seconds) the current step must be done, and the message of the error if it is not."""

    until: float
    message: str


class TransactionalProducer:
    """One transactional producer. From `begin` to the end of its commit it has one open transaction.

    `topic` is any existing topic: a metadata request for it opens the connections.
    """

    def __init__(self, config: dict[str, Any], timeout: float, topic: str, meters: Meters | None = None) -> None:
        self.meters = meters or Meters()
        self._config = config
        self._topic = topic
        self._timeout = timeout
        self._limit = config["transaction.timeout.ms"] / 1000 * _COMMIT_SHARE
        self._new_producer()
        self._worker = _DaemonWorker(f"commit-{config['transactional.id'].rpartition('.')[2]}")
        self._commit: Future[None] | None = None
        self._deadline: _Deadline | None = None

    def init_transactions(self) -> None:
        """Takes over the transactional id: aborts what a former process left open, and fences it."""
        try:
            # A connection must be open: without one, the client pauses for 0.5 s.
            self._producer.list_topics(self._topic, self._timeout)
            self._producer.init_transactions(self._timeout)
        except KafkaException as error:
            raise _engine_error(error, "the transaction coordinator did not answer: ") from error

    @property
    def idle(self) -> bool:
        """Whether a transaction can begin; raises CommitFailed if the last one failed."""
        if self._commit is None:
            return True
        if self._commit.done():
            self.wait()
            return True
        self._check_deadline()
        return False

    def wait(self) -> None:
        """Waits for the commit in flight. Raises CommitFailed."""
        if self._commit is not None:
            while not self._commit.done():
                self.wait_up_to(_WAIT_SECONDS)
                self._check_deadline()
            try:
                self._commit.result()
            except KafkaException as error:
                raise self._commit_error(error) from error
            self._commit = None

    def wait_up_to(self, seconds: float) -> None:
        """Waits for the commit in flight, for that time at most."""
        if self._commit is not None:
            wait([self._commit], seconds)

    def begin(self) -> None:
        """Begins a transaction; sends nothing yet."""
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
            except BufferError:  # the client's queue is full: wait until some of it is sent
                self._producer.poll(0.1)
            else:
                return

    def commit(self, positions: list[TopicPartition], group: Any, committed: Callable[[], None]) -> None:
        """Commits records and positions together, then calls `committed`; all on the producer's own thread."""
        self._commit = self._worker.submit(partial(self._commit_and_save, positions, group, committed))

    def close(self) -> None:
        """Ends the thread; an open transaction is left to the next process with this transactional id."""
        self._worker.close()

    def _commit_and_save(self, positions: list[TopicPartition], group: Any, committed: Callable[[], None]) -> None:
        # A commit whose outcome is unknown must not be retried on this producer: the original EndTxn may still arrive,
        # and would end a later transaction (KIP-890). So the process exits before the client retries by itself. Its
        # next life opens the same id in a new epoch, and the broker aborts what the old epoch left open.
        #
        # When the connection is lost the client retries at once, and reports nothing if the retry succeeds. No other
        # transaction may begin in this epoch then either.
        end, meters = time.monotonic() + self._limit, self.meters
        with self._within(self._limit, _unknown(self._limit)):
            with meters.offsets_seconds.timing():
                self._producer.send_offsets_to_transaction(positions, group, self._limit)
            with meters.flush_seconds.timing():
                self._producer.flush(max(0.0, end - time.monotonic()))
            with meters.commit_seconds.timing():
                self._producer.commit_transaction(max(0.0, end - time.monotonic()))
        meters.last_commit = time.monotonic()
        with meters.save_seconds.timing():
            committed()
        self._producer.poll(0)  # reads the client's log lines
        if self._listener.lost_a_response:
            log.info(
                "response late or lost: producer begins a new epoch",
                extra={"transactional_id": self._config["transactional.id"]},
            )
            with self._within(self._timeout, "the transaction coordinator did not answer"):
                self._new_producer()
                self.init_transactions()

    @contextmanager
    def _within(self, seconds: float, message: str) -> Iterator[None]:
        """Gives the block so many seconds; later, waiting for the commit raises CommitFailed with this message."""
        self._deadline = _Deadline(time.monotonic() + seconds + _MARGIN * self._limit, message)
        yield
        self._deadline = None

    def _check_deadline(self) -> None:
        """Needed as the client exceeds its own limits while the group's coordinator is down (its issue 5456)."""
        deadline = self._deadline
        if deadline is not None and time.monotonic() > deadline.until:
            raise CommitFailed(deadline.message)

    def _new_producer(self) -> None:
        self._listener = _LossListener(self._config.get("logger", log))
        self._producer = Producer({**self._config, "log_level": 6, "logger": self._listener})

    @property
    def queued(self) -> int:
        """Records and requests that the client has not delivered yet; may be read on any thread."""
        return len(self._producer)

    def _commit_error(self, error: KafkaException) -> EngineStopped:
        self.meters.commit_failures += 1
        if error.args[0].code() == KafkaError._TIMED_OUT:
            return CommitFailed(_unknown(self._limit))
        return _engine_error(error)


def _unknown(seconds: float) -> str:
    return f"the outcome of a commit is unknown after {seconds:.1f} s: look at the brokers"


def _engine_error(error: KafkaException, doing: str = "") -> EngineStopped:
    cause = error.args[0]
    if is_denied(cause):
        return NeedsOperator(
            f"this user lacks a permission to write ({cause.str()}): `saga topics check` names all that are missing"
        )
    return rejected_credentials(cause) or CommitFailed(doing + cause.str())
