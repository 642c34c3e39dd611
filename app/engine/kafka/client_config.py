"""Settings of all Kafka clients; each value that is not the default has its reason beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from app.kafka_access.security import PLAINTEXT, Security


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The clients of one process. Times are in seconds; `instance` is the process's own name, stable over restarts."""

    bootstrap: str
    group: str
    instance: str
    state_dir: Path
    session_timeout: float = 45.0
    transaction_timeout: float = 15.0
    poll_timeout: float = 120.0
    compression: str = "lz4"
    open_transactions: int = 2
    batch_records: int = 4000
    leave_on_stop: bool = False
    security: Security = PLAINTEXT

    @property
    def patience(self) -> float:
        """How long (seconds) to wait for the brokers: longer than a dead owner's transaction can stay open."""
        return 2 * self.transaction_timeout + 10

    def common(self) -> dict[str, Any]:
        """Settings that all clients share."""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": f"{self.group}.{self.instance}",
            "socket.nagle.disable": True,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,  # anything that matters is reported as an error
            **self.security.settings,
        }

    def standalone_consumer(self) -> dict[str, Any]:
        """A consumer of committed records, outside of the group; it still must name one that this user may describe."""
        return {
            **self.common(),
            "group.id": self.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }

    def consumer(self, inputs: Iterable[str] = ()) -> dict[str, Any]:
        """The consumer in the group; `inputs` are the topics that it reads."""
        return {
            **self.common(),
            # Static membership: a restart within the session timeout causes no rebalance. But to a member that returns
            # with other topics, the brokers assign only partitions of its old ones: then it must be another member.
            "group.instance.id": f"{self.instance}.{crc32(','.join(sorted(inputs)).encode()):08x}",
            "isolation.level": "read_committed",
            "session.timeout.ms": int(self.session_timeout * 1000),
            # A member learns of a rebalance from a heartbeat; until then, the partitions that move are not processed.
            "heartbeat.interval.ms": min(500, int(self.session_timeout * 1000 / 10)),
            "max.poll.interval.ms": int(self.poll_timeout * 1000),
            "enable.partition.eof": True,  # its offset is after control records; no record's is
            "check.crcs": True,
            "allow.auto.create.topics": False,
            # Only a metadata refresh shows that a topic was deleted, or has more partitions.
            "topic.metadata.refresh.interval.ms": int(self.session_timeout * 1000 / 6),
            # With this many records queued, over all partitions, the client pauses fetching: more would be decided no
            # sooner, and each fetch costs the brokers. With a lower number, a record that comes alone would wait too. A
            # higher one could fill the memory: of keys and headers the client counts the records, not the bytes.
            "queued.min.messages": 30,
            "fetch.queue.backoff.ms": 15,
            # A partition with enough records queued is left out of a fetch, and gets no record until that fetch ends.
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
            "fetch.message.max.bytes": 131_072,  # per partition and fetch, compressed: in memory it is much more
            "statistics.interval.ms": 0,
        }

    def producers(self) -> list[dict[str, Any]]:
        """The settings of all transactional producers: two for each open transaction, used in turn.

        Their transactional ids belong to this process: its next start fences this one.
        """
        return [
            {
                **self.common(),
                "transactional.id": f"{self.group}.{self.instance}.{number}",
                "transaction.timeout.ms": int(self.transaction_timeout * 1000),
                "compression.type": self.compression,
                # A batch decides one partition after the other: the records of one gather for so long, and are sent
                # while the next one is decided. A commit sends them at once.
                "linger.ms": 5,
                "partitioner": "murmur2",
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1_048_576,  # never met: batches are smaller; there, produce would wait
                "batch.num.messages": 10_000,
                "message.max.bytes": 2_000_000,  # a dead letter is bounded to less
                # With more, the first record for a partition whose leader is not ready is overtaken by the next one;
                # the client then takes it as written, and the transaction commits without it.
                "max.in.flight.requests.per.connection": 1,
                "retry.backoff.ms": 20,
            }
            for number in range(2 * self.open_transactions)
        ]
