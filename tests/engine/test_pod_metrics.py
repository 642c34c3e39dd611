"""The metrics of a whole pod: bounded in number and in time, whatever its partitions have."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.engine.assignment.partition_task import PartitionTask
from app.engine.kafka.statistics import ClientStatistics, InputEnds
from app.engine.meters import Meters
from app.engine.runtime.health import Health
from app.engine.runtime.input_stats import InputLags
from app.engine.state.partition_stats import partition_stats
from app.engine.state.store import PartitionStore
from app.ops.metrics import Buckets, Sample
from app.saga_metrics import METRICS, PodMetrics

PARTITIONS = 64
INPUTS = ("order.requests", "reservation.replies", "payment.replies", "saga.operations")
INFO = dict.fromkeys(METRICS["saga_build_info"].labels, "x")
MAX_SERIES, MAX_SECONDS = 1_500, 0.02


class App:
    """What the metrics read of an application that has 64 partitions."""

    def __init__(self, folder: Path) -> None:
        stores = [PartitionStore(folder / str(number), "changelog", 100, 10) for number in range(PARTITIONS)]
        self.assigned = SimpleNamespace(
            tasks={n: PartitionTask(n, store, dict.fromkeys(INPUTS, 5)) for n, store in enumerate(stores)},
            restoring=False,
            restore_remaining=0,
            joined=True,
        )
        self.meters = busy_meters()
        self.statistics = ClientStatistics()
        self.high_watermarks: dict[tuple[str, int], int] = {}
        self._lags = InputLags(cast("Any", self), cast("Any", self.assigned), self.statistics)
        self.producers: list[Any] = []
        self.steady_clock = SimpleNamespace(behind_wall_seconds=0.0)
        self.health = SimpleNamespace(idle_seconds=0.0)

    def input_stats(self, now_ms: int) -> list[Any]:
        """As the application has it."""
        return self._lags.read(now_ms)

    def get_watermark_offsets(self, at: Any, *, cached: bool) -> tuple[int, int]:
        """As the client has them of its last fetch."""
        assert cached
        return 0, self.high_watermarks.get((at.topic, at.partition), -1001)

    def partition_stats(self) -> dict[int, Any]:
        """As the application has it."""
        tasks = {} if self.assigned.restoring else self.assigned.tasks
        return {number: partition_stats(task.store) for number, task in tasks.items()}


def busy_meters() -> Meters:
    """Meters of a pod that has seen about everything."""
    meters = Meters()
    for step in ("reservation", "payment"):
        for duration in (1, 50, 5_000):
            meters.time_step(step, duration)
        for request in ("saga.step.requested", "saga.compensation.requested"):
            for attempt in range(1, 13):
                meters.commands[request, step, attempt] += 1
    for outcome in ("order.completed", "order.rejected", "order.cancelled"):
        meters.saga_durations[outcome, 9] += 1
        meters.saga_ms[outcome] += 300
    for cause in range(12):
        for event in range(3):
            meters.decisions[f"cause-{cause}", f"event-{event}"] += 1
    return meters


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An application with 64 partitions."""
    made = App(tmp_path)
    yield made
    for task in made.assigned.tasks.values():
        task.store.close()


def series(samples: list[Sample]) -> int:
    """How many time series Prometheus would store."""
    return sum(len(one.value.counts) + 2 if isinstance(one.value, Buckets) else 1 for one in samples)


def lag(app: App, topic: str, partition: int) -> tuple[float, float]:
    """The lag of an input, and how many of its offsets an open transaction holds back."""
    (found,) = (one for one in app.input_stats(0) if (one.topic, one.partition) == (topic, partition))
    return found.lag, found.unstable


def test_the_series_of_64_partitions_are_bounded(app: App) -> None:
    """Fewer than the limit for one pod."""
    assert 1_000 < series(PodMetrics(cast("Any", app), INFO)()) <= MAX_SERIES


def test_a_scrape_of_64_partitions_is_quick(app: App) -> None:
    """It takes no time from the loop to speak of: the best of ten, as other tests run beside it."""
    metrics = PodMetrics(cast("Any", app), INFO)
    taken = []
    for _ in range(10):
        begun = time.perf_counter()
        metrics()
        taken.append(time.perf_counter() - begun)
    assert min(taken) <= MAX_SECONDS


def test_every_sample_is_of_the_table(app: App) -> None:
    """Name, kind and labels."""
    for one in PodMetrics(cast("Any", app), INFO)():
        metric = METRICS[one.name]
        assert (one.kind, tuple(one.labels), one.help) == (metric.kind, metric.labels, metric.help)


