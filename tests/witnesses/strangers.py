"""Programs that write to the pod's inputs in transactions: a participant, and one that is killed in its transaction."""

import os
import signal
import sys

import orjson
from confluent_kafka import Producer

from tests.broker.pods import said
from tests.devkafka.support import LIMIT

WRITTEN = "written"


class Stranger:
    """A payment service that writes late replies to ended orders: the pod reads, records and otherwise ignores them."""

    def __init__(self, bootstrap: str, topic: str, timeout_ms: int = 60_000) -> None:
        self._topic = topic
        self._count = 0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": f"{topic}.stranger.{os.getpid()}",
                "transaction.timeout.ms": timeout_ms,
                "log_level": 2,
            }
        )
        self._producer.init_transactions(LIMIT)

    def write(self, order: str, partition: int) -> None:
        """Begins a transaction and writes a reply in it; returns when the broker has the record."""
        self._count += 1
        self._producer.begin_transaction()
        command = f"{order}:payment:do:1"
        headers = said("payment.charged", f"{command}:late:{self._count}")
        self._producer.produce(
            self._topic,
            orjson.dumps({"order_id": order, "payment_id": "late"}),
            order.encode(),
            partition,
            headers=[*headers, ("ce_causationid", command.encode())],
        )
        assert self._producer.flush(LIMIT) == 0

    def commit(self) -> None:
        """Commits the transaction."""
        self._producer.commit_transaction(LIMIT)

    def abort(self) -> None:
        """Aborts the transaction."""
        self._producer.abort_transaction(LIMIT)


def main() -> None:
    """Writes in a transaction, says so, and waits to be killed. Arguments: bootstrap, topic, ms, order, partition."""
    bootstrap, topic, timeout_ms, order, partition = sys.argv[1:]
    Stranger(bootstrap, topic, int(timeout_ms)).write(order, int(partition))
    sys.stderr.write(WRITTEN)
    sys.stderr.flush()
    signal.pause()


if __name__ == "__main__":
    main()
