"""Counts what an orchestrator writes to Kafka: records, bytes on disk, transaction markers, and internal topics."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from confluent_kafka import TopicPartition

from tests.benchmarks.clients import Cluster, partition_reader, partitions_of, read_to_end
from tests.benchmarks.messages import REPLIES, REQUESTS
from tests.benchmarks.workspace import Workspace

_OFFSETS, _TRANSACTIONS = "__consumer_offsets", "__transaction_state"
_SILENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class KafkaWrites:
    """Totals since the broker's creation: of all topics under a prefix, and of the broker's internal topics."""

    records: int
    markers: int  # one per transaction and partition written to
    data_bytes: int
    transactions: int
    internal_bytes: int  # __consumer_offsets and __transaction_state

    def since(self, before: "KafkaWrites") -> "KafkaWrites":
        """The difference to earlier totals."""
        return KafkaWrites(*(new - old for new, old in zip(astuple(self), astuple(before), strict=True)))

    def per_saga(self, sagas: int) -> dict[str, float]:
        """The totals per saga, by name of figure."""
        return {
            "records per saga": self.records / sagas,
            "bytes per saga": self.data_bytes / sagas,
            "markers per saga": self.markers / sagas,
            "sagas per transaction": sagas / self.transactions if self.transactions else 0.0,
            "internal topics, bytes per saga": self.internal_bytes / sagas,
        }


def kafka_writes(workspace: Workspace, data: Path) -> KafkaWrites:
    """The totals of a workspace, from the broker's data folder, without input topics, which the driver writes."""
    cluster = Cluster(workspace.bootstrap, workspace.prefix, workspace.partitions)
    inputs = {workspace.prefix + name for name in (REQUESTS, *REPLIES)}
    written = partitions_of(cluster, lambda name: name.startswith(workspace.prefix) and name not in inputs)
    records, markers = _counted(cluster, written)
    internal = partitions_of(cluster, {_OFFSETS, _TRANSACTIONS}.__contains__)
    _, transactions = _counted(cluster, [partition for partition in internal if partition.topic == _OFFSETS])
    return KafkaWrites(records, markers, _bytes(data, written), transactions, _bytes(data, internal))


def _counted(cluster: Cluster, partitions: Sequence[TopicPartition]) -> tuple[int, int]:
    """Committed records of the partitions, and the number of other offsets (transaction markers)."""
    consumer = partition_reader(cluster, partitions, "beginning")
    ends = [consumer.get_watermark_offsets(partition, timeout=_SILENCE_SECONDS) for partition in partitions]
    records = sum(1 for _ in read_to_end(consumer, len(partitions), _SILENCE_SECONDS))
    consumer.close()
    return records, sum(end - start for start, end in ends) - records


def _bytes(data: Path, partitions: Iterable[TopicPartition]) -> int:
    return sum(log.stat().st_size for at in partitions for log in (data / f"{at.topic}-{at.partition}").glob("*.log"))
