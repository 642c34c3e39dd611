"""quixstreams' Application on another runtime: batches, one transaction each, and a state store of its own.

The base class gives topics, dataframes and their composition, the consumer in its group, signals, and the order of
start and stop. Replaced, each for a reason that has a test: the loop (it takes one record at a time), the store and its
recovery (they can miss the last committed batch), the rebalance callbacks, and the producer.
"""

import gc
import logging
import signal
import time
from typing import Any, cast

from confluent_kafka import KafkaError, TopicPartition
from quixstreams import Application
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.kafka import BaseConsumer, ConnectionConfig
from quixstreams.models import Topic, TopicManager

from app.engine.assignment.assigned_partitions import AssignedPartitions, PartitionsLost
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.assignment.stalled_inputs import StalledInputs
from app.engine.dataframe import BatchDataFrame, PassThrough
from app.engine.kafka.client_config import ClientConfig
from app.engine.kafka.permissions import rejected_credentials
from app.engine.kafka.statistics import INTERVAL_MS, ClientStatistics
from app.engine.kafka.transactions import TransactionalProducer
from app.engine.meters import Meters
from app.engine.policy import Policy
from app.engine.process_exit import force_exit_after
from app.engine.runtime.batch import BatchContext
from app.engine.runtime.clock import SteadyClock
from app.engine.runtime.health import Health
from app.engine.runtime.input_stats import InputLags, InputStats
from app.engine.runtime.loop import Loop
from app.engine.runtime.pod_log import PodLog
from app.engine.runtime.wakeups import OnCapacity, OnTimer, Wakeups
from app.engine.state.partition_stats import PartitionStats, partition_stats
from app.engine.state.rocksdb import make_folder
from app.wire.topics import STATE, Topics

log = logging.getLogger(__name__)

_CLOSING_SECONDS = 10.0
_LEAVING_SECONDS = 5.0
_LEAVING_POLL_SECONDS = 0.05


class CheckedTopics(TopicManager):
    """Topics that were checked before: asking the brokers about each of them again would be half of a start."""

    def _fetch_topic(self, topic: Topic) -> Topic:
        known = Topic(name=topic.name)
        known.broker_config = self.topic_config()  # the engine makes no topics, so it needs nothing of it
        return known


