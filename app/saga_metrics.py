"""The statistics of a pod's partitions as Prometheus samples."""

from collections.abc import Iterator, Mapping

from app.engine.state.partition_stats import PartitionStats
from app.ops.metrics import Sample


def samples(partitions: Mapping[int, PartitionStats]) -> list[Sample]:
    """The samples of all assigned partitions, by partition number."""
    return [sample for number, stats in sorted(partitions.items()) for sample in _of_partition(stats, str(number))]


def _of_partition(stats: PartitionStats, partition: str) -> Iterator[Sample]:
    yield from _each("saga_live", "Sagas that have not ended.", partition, "definition", stats.live)
    yield _gauge("saga_ended", "Sagas that have ended and are remembered.", stats.ended, partition=partition)
    yield _gauge("saga_stuck", "Sagas that wait for an operator.", stats.stuck, partition=partition)
    yield from _each(
        "saga_commands_in_flight",
        "Commands of a step in flight, those in backoff included.",
        partition,
        "step",
        stats.in_flight,
    )
    yield from _each(
        "saga_steps_queued", "Sagas queued until a step's participant has capacity.", partition, "step", stats.queued
    )
    yield from _each(
        "saga_admission_window",
        "Commands of a step that may be in flight, where time-outs or failures have lowered the limit.",
        partition,
        "step",
        stats.windows,
    )
    if stats.due_ms is not None:
        yield _gauge(
            "saga_next_due_timestamp_seconds", "Due time of the next timer.", stats.due_ms / 1000, partition=partition
        )
    yield _gauge("saga_state_bytes", "Size of the local state on disk.", stats.bytes, partition=partition)


def _each(name: str, text: str, partition: str, label: str, values: Mapping[str, int]) -> Iterator[Sample]:
    for key, value in sorted(values.items()):
        yield _gauge(name, text, value, partition=partition, **{label: key})


def _gauge(name: str, text: str, value: float, **labels: str) -> Sample:
    return Sample(name, text, labels, value, "gauge")
