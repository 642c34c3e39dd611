"""The loop: poll, decide the partitions that have work, run what is due, commit while the next batch is decided."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from confluent_kafka import KafkaException
from quixstreams.context import set_message_context
from quixstreams.kafka import BaseConsumer
from quixstreams.models.messagecontext import MessageContext

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.assignment.partition_task import InputRecord, PartitionTask
from app.engine.errors import EngineStopped, NeedsRestart, decision_failed
from app.engine.kafka.transactions import TransactionalProducer
from app.engine.runtime.batch import Batch, BatchContext, Clock
from app.engine.runtime.inbox import Inbox
from app.engine.runtime.wakeups import Wakeups

_IDLE_SECONDS = 1.0
_BUSY_SECONDS = 0.05
_LOOK_SECONDS = 0.002
_JOINING_SECONDS = 0.05  # a poll takes its whole time-out, even after it has run the callback of an assignment
_QUIET_SECONDS = 0.25  # without a record for so long, positions step over control records
_SHARES = 4  # a batch takes records of a quarter of the partitions: see _process_batch
_MOST_SECONDS = 1.0  # for deciding one batch: brokers abort a transaction that takes too long
_COLLECT_SECONDS = 1.0
_COLLECT_ALL_SECONDS = 3600.0
_STOP_SECONDS = 5.0  # for commits in flight, once this process was told to stop

Executor = Callable[[Any, Any, int, Any], None]


class _RecordContext:
    """Stands in for the library's message context, which would be built anew for each record."""

    __slots__ = ("offset", "partition", "topic")

    topic: str
    partition: int
    offset: int


