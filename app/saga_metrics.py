"""A pod's metrics: the table of all that there are, and their samples read off the application.

Names and units follow Prometheus' conventions. A gauge of a partition that is being restored is left out, not 0.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from app.engine.application import SagaApplication
from app.engine.meters import Histogram, Meters
from app.engine.state.partition_stats import PartitionStats
from app.ops.metrics import Buckets, Sample

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it says, its kind, and the names of its labels."""

    help: str
    kind: Kind
    labels: tuple[str, ...] = ()


_INPUT = ("topic", "partition")
METRICS: dict[str, Metric] = {
    "saga_input_lag_records": Metric("Last stable offset minus position of an input; 0 when idle.", "gauge", _INPUT),
    "saga_input_lag_seconds": Metric(
        "Age of the oldest record read and not decided; with none read, how long the position stood still.",
        "gauge",
        _INPUT,
    ),
    "saga_input_unstable_records": Metric(
        "High watermark minus last stable offset of an input: offsets that an open transaction holds back.",
        "gauge",
        _INPUT,
    ),
    "saga_read_frontier_timestamp_seconds": Metric(
        "Time up to which all inputs of a partition were read, as far as timers asked for it.", "gauge", ("partition",)
    ),
    "saga_partitions": Metric("Assigned partitions by phase: restoring or running.", "gauge", ("phase",)),
    "saga_restore_remaining_records": Metric("Changelog offsets left to restore.", "gauge"),
    "saga_restored_records_total": Metric("Changelog records restored.", "counter"),
    "saga_rebalances_total": Metric("Rebalance callbacks: assigned, revoked or lost.", "counter", ("event",)),
    "saga_records_total": Metric("Input records processed.", "counter", ("topic",)),
    "saga_decisions_total": Metric(
        "Decisions, by the type of the input or the kind of the timer, and the type of their first event.",
        "counter",
        ("cause", "event"),
    ),
    "saga_commands_total": Metric(
        "Commands sent, by step, direction (do, undo) and attempt (first, retry).",
        "counter",
        ("step", "direction", "attempt"),
    ),
    "saga_outcomes_total": Metric("Outcomes sent.", "counter", ("type",)),
    "saga_dead_letters_total": Metric("Records sent to the dead letters.", "counter", ("reason", "topic")),
    "saga_rerouted_records_total": Metric(
        "Records of another partition that were sent on to the partition of their key.", "counter", ("topic",)
    ),
    "saga_batch_records": Metric("Input records in a batch.", "histogram"),
    "saga_batch_decide_seconds": Metric("Time to decide a batch.", "histogram"),
    "saga_batch_offsets_seconds": Metric("Time to send a batch's offsets to its transaction.", "histogram"),
    "saga_batch_flush_seconds": Metric("Time until all records of a batch were delivered.", "histogram"),
    "saga_batch_commit_seconds": Metric("Time to commit a batch's transaction after that.", "histogram"),
    "saga_batch_save_seconds": Metric("Time to write a committed batch to the local state.", "histogram"),
    "saga_commit_failures_total": Metric("Transactions whose commit failed or whose outcome is unknown.", "counter"),
    "saga_timer_lateness_seconds": Metric("How late timers fired after their due time.", "histogram"),
    "saga_step_duration_seconds": Metric(
        "From the last attempt's command to the reply that ended a step or its compensation.", "histogram", ("step",)
    ),
    "saga_duration_seconds": Metric("From a saga's start to its end.", "histogram", ("outcome",)),
    "saga_live": Metric("Sagas that have not ended.", "gauge", ("definition",)),
    "saga_ended": Metric("Ended sagas whose retention is not over.", "gauge"),
    "saga_stuck": Metric("Sagas that wait for an operator.", "gauge"),
    "saga_stuck_oldest_timestamp_seconds": Metric(
        "Since when the oldest stuck saga of a step is stuck; absent when none is.", "gauge", ("step",)
    ),
    "saga_commands_in_flight": Metric("Commands in flight, those in backoff included.", "gauge", ("step",)),
    "saga_steps_queued": Metric("Sagas queued until a step's participant has capacity.", "gauge", ("step",)),
    "saga_steps_queued_since_timestamp_seconds": Metric(
        "Since when a step's queue was never empty; absent when it is empty.", "gauge", ("step",)
    ),
    "saga_admission_window": Metric(
        "Commands of a step that may be in flight, over the partitions that have sent the step.",
        "gauge",
        ("step",),
    ),
    "saga_admission_limit": Metric("Commands of each step that may be in flight when all is well.", "gauge"),
    "saga_next_due_timestamp_seconds": Metric("Due time of the next timer.", "gauge"),
    "saga_state_bytes": Metric("Size of the local state on disk.", "gauge"),
    "saga_inbox_records": Metric("Records read and not decided.", "gauge"),
    "saga_producer_queue_records": Metric("Records handed to the clients and not delivered.", "gauge"),
    "saga_loop_idle_seconds": Metric("How long ago the loop last began to run; grows when it hangs.", "gauge"),
    "saga_clock_behind_seconds": Metric("How far the pod's steady clock is behind its wall clock.", "gauge"),
    "saga_kafka_broker_rtt_seconds": Metric("99th percentile of a broker's round trip.", "gauge", ("broker",)),
    "saga_kafka_broker_connected": Metric("Whether the consumer is connected to a broker.", "gauge", ("broker",)),
    "saga_kafka_broker_disconnects_total": Metric("Lost connections to a broker.", "counter", ("broker",)),
    "saga_kafka_broker_timeouts_total": Metric("Requests to a broker that timed out.", "counter", ("broker",)),
    "saga_kafka_fetch_queue_bytes": Metric("Bytes that the consumer has fetched and the pod has not read.", "gauge"),
    "saga_build_info": Metric(
        "Always 1.", "gauge", ("version", "definition", "definition_version", "instance", "group")
    ),
}
"""Every metric by name, in the order of the README's table."""

