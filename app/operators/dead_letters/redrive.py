"""Writes replayed records in transactions, so that each dead letter is replayed at most once.

All replays under one prefix use one transactional id. Initialising it ends the transaction of any earlier run, and
fences that run: it can't commit any more. From then on all replays that there will ever be before our own can be read,
so the targets are read only now. A later run fences us in turn, and then our transaction doesn't count.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Producer

from app.operators.brokers import Deadline
from app.operators.dead_letters.letter import BY, FROM
from app.operators.dead_letters.replay_plan import Plan, chunks, mark_of
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.acls import REDRIVE_ID

_TRANSACTION_MS = 60_000
_CHUNK = 200  # records of up to half a mebibyte each
_SECONDS = 30.0
_DENIED = (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED)
_AGAIN = "repeat the command: dead letters that were replayed are found, and not replayed twice"

_silent = logging.getLogger(f"{__name__}.client")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


class Redrive:
    """The producer of replayed records. Raises CommandFailed when it can't go on; repeating is always safe."""

    def __init__(self, cluster: KafkaCluster, operator: str) -> None:
        self._cluster, self._operator = cluster, operator
        self._producer = Producer(
            cluster.client(
                **{
                    "transactional.id": cluster.full(REDRIVE_ID),
                    "transaction.timeout.ms": _TRANSACTION_MS,
                    "message.max.bytes": 2_000_000,  # as pods: what became a dead letter whole fits
                    # With more, the first record for a partition whose leader is not ready may be lost in silence.
                    "max.in.flight.requests.per.connection": 1,
                    "linger.ms": 5,
                    "logger": _silent,  # what the client would log is raised, too
                }
            )
        )

    def begin(self) -> None:
        """Fences earlier runs, and ends their transactions."""
        self._retry(self._producer.init_transactions, "no transaction can begin")

    def send(self, plans: Sequence[Plan], written: Callable[[Sequence[Plan]], None]) -> None:
        """Writes the records of all plans that send; calls `written` after each commit."""
        for chunk in chunks(plans, _CHUNK):
            self._producer.begin_transaction()
            try:
                for each in chunk:
                    self._produce(each)
            except (KafkaException, BufferError) as refused:  # by this client, as for a record that is too large
                self._abort()
                raise CommandFailed(f"nothing of this transaction is written ({refused}): {_AGAIN}") from refused
            self._retry(self._producer.commit_transaction, "it is open whether this transaction is written")
            written(chunk)

    def _produce(self, plan: Plan) -> None:
        """Adds a record to the transaction; if it can't be delivered, the transaction can't be committed either."""
        letter, (topic, partition) = plan.letter, plan.target
        marks = [(FROM, mark_of(self._cluster, letter).encode()), (BY, self._operator.encode())]
        self._producer.produce(topic, letter.value, letter.key, partition, headers=[*letter.headers, *marks])
        self._producer.poll(0)

    def _retry(self, step: Callable[[float], None], doubt: str) -> None:
        """Repeats a step of the transaction while the client says that it may be repeated, until a deadline.

        `doubt` says what is known when it fails.
        """
        deadline = Deadline(_SECONDS)
        while True:
            try:
                step(max(1.0, deadline.left()))
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                if reason.retriable() and deadline.left():
                    continue
                raise self._failed(reason, doubt) from error
            return

    def _failed(self, reason: KafkaError, doubt: str) -> CommandFailed:
        if reason.code() in _DENIED:
            return CommandFailed(f"this user may not replay ({reason.str()}): grant it the role `redrive`")
        if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
            return CommandFailed(f"another replay began meanwhile, so this one is void: {_AGAIN}")
        if reason.txn_requires_abort():
            self._abort()
            return CommandFailed(f"nothing of this transaction is written ({reason.str()}): {_AGAIN}")
        return CommandFailed(f"{doubt} ({reason.str()}): {_AGAIN}")

    def _abort(self) -> None:
        with suppress(KafkaException):  # then the brokers end it after its time-out
            self._producer.abort_transaction(_SECONDS)
