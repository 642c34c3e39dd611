"""quixstreams' Application with another engine: batches, one transaction each, and a state store of its own.

The base class gives the topics, the dataframes and their composition, the consumer in its group, signals, and the order
of starting and ending. Replaced, each for a reason that has a test: the loop (it takes one record at a time), the store
and its recovery (they can miss the last committed batch), the callbacks of a rebalance, and the producer.
"""

import gc
import logging
import time
from typing import Any, cast

from confluent_kafka import KafkaError, TopicPartition
from quixstreams import Application
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.kafka import BaseConsumer, ConnectionConfig
from quixstreams.models import Topic, TopicManager

from app.engine.batch import BatchContext
from app.engine.clients import Clients
from app.engine.clock import SteadyClock
from app.engine.dataframe import BatchDataFrame, Through
from app.engine.duties import Keeper
from app.engine.ending import end_within
from app.engine.folder import make_folder
from app.engine.horizon import Horizon
from app.engine.lanes import Lane
from app.engine.loop import Loop
from app.engine.ownership import Lost, Ownership, Policy
from app.engine.rights import not_known
from app.engine.stalls import Stalls
from app.engine.standing import Standing, standing
from app.wire.topics import STATE, Topics

log = logging.getLogger(__name__)

_CLOSING_SECONDS = 10.0


class CheckedTopics(TopicManager):
    """Topics that were checked before: to ask the brokers about each of them again would be half of a start."""

    def _fetch_topic(self, topic: Topic) -> Topic:
        known = Topic(name=topic.name)
        known.broker_config = self.topic_config()  # of which the engine asks nothing, as it makes no topics
        return known


class SagaApplication(Application):
    """Runs one topology exactly once. Give it the sagas' keeper before `run`."""

    def __init__(self, clients: Clients, topics: Topics, policy: Policy) -> None:
        make_folder(clients.state_dir / clients.group)  # the base class would raise what it likes
        super().__init__(
            broker_address=_connection(clients),  # from it every client of the base class is made
            consumer_group=clients.group,
            auto_offset_reset="error",
            consumer_extra_config=_rest(clients, clients.consumer(topics.full(topic) for topic in topics.inputs)),
            processing_guarantee="exactly-once",
            state_dir=clients.state_dir,
            loglevel=None,
            auto_create_topics=False,
            use_changelog_topics=False,
        )
        cast("Any", self._consumer)._user_error_cb = _end_when_unknown
        self._clients = clients
        self._context = BatchContext(topics.full, topics.full(STATE))
        self._ownership = Ownership(cast("BaseConsumer", self._consumer), clients, topics, policy)
        self._keeper: Keeper | None = None
        self._loop: Loop | None = None

    def clock(self) -> int:
        """When the batch in hand decides (ms since 1970): the same time for all of it."""
        return self._context.now_ms

    def standings(self) -> dict[int, Standing]:
        """How the sagas of each partition stand that this pod has; on any thread."""
        return {number: standing(store) for number, store in list(self._ownership.stores.items())}

    def kept_by(self, keeper: Keeper) -> None:
        """Who says what due times, and room at a participant, lead to."""
        self._keeper = keeper

    def dataframe(self, topic: Topic | None = None, source: object = None) -> StreamingDataFrame:
        """A dataframe of one topic, to be joined with others by `concat`."""
        if topic is None or source is not None:
            raise ValueError("this engine reads topics only")
        frame = BatchDataFrame(
            topic,
            topic_manager=self._topic_manager,
            registry=self._dataframe_registry,
            processing_context=cast("Any", self._context),
        )
        frame.stream.func = Through()
        self._dataframe_registry.register_root(frame)
        return frame

    def _get_topic_manager(self) -> TopicManager:
        self._topic_manager_factory = CheckedTopics
        return super()._get_topic_manager()

    def _run_dataframe(self, sink: Any = None) -> None:
        """Takes the place of the loop that processes one record at a time."""
        lanes = [Lane(config, self._clients.patience, self._context.changelog) for config in self._clients.lanes()]
        for lane in lanes:
            lane.open()
        executors = self._dataframe_registry.compose_all(sink=sink)
        self._loop = Loop(
            self._consumer,
            self._ownership,
            lanes,
            self._context,
            self._keeper,
            SteadyClock(),
            Horizon(self._clients.plain(), self._clients.patience),
            self._clients.batch_records,
        )
        # The base consumer's subscription: that of quixstreams' own consumer would fill a buffer that nobody reads.
        self._consumer._subscribe(
            [topic.name for topic in self._dataframe_registry.consumer_topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        # Next to nothing here is ever part of a cycle, and the collector would look through the cache again and again:
        # it took a fifth of the time. The loop runs it when it is idle.
        gc.freeze()
        gc.disable()
        self._run_tracker.set_as_running()  # type: ignore[no-untyped-call]
        stalls = Stalls(self._consumer, self._ownership)
        while self._run_tracker.running and not self._stop_event.is_set():  # it may have been told to end before
            self._loop.turn(executors)
            stalls.look(time.monotonic())
        self._loop.leave()
        self._consumer.poll(0)  # takes note of an assignment that waits to be: the client's closing can hang on one

    def _exception_handler(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> bool:
        """Who fails must end, even if the client hangs while it is closed: it can, on an assignment on its way."""
        if exc_val is not None:
            end_within(_CLOSING_SECONDS, exc_val)
        return bool(super()._exception_handler(exc_type, exc_val, exc_tb))  # type: ignore[no-untyped-call]

    def _on_assign(self, _: object, topic_partitions: list[TopicPartition]) -> None:
        if not self._stop_event.is_set():  # a consumer that closes may still be given partitions
            self._ownership.assigned(topic_partitions)

    def _on_revoke(self, _: object, __: list[TopicPartition]) -> None:
        if self._loop is not None and not self._failed:
            self._loop.finish()
        self._ownership.revoked()

    def _on_lost(self, _: object, __: list[TopicPartition]) -> None:
        raise Lost("the group gave this process's partitions to others, as it gave no sign of life in time")


def _end_when_unknown(error: KafkaError) -> None:
    """Called with each trouble of the consumer's; all but one pass by themselves, or come as an error of a call."""
    ended = not_known(error)
    if ended is not None:
        raise ended
    log.warning("trouble with a broker", extra={"trouble": error.str()})


def _connection(clients: Clients) -> ConnectionConfig:
    """Where the brokers are and how to get in; passwords in it are not shown when it is printed."""
    return ConnectionConfig.from_librdkafka_dict({"bootstrap.servers": clients.bootstrap, **clients.access.settings})


def _rest(clients: Clients, config: dict[str, Any]) -> dict[str, Any]:
    """What the connection doesn't say: the base class prints these settings as they are."""
    return {name: value for name, value in config.items() if name not in clients.access.settings}
