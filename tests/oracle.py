"""The topology on stock quixstreams: a slow oracle for the engine's output.

`python -m tests.oracle` runs one pod with the settings of `saga run` that apply to it. It fires no timers, as
quixstreams has none, and quixstreams names its changelog.
"""

import time
from typing import Any

from quixstreams import Application
from quixstreams.state import State

from app.engine.kafka import topics_admin
from app.engine.processor import Record, SagaProcessor
from app.ops.settings import Settings, load
from app.saga.state import Progress
from app.saga.versions import Versions
from app.wire import state_codec
from app.wire.topics import Topics
from app.wire.writer import OutputRecord
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

COMMIT_SECONDS = 0.1  # the default of 5 s would delay every hop by as much
POLL_SECONDS = 0.01  # a poll of joined topics waits for all of it; the default is 1 s
_STATE = "saga"


class UnlimitedAdmission:
    """Admission without limits: quixstreams has nothing that could request a queued step later."""

    def try_acquire(self, _: str) -> bool:
        """Always True."""
        return True

    def keeps_slot(self, _: str) -> bool:
        """Always True."""
        return True

    def on_success(self, step: str) -> None:
        """Does nothing."""

    def on_failure(self, step: str, now_ms: int) -> None:
        """Does nothing."""


class StockState:
    """The state of one key, in quixstreams' store, as the same document that the product stores."""

    __slots__ = ("_state",)

    def __init__(self, state: State[Any, Any]) -> None:
        self._state = state

    def get(self) -> Progress | None:
        """The stored state; None if there is none."""
        document = self._state.get_bytes(_STATE)
        return None if document is None else state_codec.decode(document)

    def set(self, progress: Progress) -> None:
        """Stores a state."""
        self._state.set_bytes(_STATE, state_codec.encode(progress))

    def forget(self) -> None:
        """Deletes the state."""
        self._state.delete(_STATE)

    @property
    def admission(self) -> UnlimitedAdmission:
        """Admission without limits."""
        return UnlimitedAdmission()


class StockProcessor(SagaProcessor):
    """The product's processor on quixstreams' state."""

    def on_record(self, topic: str, record: Record, state: Any, at_ms: int) -> list[OutputRecord]:
        """The output records that one record leads to."""
        return super().on_record(topic, record, StockState(state), at_ms)


class StockApplication(Application):
    """Application with the registrations of the topology that quixstreams lacks; it never calls these handlers."""

    def clock(self) -> int:
        """The wall clock, in ms since 1970."""
        return time.time_ns() // 1_000_000

    def on_timer(self, handler: object) -> None:
        """Does nothing: quixstreams has no timers."""

    def on_capacity(self, handler: object) -> None:
        """Does nothing: no saga is queued for capacity here."""


def stock_application(settings: Settings, partitions: int) -> StockApplication:
    """A stock Application with the topology, for existing topics with this many partitions; call `run` on it."""
    app = StockApplication(
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
    orchestrate(app, topics, StockProcessor(Versions((ORDER,)), partitions))
    return app


def main() -> None:
    """Runs one pod until SIGTERM or Ctrl-C. Raises NeedsOperator when the topics are not as they should be."""
    settings = load()
    topics = Topics(ORDER, settings.topic_prefix)
    client = {"bootstrap.servers": settings.kafka_bootstrap}
    stock_application(settings, topics_admin.check(client, topics, settings.min_replication)).run()


if __name__ == "__main__":
    main()