def test_lag_is_counted_to_the_last_stable_offset(app: App) -> None:
    """What an open transaction holds back is no lag of the pod; it is told by itself."""
    key = "payment.replies", 3
    assert lag(app, *key) == (0, 0)
    app.statistics.inputs[key] = InputEnds(last_stable=7, high_watermark=12)
    assert lag(app, *key) == (2, 5)
    app.assigned.tasks[3].ends["payment.replies"] = 7  # nothing but control records up to there
    assert lag(app, *key) == (0, 5)


def test_lag_does_not_wait_for_the_next_statistics(app: App) -> None:
    """They come once a second: under a steady load the position is past what they said, and more has come since."""
    key = "payment.replies", 3
    app.statistics.inputs[key] = InputEnds(last_stable=5, high_watermark=5)
    app.high_watermarks[key] = 9
    assert lag(app, *key) == (4, 0)
    app.statistics.inputs[key] = InputEnds(last_stable=5, high_watermark=8)
    assert lag(app, *key) == (0, 4)  # a transaction was open: nobody knows that it has ended
    app.assigned.tasks[3].records.append((waiting(offset=6), None, 1))
    assert lag(app, *key) == (2, 2)  # but what was fetched is committed


def test_lag_in_seconds_covers_records_that_are_still_at_the_broker(app: App) -> None:
    """A pod that reads no more has no record whose age it knows: what counts is how long its position stands still."""
    key = "payment.replies", 3
    app.high_watermarks[key] = 9

    def seconds(now_ms: int) -> float:
        (found,) = (one for one in app.input_stats(now_ms) if (one.topic, one.partition) == key)
        return float(found.lag_seconds)

    assert [seconds(1_000), seconds(4_000)] == [0.0, 3.0]
    app.assigned.tasks[3].positions["payment.replies"] = 8
    assert [seconds(5_000), seconds(7_000)] == [0.0, 2.0]
    app.assigned.tasks[3].positions["payment.replies"] = 9
    assert seconds(9_000) == 0.0


def waiting(topic: str = "payment.replies", offset: int = 5, at_ms: int = 1_000) -> Any:
    """A record that was read and not decided."""
    return SimpleNamespace(topic=lambda: topic, offset=lambda: offset, timestamp=lambda: (1, at_ms))


def test_lag_in_seconds_is_the_age_of_the_oldest_record_not_decided(app: App) -> None:
    """Each input by itself; 0 when none waits."""
    record = waiting()
    app.assigned.tasks[0].records.append((record, None, 1))
    ages = {one.topic: one.lag_seconds for one in app.input_stats(3_500) if one.partition == 0}
    assert ages == {**dict.fromkeys(INPUTS, 0.0), "payment.replies": 2.5}


def test_a_restoring_pod_leaves_out_what_it_can_not_know(app: App) -> None:
    """An alert on stuck sagas must not resolve because a pod restarts."""
    app.assigned.restoring, app.assigned.restore_remaining = True, 99
    samples = {one.name: one.value for one in PodMetrics(cast("Any", app), INFO)()}
    assert not {"saga_stuck", "saga_live", "saga_input_lag_records", "saga_commands_in_flight"} & samples.keys()
    assert samples["saga_restore_remaining_records"] == 99


def test_a_pod_that_the_group_has_given_up_is_not_alive(app: App) -> None:
    """A loop that hangs for longer than the poll time-out is hung, however short that is."""
    health = Health(cast("Any", app.assigned), app.meters, poll_timeout=30)
    assert health.idle_seconds == 0
    health.loop_runs(lambda: time.monotonic() - 31)
    assert health.not_alive() == "the loop has not run for 31 s"


def test_health_follows_the_pods_life(app: App) -> None:
    """Starting, joining, restoring, ready, hung, stopping."""
    health = Health(cast("Any", app.assigned), app.meters, poll_timeout=120)
    assert (health.not_alive(), health.not_ready(), health.not_started()) == (None, "starting", "starting")
    turned_at = [time.monotonic()]
    health.loop_runs(lambda: turned_at[0])
    app.assigned.joined = False
    assert health.not_ready() == "waiting for partitions from the group"
    app.assigned.joined, app.assigned.restoring, app.assigned.restore_remaining = True, True, 9
    assert (health.not_alive(), health.not_ready()) == (None, "restoring state, 9 records left")
    app.assigned.restoring = False
    assert (health.not_ready(), health.not_started()) == (None, None)
    app.assigned.restoring = True  # a later rebalance
    assert (health.not_started(), health.not_ready()) == (None, "restoring state, 9 records left")
    app.assigned.restoring = False
    turned_at[0] -= 61
    assert health.not_alive() == health.not_ready() == "the loop has not run for 61 s"
    assert 61 <= health.idle_seconds < 70
    health.rebalancing = True  # it may wait for brokers that long
    assert health.not_alive() is None
    health.rebalancing = False
    health.stops()
    assert health.not_ready() == "stopping"
