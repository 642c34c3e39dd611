"""Inputs that do not move although there is more in them: told by name, as nothing else shows it."""

import logging

from confluent_kafka import TopicPartition
from quixstreams.kafka import BaseConsumer

from app.engine.offsets import Place
from app.engine.ownership import Ownership

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STALLED_SECONDS = 30.0  # twice as long as a transaction should be open


class Stalls:
    """Looks every second how far each input was read, and where it ends with what open transactions hold back."""

    def __init__(self, consumer: BaseConsumer, ownership: Ownership) -> None:
        self._consumer = consumer
        self._own = ownership
        self._looked = 0.0
        self._since: dict[Place, tuple[int, float]] = {}  # the position, and since when it is (or was last told)

    def look(self, now: float) -> None:
        """Tells which inputs have stood still for half a minute, and again after each half a minute more."""
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        before, self._since = self._since, {}
        for place, position in list(self._own.positions.items()):
            if self._end(place) > position:
                at, since = before.get(place, (position, now))
                self._since[place] = self._judge(place, position, since if at == position else now, now)

    def _judge(self, place: Place, position: int, since: float, now: float) -> tuple[int, float]:
        if now - since < _STALLED_SECONDS:
            return position, since
        log.warning(
            "an input does not move: look for a transaction that its writer left open there",
            extra={"topic": place[0], "partition": place[1], "offset": position, "end": self._end(place)},
        )
        return position, now

    def _end(self, place: Place) -> int:
        """As the last fetch had it; -1001 before the first."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1])
