"""How the clients of Kafka are set up: each value that is not a default has its reason here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from app.reach.access import OPEN, Access


@dataclass(frozen=True, slots=True)
class Clients:
    """One process's clients. Times are in seconds; `instance` is this process's own name, the same after a restart."""

    bootstrap: str
    group: str
    instance: str
    state_dir: Path
    session_timeout: float = 45.0
    transaction_timeout: float = 15.0
    poll_timeout: float = 120.0
    compression: str = "lz4"
    open_at_once: int = 2
    batch_records: int = 4000
    access: Access = OPEN

    @property
    def patience(self) -> float:
        """How long (seconds) to wait for the brokers: longer than a transaction of a dead owner can stay open."""
        return 2 * self.transaction_timeout + 10

    def plain(self) -> dict[str, Any]:
        """What every client needs."""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": f"{self.group}.{self.instance}",
            "socket.nagle.disable": True,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,  # what matters comes as an error
            **self.access.settings,
        }

    def reader(self) -> dict[str, Any]:
        """A consumer of committed records that joins no group, but must name one that this process may see."""
        return {
            **self.plain(),
            "group.id": self.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }

    def consumer(self, inputs: Iterable[str] = ()) -> dict[str, Any]:
        """The consumer's part; `inputs` are the topics that it reads."""
        return {
            **self.plain(),
            # A restart within the session time-out moves no partitions. To a member that comes back with other topics
            # the brokers would give the partitions of the old ones alone, so that one must be another member.
            "group.instance.id": f"{self.instance}.{crc32(','.join(sorted(inputs)).encode()):08x}",
            "isolation.level": "read_committed",
            "session.timeout.ms": int(self.session_timeout * 1000),
            # A heartbeat tells of a rebalance: until then the partitions of whoever joins or leaves wait.
            "heartbeat.interval.ms": min(500, int(self.session_timeout * 1000 / 10)),
            "max.poll.interval.ms": int(self.poll_timeout * 1000),
            "enable.partition.eof": True,  # tells how far markers of transactions reach, which no record does
            "check.crcs": True,
            "allow.auto.create.topics": False,
            # Nothing else tells that a topic was deleted, or has more partitions.
            "topic.metadata.refresh.interval.ms": int(self.session_timeout * 1000 / 6),
            # With so many waiting, in all partitions, nothing is fetched for a while: it would be decided no sooner,
            # and each fetch costs the brokers. With fewer, what comes alone would wait too; and more would be a way to
            # fill memory, as of keys and headers the client only counts that they are there.
            "queued.min.messages": 30,
            "fetch.queue.backoff.ms": 15,
            # A partition is left out of a fetch if enough was waiting then, and of all that comes until that one ends.
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
            "fetch.message.max.bytes": 131_072,  # of each partition at a time, as compressed: in memory it is much more
            "statistics.interval.ms": 0,
        }

    def lanes(self) -> list[dict[str, Any]]:
        """One transactional producer each, two for each transaction that may be open: they take turns. The ids are this
        process's own, so that its next life fences this one."""
        return [
            {
                **self.plain(),
                "transactional.id": f"{self.group}.{self.instance}.{number}",
                "transaction.timeout.ms": int(self.transaction_timeout * 1000),
                "compression.type": self.compression,
                # A batch decides one partition after the other: the records of one gather for so long, and are sent
                # while the next one is decided. The commit ends the waiting.
                "linger.ms": 5,
                "partitioner": "murmur2",
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1_048_576,
                "batch.num.messages": 10_000,
                "message.max.bytes": 2_000_000,  # a dead letter is bounded to less
                # With more, a partition's first record, if its leader was not ready, is overtaken by the next, taken
                # as written all the same, and missing from a transaction that commits.
                "max.in.flight.requests.per.connection": 1,
                "retry.backoff.ms": 20,
            }
            for number in range(2 * self.open_at_once)
        ]
