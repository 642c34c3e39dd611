"""What an orchestrator writes to Kafka: records, bytes on disk, transactions, and the broker's own notes."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from confluent_kafka import TopicPartition

from tests.benchmarks.clients import Cluster, places_of, reader_of, until_end
from tests.benchmarks.messages import REPLIES, REQUESTS
from tests.benchmarks.site import Site

_OFFSETS, _TRANSACTIONS = "__consumer_offsets", "__transaction_state"
_SILENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Written:
    """What was written since a broker's first day, by all under a prefix and by the broker about them."""

    records: int
    markers: int  # of transactions, one in each partition that one wrote to
    data_bytes: int
    transactions: int
    notes_bytes: int  # offsets, and states of transactions

    def since(self, before: "Written") -> "Written":
        """What came after that."""
        return Written(*(new - old for new, old in zip(astuple(self), astuple(before), strict=True)))

    def of_each(self, sagas: int) -> dict[str, float]:
        """By the names of figures, for one saga."""
        return {
            "records a saga": self.records / sagas,
            "bytes a saga": self.data_bytes / sagas,
            "markers a saga": self.markers / sagas,
            "sagas a transaction": sagas / self.transactions if self.transactions else 0.0,
            "broker's notes, bytes a saga": self.notes_bytes / sagas,
        }


def written(site: Site, data: Path) -> Written:
    """What there is of that site, in the broker's folder; inputs, which others write, don't count."""
    cluster = Cluster(site.bootstrap, site.prefix, site.partitions)
    inputs = {site.prefix + name for name in (REQUESTS, *REPLIES)}
    places = places_of(cluster, lambda name: name.startswith(site.prefix) and name not in inputs)
    records, markers = _counted(cluster, places)
    notes = places_of(cluster, {_OFFSETS, _TRANSACTIONS}.__contains__)
    _, transactions = _counted(cluster, [place for place in notes if place.topic == _OFFSETS])
    return Written(records, markers, _bytes(data, places), transactions, _bytes(data, notes))


def _counted(cluster: Cluster, places: Sequence[TopicPartition]) -> tuple[int, int]:
    """Committed records of the partitions, and all else that has an offset there."""
    consumer = reader_of(cluster, places, "beginning")
    ends = [consumer.get_watermark_offsets(place, timeout=_SILENCE_SECONDS) for place in places]
    records = sum(1 for _ in until_end(consumer, len(places), _SILENCE_SECONDS))
    consumer.close()
    return records, sum(end - start for start, end in ends) - records


def _bytes(data: Path, places: Iterable[TopicPartition]) -> int:
    return sum(log.stat().st_size for at in places for log in (data / f"{at.topic}-{at.partition}").glob("*.log"))
