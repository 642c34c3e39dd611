"""Records that were read and are not decided yet, by partition."""

from collections import defaultdict
from collections.abc import Iterable, Set
from itertools import chain
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message
from quixstreams.kafka import BaseConsumer

from app.engine.errors import Ended
from app.engine.offsets import Place
from app.engine.ownership import Ownership
from app.engine.rights import is_denied, lacking
from app.wire.envelope import Headers, headers_of

_MOST_BYTES = 32 << 20
Read = tuple[Message, Headers | None, int]
"""A record, its headers, which the client makes anew each time that it is asked, and how many bytes it takes."""
_HEADER_BYTES = 150  # that a header takes here besides its text
_CHUNK = 20  # few enough that a chunk of the largest records there can be is bearable too


class Inbox:
    """Reads two batches ahead, or so many bytes. Records of one partition are in the order of their topics' offsets."""

    def __init__(self, consumer: BaseConsumer, ownership: Ownership, most: int) -> None:
        self._consumer = consumer
        self._own = ownership
        self._most = most
        self._records: dict[int, list[Read]] = defaultdict(list)
        self._bytes = 0
        self.waiting = 0
        self._ends: dict[int, dict[Place, int]] = defaultdict(dict)  # where inputs were last seen to end, by partition

    @property
    def full(self) -> bool:
        """Whether nothing more may be read for now."""
        return self.waiting >= 2 * self._most or self._bytes >= _MOST_BYTES

    def read(self, seconds: float) -> None:
        """Takes in what there is, and waits so long for a first record. Raises what makes reading on unsafe."""
        epoch = self._own.epoch
        found = self._fetch(seconds)
        if epoch != self._own.epoch:
            return  # partitions changed hands meanwhile: these are read again by whoever owns them now
        for read in found:
            message, _, size = read
            if message.error() is None:
                self._records[cast("int", message.partition())].append(read)
                self.waiting += 1
                self._bytes += size
            else:
                self._note(message)

    def take(self, busy: Set[int], share: int) -> dict[int, list[Read]]:
        """Up to a batch of records, of at most so many partitions, which aren't busy and whose turn it is."""
        taken: dict[int, list[Read]] = {}
        room = self._most
        for number in [number for number in self._records if number not in busy][:share]:
            records = self._records[number]
            if len(records) <= room:
                taken[number] = self._records.pop(number)
            elif room > 0:
                taken[number] = records[:room]
                del self._records[number]  # so that the rest comes after the other partitions
                self._records[number] = records[room:]
            room -= len(taken.get(number, ()))
        self.waiting -= self._most - room
        self._bytes -= sum(size for records in taken.values() for _, _, size in records)
        return taken

    def put_back(self, partition: int, records: list[Read]) -> None:
        """Records that were taken last, but for which there was no time."""
        if records:
            self._records[partition] = records + self._records.get(partition, [])
            self.waiting += len(records)
            self._bytes += sum(size for _, _, size in records)

    def ahead(self, numbers: Iterable[int]) -> dict[Place, int]:
        """Where inputs of these partitions end, if there was nothing to the end but markers of transactions."""
        positions = self._own.positions
        return {
            place: end
            for number in numbers
            if number not in self._records
            for place, end in self._ends.get(number, {}).items()
            if end > positions.get(place, end)
        }

    def clear(self) -> None:
        """Forgets all: it is read again by the next owner."""
        self._records.clear()
        self._ends.clear()
        self.waiting = self._bytes = 0

    def _fetch(self, seconds: float) -> list[Read]:
        first = self._consumer.poll(seconds)
        found = [] if first is None else [_read(first)]
        drained, size = first is None, sum(each for _, _, each in found)
        room = 2 * self._most - self.waiting
        while not drained and len(found) < room and self._bytes + size < _MOST_BYTES:
            asked = min(_CHUNK, room - len(found))
            more = [_read(message) for message in self._consumer.consume(asked, 0)]
            drained = len(more) < asked
            size += sum([each for _, _, each in more])
            found += more
        return found

    def _note(self, message: Message) -> None:
        error = cast("KafkaError", message.error())
        if is_denied(error):
            topic = message.topic()
            raise lacking(f"Read on topic {topic}" if topic else f"Read on group {self._own.group_name}")
        if error.code() != KafkaError._PARTITION_EOF:
            if message.topic() is None:  # of the consumer as a whole
                raise KafkaException(error)
            raise Ended(f"{message.topic()}[{message.partition()}] can't be read on: {error.str()}")
        number = cast("int", message.partition())
        self._ends[number][cast("str", message.topic()), number] = cast("int", message.offset())


def _read(message: Message) -> Read:
    """A record as it is kept: its length, to the client, is that of its value alone. What is none has no size."""
    if message.error() is not None:
        return message, None, 0
    headers, size = headers_of(message), len(message) + len(message.key() or b"")
    if headers:
        size += _HEADER_BYTES * len(headers) + sum(map(len, filter(None, chain.from_iterable(headers))))
    return message, headers, size
