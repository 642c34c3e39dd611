"""The topology on quixstreams as it comes: the slow oracle of the engine.

`python -m tests.oracle` runs one pod with those settings of `saga run` that it knows. It has no timers, as the library
has none, and its changelog has the library's own name.
"""

import time
from typing import Any

from quixstreams import Application
from quixstreams.state import State

from app.engine import admin
from app.engine.turn import Record, Turns
from app.ops.settings import Settings, load
from app.saga.state import Progress
from app.saga.versions import Versions
from app.wire import statedoc
from app.wire.topics import Topics
from app.wire.writer import Out
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

COMMIT_SECONDS = 0.1  # the library's 5 s are waited for at every hop
POLL_SECONDS = 0.01  # the library reads joined topics in batches that wait for all of it, 1 s unless it is told
_STATE = "saga"


class Roomy:
    """The library has nothing that could let in later what waits: participants bear everything."""

    def has_room(self, _: str) -> bool:
        """Always."""
        return True

    def bears(self, _: str) -> bool:
        """Always."""
        return True

    def answered(self, step: str) -> None:
        """Needs no noting."""

    def troubled(self, step: str, now_ms: int) -> None:
        """Needs no noting."""


class Kept:
    """The state of one key as the document that the product keeps too, in the library's own store."""

    __slots__ = ("_state",)

    def __init__(self, state: State[Any, Any]) -> None:
        self._state = state

    def get(self) -> Progress | None:
        """What is stored."""
        document = self._state.get_bytes(_STATE)
        return None if document is None else statedoc.decode(document)

    def set(self, progress: Progress) -> None:
        """Stores it in place of what was there."""
        self._state.set_bytes(_STATE, statedoc.encode(progress))

    def forget(self) -> None:
        """Deletes what is stored."""
        self._state.delete(_STATE)

    @property
    def gate(self) -> Roomy:
        """Room for everybody."""
        return Roomy()


class StockTurns(Turns):
    """The product's turns on the library's state."""

    def take(self, topic: str, record: Record, state: Any, at_ms: int) -> list[Out]:
        """All that a record leads to."""
        return super().take(topic, record, Kept(state), at_ms)


def oracle(settings: Settings, partitions: int) -> Application:
    """The topology drawn on a stock Application, for topics that exist with so many partitions; `run` runs it."""
    app = Application(
        broker_address=settings.kafka_bootstrap,
        consumer_group=settings.group_id,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        consumer_poll_timeout=POLL_SECONDS,
        producer_extra_config={"compression.type": settings.compression},
        state_dir=settings.state_dir,
        loglevel="WARNING",
    )
    topics = Topics(ORDER, settings.topic_prefix)
    orchestrate(app, topics, StockTurns(Versions((ORDER,)), partitions), lambda: time.time_ns() // 1_000_000)
    return app


def main() -> None:
    """Runs one pod until SIGTERM or Ctrl-C. Raises Refused when the topics are not as they should be."""
    settings = load()
    topics = Topics(ORDER, settings.topic_prefix)
    client = {"bootstrap.servers": settings.kafka_bootstrap}
    oracle(settings, admin.check(client, topics, settings.min_replication)).run()


if __name__ == "__main__":
    main()