class SagaApplication(Application):
    """Runs one topology exactly once; a topology registers its handlers before `run`.

    `measured`: it keeps statistics of its clients too, for a scraper.
    """

    def __init__(
        self,
        config: ClientConfig,
        topics: Topics,
        policy: Policy,
        meters: Meters | None = None,
        *,
        measured: bool = False,
    ) -> None:
        self.statistics = ClientStatistics()
        make_folder(config.state_dir / config.group)  # the base class would raise an error without a sentence
        super().__init__(
            broker_address=_connection(config),  # every client of the base class is made from it
            consumer_group=config.group,
            auto_offset_reset="error",
            consumer_extra_config={
                **_without_security(config, config.consumer(topics.full(topic) for topic in topics.inputs)),
                **self._statistics_config(measured=measured),
            },
            processing_guarantee="exactly-once",
            state_dir=config.state_dir,
            loglevel=None,
            auto_create_topics=False,
            use_changelog_topics=False,
        )
        cast("Any", self._consumer)._user_error_cb = self._on_consumer_error
        self._client_config = config
        self._context = BatchContext(topics.full, topics.full(STATE))
        self.meters = meters or Meters()
        self._assigned = AssignedPartitions(cast("BaseConsumer", self._consumer), config, topics, policy, self.meters)
        self._lags = InputLags(cast("BaseConsumer", self._consumer), self._assigned, self.statistics)
        self._pod_log = PodLog(self._assigned, self.meters)
        self._leaves = config.leave_on_stop
        self.health = Health(self._assigned, self.meters, config.poll_timeout)
        self.producers: list[TransactionalProducer] = []
        self.steady_clock = SteadyClock()
        self._on_timer: OnTimer | None = None
        self._on_capacity: OnCapacity | None = None
        self._loop: Loop | None = None

    def clock(self) -> int:
        """The time (ms since 1970) of the batch in the making: the same for all of its decisions."""
        return self._context.now_ms

    def on_timer(self, handler: OnTimer) -> None:
        """Registers what a due timer of a saga leads to."""
        self._on_timer = handler

    def on_capacity(self, handler: OnCapacity) -> None:
        """Registers what free capacity for a queued step leads to."""
        self._on_capacity = handler

    @property
    def assigned(self) -> AssignedPartitions:
        """The partitions of this pod."""
        return self._assigned

    def partition_stats(self) -> dict[int, PartitionStats]:
        """Saga counts and more of each partition that is restored; may be called on any thread."""
        if self._assigned.restoring:
            return {}
        return {number: partition_stats(task.store) for number, task in list(self._assigned.tasks.items())}

    def input_stats(self, now_ms: int) -> list[InputStats]:
        """Lag and positions of each input partition that is restored; may be called on any thread."""
        return self._lags.read(now_ms)

    def _statistics_config(self, *, measured: bool) -> dict[str, Any]:
        """Statistics cost a document a second: nobody pays for them who doesn't scrape."""
        return {"statistics.interval.ms": INTERVAL_MS, "stats_cb": self.statistics.take} if measured else {}

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
        frame.stream.func = PassThrough()
        self._dataframe_registry.register_root(frame)
        return frame

    def _get_topic_manager(self) -> TopicManager:
        self._topic_manager_factory = CheckedTopics
        return super()._get_topic_manager()

    def _run_dataframe(self, sink: Any = None) -> None:
        """Takes the place of the loop that processes one record at a time."""
        executors = self._dataframe_registry.compose_all(sink=sink)
        self.producers = self._open_producers()
        self._loop = self._make_loop(self.producers)
        # The base consumer's subscribe: that of quixstreams' own consumer would fill a buffer that nobody reads.
        self._consumer._subscribe(
            [topic.name for topic in self._dataframe_registry.consumer_topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        # Hardly an object here is part of a cycle, and the collector would walk the cache again and again: it took a
        # fifth of the time. The loop runs it by hand.
        gc.freeze()
        gc.disable()
        self._run_tracker.set_as_running()  # type: ignore[no-untyped-call]
        self._run_loop(self._loop, executors)

    def _run_loop(self, loop: Loop, executors: Any) -> None:
        stalled = StalledInputs(self._consumer, self._assigned)
        self.health.loop_runs(lambda: loop.turned_at)
        while self._run_tracker.running and not self._stop_event.is_set():  # it may have been told to stop before
            loop.run_once(executors)
            stalled.check(loop.turned_at)
            self._pod_log.check(loop.turned_at)
        log.info("stopping")
        self.health.stops()
        loop.stop()
        if self._leaves:
            self._leave_group()
        self._consumer.poll(0)  # takes note of a pending assignment: closing the client can hang on one

    def leave(self, *_: object) -> None:
        """Stops for good: hands its partitions over at once. A pod that just stops keeps them for its next start."""
        self._leaves = True
        self.stop()

    def _leave_group(self) -> None:
        """A static member that is closed stays in the group for the session timeout; one that unsubscribes leaves."""
        self._consumer.unsubscribe()  # type: ignore[no-untyped-call]
        end = time.monotonic() + _LEAVING_SECONDS
        while self._assigned.joined and time.monotonic() < end:
            self._consumer.poll(_LEAVING_POLL_SECONDS)
        log.info("left the group")

    def _setup_signal_handlers(self) -> None:
        super()._setup_signal_handlers()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGUSR1, self.leave)

    def _open_producers(self) -> list[TransactionalProducer]:
        config = self._client_config
        producers = [
            TransactionalProducer(settings, config.patience, self._context.changelog, self.meters)
            for settings in config.producers()
        ]
        for producer in producers:
            producer.init_transactions()
        return producers

    def _make_loop(self, producers: list[TransactionalProducer]) -> Loop:
        config = self._client_config
        end_offsets = EndOffsetRequests(config.common(), config.patience)
        wakeups = Wakeups(self._assigned, end_offsets, self._on_timer, self._on_capacity)
        return Loop(
            self._consumer, self._assigned, producers, self._context, wakeups, self.steady_clock, config.batch_records
        )

    def _exception_handler(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> bool:
        """A failed process must end even if the client hangs while it is closed, as it can on a pending assignment."""
        if exc_val is not None:
            force_exit_after(_CLOSING_SECONDS, exc_val)
        return bool(super()._exception_handler(exc_type, exc_val, exc_tb))  # type: ignore[no-untyped-call]

    def _on_consumer_error(self, error: KafkaError) -> None:
        """Called with each error of the consumer; all but one pass by themselves, or are raised by a call."""
        rejected = rejected_credentials(error)
        if rejected is not None:
            raise rejected
        self._pod_log.broker_error(error.name(), error.str(), time.monotonic())

    def _on_assign(self, _: object, topic_partitions: list[TopicPartition]) -> None:
        if not self._stop_event.is_set():  # a consumer that is being closed may still be given partitions
            self.health.rebalancing = True
            self._assigned.assigned(topic_partitions)
            self.health.rebalancing = False

    def _on_revoke(self, _: object, __: list[TopicPartition]) -> None:
        if self._loop is not None and not self._failed:
            self._loop.drain()
        self._assigned.revoked()

    def _on_lost(self, _: object, __: list[TopicPartition]) -> None:
        self.meters.rebalances["lost",] += 1
        log.warning("partitions lost")
        raise PartitionsLost("the group gave this process's partitions to others, as no heartbeat came in time")


def _connection(config: ClientConfig) -> ConnectionConfig:
    """Where the brokers are, and the credentials; it hides passwords when it is printed."""
    return ConnectionConfig.from_librdkafka_dict({"bootstrap.servers": config.bootstrap, **config.security.settings})


def _without_security(config: ClientConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """What the connection doesn't have yet; the base class prints these settings as they are."""
    return {name: value for name, value in settings.items() if name not in config.security.settings}