_HISTOGRAMS = {
    "saga_batch_records": "batch_records",
    "saga_batch_decide_seconds": "decide_seconds",
    "saga_batch_offsets_seconds": "offsets_seconds",
    "saga_batch_flush_seconds": "flush_seconds",
    "saga_batch_commit_seconds": "commit_seconds",
    "saga_batch_save_seconds": "save_seconds",
    "saga_timer_lateness_seconds": "timer_lateness",
}
_DURATION_BITS = range(1, 28, 1)
"""Bounds of durations: 2**n - 1 ms, from 1 ms to 37 hours."""


class PodMetrics:
    """Reads all samples of a pod; may be called on any thread. `info` are the labels of the build info."""

    def __init__(self, app: SagaApplication, info: Mapping[str, str]) -> None:
        self._app = app
        self._info = info

    def __call__(self) -> list[Sample]:
        """The samples as they are now."""
        return [
            *self._inputs(),
            *self._assignment(),
            *counters(self._app.meters),
            *histograms(self._app.meters),
            *saga_gauges(self._app.partition_stats().values()),
            *self._clients(),
            sample("saga_build_info", 1, *(self._info[label] for label in METRICS["saga_build_info"].labels)),
        ]

    def _inputs(self) -> Iterator[Sample]:
        for stats in self._app.input_stats(time.time_ns() // 1_000_000):
            labels = stats.topic, str(stats.partition)
            yield sample("saga_input_lag_records", stats.lag, *labels)
            yield sample("saga_input_lag_seconds", stats.lag_seconds, *labels)
            yield sample("saga_input_unstable_records", stats.unstable, *labels)

    def _assignment(self) -> Iterator[Sample]:
        assigned = self._app.assigned
        tasks = list(assigned.tasks.values())
        restoring = len(tasks) if assigned.restoring else 0
        yield sample("saga_partitions", restoring, "restoring")
        yield sample("saga_partitions", len(tasks) - restoring, "running")
        yield sample("saga_restore_remaining_records", assigned.restore_remaining)
        yield sample("saga_inbox_records", sum(len(task.records) for task in tasks))
        for task in tasks if not restoring else ():
            yield sample("saga_read_frontier_timestamp_seconds", task.frontier.read_ms / 1000, str(task.number))

    def _clients(self) -> Iterator[Sample]:
        statistics = self._app.statistics
        yield sample("saga_producer_queue_records", sum(producer.queued for producer in self._app.producers))
        yield sample("saga_loop_idle_seconds", self._app.health.idle_seconds)
        yield sample("saga_clock_behind_seconds", self._app.steady_clock.behind_wall_seconds)
        yield sample("saga_kafka_fetch_queue_bytes", statistics.fetch_queue_bytes)
        for name, broker in list(statistics.brokers.items()):
            yield sample("saga_kafka_broker_rtt_seconds", broker.rtt_p99_seconds, name)
            yield sample("saga_kafka_broker_connected", broker.connected, name)
            yield sample("saga_kafka_broker_disconnects_total", broker.disconnects, name)
            yield sample("saga_kafka_broker_timeouts_total", broker.request_timeouts, name)


def sample(name: str, value: float | Buckets, *labels: str) -> Sample:
    """One sample of a metric of the table, with the values of its labels in the table's order."""
    metric = METRICS[name]
    return Sample(name, metric.help, dict(zip(metric.labels, labels, strict=True)), value, metric.kind)


def counters(meters: Meters) -> Iterator[Sample]:
    """The counters of the engine."""
    yield sample("saga_restored_records_total", meters.restored_records)
    yield sample("saga_commit_failures_total", meters.commit_failures)
    for topic, count in list(meters.records.items()):
        yield sample("saga_records_total", count, topic)
    keyed = {
        "saga_decisions_total": meters.all_decisions(),
        "saga_commands_total": _commands(meters),
        "saga_outcomes_total": meters.outcomes,
        "saga_dead_letters_total": meters.dead_letters,
        "saga_rerouted_records_total": meters.rerouted,
        "saga_rebalances_total": meters.rebalances,
    }
    for name, counts in keyed.items():
        for labels, count in list(counts.items()):
            yield sample(name, count, *labels)


def _commands(meters: Meters) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for (request, step, attempt), count in meters.all_commands().items():
        direction = "undo" if request == "saga.compensation.requested" else "do"
        key = step, direction, "first" if attempt == 1 else "retry"
        found[key] = found.get(key, 0) + count
    return found


def histograms(meters: Meters) -> Iterator[Sample]:
    """The histograms of the engine."""
    for name, field in _HISTOGRAMS.items():
        yield sample(name, _buckets(getattr(meters, field)))
    for name, counts, totals in (
        ("saga_step_duration_seconds", meters.step_durations, meters.step_ms),
        ("saga_duration_seconds", meters.saga_durations, meters.saga_ms),
    ):
        for label, total_ms in list(totals.items()):
            found = {bits: count for (of, bits), count in list(counts.items()) if of == label}
            yield sample(name, _duration_buckets(found, total_ms), label)


def _buckets(histogram: Histogram) -> Buckets:
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return Buckets(tuple(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total)


def _duration_buckets(counts: Mapping[int, int], total_ms: int) -> Buckets:
    bounds = {bits: str((2**bits - 1) / 1000) for bits in _DURATION_BITS}
    below = [(bound, sum(count for at, count in counts.items() if at <= bits)) for bits, bound in bounds.items()]
    return Buckets((*below, ("+Inf", sum(counts.values()))), total_ms / 1000)


def saga_gauges(partitions: Iterable[PartitionStats]) -> Iterator[Sample]:
    """The gauges of a pod's sagas, over its partitions; none as long as there are none, or they are restored."""
    stats = list(partitions)
    if not stats:
        return
    yield from _summed("saga_live", (one.live for one in stats))
    yield sample("saga_ended", sum(one.ended for one in stats))
    yield sample("saga_stuck", sum(one.stuck for one in stats))
    yield from _oldest("saga_stuck_oldest_timestamp_seconds", (one.stuck_since for one in stats))
    yield from _summed("saga_commands_in_flight", (one.in_flight for one in stats))
    yield from _summed("saga_steps_queued", (one.queued for one in stats))
    yield from _oldest("saga_steps_queued_since_timestamp_seconds", (one.queued_since for one in stats))
    yield from _summed("saga_admission_window", (one.windows for one in stats))
    yield sample("saga_admission_limit", sum(one.limit for one in stats))
    due = [one.due_ms for one in stats if one.due_ms is not None]
    if due:
        yield sample("saga_next_due_timestamp_seconds", min(due) / 1000)
    yield sample("saga_state_bytes", sum(one.bytes for one in stats))


def _summed(name: str, partitions: Iterable[Mapping[str, int]]) -> Iterator[Sample]:
    totals: dict[str, int] = {}
    for counts in partitions:
        for label, count in counts.items():
            totals[label] = totals.get(label, 0) + count
    for label, total in sorted(totals.items()):
        yield sample(name, total, label)


def _oldest(name: str, partitions: Iterable[Mapping[str, int]]) -> Iterator[Sample]:
    oldest: dict[str, int] = {}
    for since in partitions:
        for label, at_ms in since.items():
            oldest[label] = min(at_ms, oldest.get(label, at_ms))
    for label, at_ms in sorted(oldest.items()):
        yield sample(name, at_ms / 1000, label)
