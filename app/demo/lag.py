"""How far a group is behind: records that can be read and were not committed as read."""

from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

_SECONDS = 5.0


class Lag:
    """Asks the brokers."""

    def __init__(self, client: dict[str, Any], group: str, inputs: list[str], partitions: int) -> None:
        self._admin = AdminClient(client)
        self._group = group
        self._places = [TopicPartition(topic, number) for topic in inputs for number in range(partitions)]

    def now(self) -> int | None:
        """The lag over all inputs; None while a transaction of the group is under way."""
        try:
            ends = self._admin.list_offsets(
                dict.fromkeys(self._places, OffsetSpec.latest()),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_SECONDS,
            )
            asked = [ConsumerGroupTopicPartitions(self._group, self._places)]
            found = self._admin.list_consumer_group_offsets(asked, request_timeout=_SECONDS)[self._group].result()
            committed = {(tp.topic, tp.partition): tp.offset for tp in found.topic_partitions}
            behind: int = sum(
                max(end.result().offset - max(committed[tp.topic, tp.partition], 0), 0) for tp, end in ends.items()
            )
        except KafkaException:
            return None
        return behind