class Loop:
    """Runs repeatedly: polls, then decides a batch if a producer is free, and hands it to that producer to commit.

    A partition is in at most one open transaction. `turned_at` is when (monotonic seconds) it last began to run.
    """

    def __init__(
        self,
        consumer: BaseConsumer,
        assigned: AssignedPartitions,
        producers: list[TransactionalProducer],
        context: BatchContext,
        wakeups: Wakeups,
        clock: Clock,
        most: int,
    ) -> None:
        self._assigned = assigned
        self._inbox = Inbox(consumer, assigned, most)
        self._producers = producers  # the least recently used comes first
        self._open_transactions = max(1, len(producers) // 2)
        self._context = context
        self._clock = clock
        self._wakeups = wakeups
        self._meters = assigned.meters
        self._record = _RecordContext()
        self._committing: dict[TransactionalProducer, list[PartitionTask]] = {}
        self._collected = self._collected_all = self.turned_at = time.monotonic()

    def run_once(self, executors: Mapping[str, Executor]) -> None:
        """Runs once. Raises EngineStopped when this process must end; what it did not commit is then read again."""
        self.turned_at = time.monotonic()
        self._release_producers()
        if self._committing and (self._inbox.full or self._nothing_assignable()):
            next(iter(self._committing)).wait_up_to(_BUSY_SECONDS)
            self._release_producers()
        if not self._inbox.full:
            self._inbox.read(self._poll_timeout())
        if self._assigned.restoring:
            self._assigned.continue_restore()
            return
        self._release_producers()
        for task in self._idle_tasks():
            task.store.note_if_complete()
        if self._has_producer():
            self._process_batch(executors)
        if not self._committing:
            self._collect_garbage(time.monotonic())

    def drain(self) -> None:
        """Waits for all commits in flight; records that were read beyond them are dropped for the next owner."""
        for producer in self._committing:
            producer.wait()
        self._release_producers()
        self._inbox.clear()

    def stop(self) -> None:
        """Drains with little patience: whoever told this process to stop kills it otherwise. Raises NeedsRestart."""
        end = time.monotonic() + _STOP_SECONDS
        for producer in self._committing:
            producer.wait_up_to(max(0.0, end - time.monotonic()))
            if not producer.idle:
                raise NeedsRestart(
                    f"told to stop, but a commit was not answered within {_STOP_SECONDS:.0f} s: "
                    "the next start finds out whether it went through"
                )
        self.drain()

    def _release_producers(self) -> None:
        """Frees producers whose commit is done, and the tasks that were in their transactions."""
        for producer in [producer for producer in self._committing if producer.idle]:
            for task in self._committing.pop(producer):
                task.in_transaction = False

    def _idle_tasks(self) -> list[PartitionTask]:
        return [task for task in self._assigned.tasks.values() if not task.in_transaction]

    def _nothing_assignable(self) -> bool:
        """Whether nothing that came now could be decided: then polling would only cost the brokers fetches."""
        return not self._has_producer() or not self._idle_tasks()

    def _has_producer(self) -> bool:
        """Whether one may begin a transaction. There are twice as many as transactions may be open: until the markers
        of one are written, the broker refuses the next one of the same id (CONCURRENT_TRANSACTIONS), and the client
        backs off."""
        return len(self._committing) < self._open_transactions

    def _collect_garbage(self, now: float) -> None:
        """Runs the cyclic collector by hand, as it is disabled: the young generation every second, all of it hourly,
        and only while no commit is in flight."""
        if now - self._collected_all > _COLLECT_ALL_SECONDS:
            gc.collect()
            self._collected = self._collected_all = now
        elif now - self._collected > _COLLECT_SECONDS:
            gc.collect(0)
            self._collected = now

    def _poll_timeout(self) -> float:
        """Seconds to wait for a record; fewer while there is something else to do."""
        tasks = self._assigned.tasks
        if self._assigned.restoring:
            return 0
        if not tasks:
            return _JOINING_SECONDS
        if self._committing:
            return _LOOK_SECONDS  # even with records waiting: with what else comes they make a better batch
        if self._inbox.waiting:
            return 0
        due = self._wakeups.next_ms()
        past_markers = any(task.positions_past_markers() for task in tasks.values())
        most = _QUIET_SECONDS if past_markers else _IDLE_SECONDS
        return most if due is None else min(max((due - self._clock()) / 1000, _LOOK_SECONDS), most)

    def _process_batch(self, executors: Mapping[str, Executor]) -> None:
        """Decides one batch and hands it to a producer.

        Each partition of a transaction costs several requests, one after the other: while those of a few partitions
        are answered, the next few are decided.
        """
        # 1. Group metadata is captured first: if the generation changes meanwhile, this commit must be fenced.
        now, group = self._clock(), self._assigned.group
        producer = next(producer for producer in self._producers if producer not in self._committing)
        batch = Batch(producer, self._context.full_name, self._context.changelog)
        self._context.enter(batch, now)
        # 2. Partitions whose records have waited longest come first, then the others, for what is due.
        idle = {task.number: task for task in self._idle_tasks()}
        taken = self._inbox.take(-(-len(self._assigned.tasks) // _SHARES))
        begun = time.monotonic()
        until = begun + _MOST_SECONDS
        for number in [*taken, *(number for number in idle if number not in taken)]:
            batch.task = task = idle[number]
            decided = number in taken and self._process_partition(task, taken[number], executors, until)
            if self._wakeups.run_due(batch, task, now):
                task.note_touched()
                decided = True
            if decided:
                batch.close_task()
        # 3. Positions step over control records, so that the lag is seen to be 0.
        self._step_over_markers(batch, idle)
        # 4. The producer's thread commits and saves; the loop goes on.
        if batch.tasks:
            self._meters.decide_seconds.observe(time.monotonic() - begun)
            self._meters.batch_records.observe(sum(map(len, taken.values())))
            self._committing[producer] = batch.tasks
            metadata = str(self._assigned.commit_metadata)
            offsets = [offset for task in batch.tasks for offset in task.join_transaction(metadata)]
            batch.commit(offsets, group)
            self._producers.remove(producer)
            self._producers.append(producer)

    def _process_partition(
        self, task: PartitionTask, records: list[InputRecord], executors: Mapping[str, Executor], until: float
    ) -> bool:
        """Decides records of a partition in order, until the time is over; returns whether there were any."""
        decided: dict[str, int] = {}
        done, topic, offset = 0, "", -1
        message: Any  # of the client, which types all its answers as optional
        context, counts = self._record, self._meters.records
        context.partition = task.number
        set_message_context(cast("MessageContext", context))
        try:
            while done < len(records) and time.monotonic() < until:
                message, headers, _ = records[done]
                context.topic = topic = message.topic()
                context.offset = offset = message.offset()
                executors[topic](message.value(), message.key(), message.timestamp()[1], headers)
                decided[topic] = offset + 1
                counts[topic] += 1
                done += 1
        except (EngineStopped, KafkaException):
            raise
        except Exception as error:
            raise decision_failed(error, topic=topic, partition=task.number, offset=offset) from error
        task.note_decided(decided, until - _MOST_SECONDS)
        self._inbox.put_back(task, records[done:])
        return done > 0

    def _step_over_markers(self, batch: Batch, idle: Mapping[int, PartitionTask]) -> None:
        """Moves committed offsets past trailing control records, in partitions of this batch and in quiet ones.

        In a transaction: any other commit could overwrite a later transaction's offsets, and move the group backwards.
        """
        now = time.monotonic()
        for task in idle.values():
            if task in batch.tasks or task.is_quiet(now, _QUIET_SECONDS):
                ends = task.positions_past_markers()
                if ends:
                    task.note_decided(ends, now)
                    if task not in batch.tasks:
                        batch.tasks.append(task)
