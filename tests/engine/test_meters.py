"""What the engine counts: exact, whatever way a decision took through the code."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from app.engine.meters import RECORDS, Histogram, Meters
from app.ops.metrics import Buckets
from app.saga_metrics import METRICS, counters, histograms
from tests.simulation.plan import draw
from tests.simulation.run import without_logging_and_gc
from tests.simulation.world import World, world


def test_a_histogram_counts_an_observation_at_its_upper_bound() -> None:
    """A bound is inclusive, as Prometheus has it."""
    histogram = Histogram(RECORDS)
    for value in (0, 1, 2, 3, 5_000):
        histogram.observe(value)
    assert histogram.counts == [1, 1, 2, 0, 0, 0, 0, 0, 0, 1]
    assert histogram.total == 5_006


def test_a_block_that_raises_is_not_observed() -> None:
    """Its duration would say nothing of what it was to do."""
    histogram = Histogram((1.0,))
    with pytest.raises(ValueError, match="no"), histogram.timing():
        raise ValueError("no")
    assert histogram.counts == [0, 0]


def test_durations_are_cumulative_and_their_sum_is_exact() -> None:
    """A duration of 1,000 ms is above the bound of 511 ms, and within that of 1,023."""
    meters = Meters()
    for duration in (0, 1, 1_000):
        meters.time_step("payment", duration)
    (sample,) = (one for one in histograms(meters) if one.name == "saga_step_duration_seconds")
    assert isinstance(sample.value, Buckets)
    counts = dict(sample.value.counts)
    assert (counts["0.001"], counts["0.511"], counts["1.023"], counts["+Inf"]) == (2, 2, 3, 3)
    assert sample.value.total == 1.001


@pytest.fixture
def lived() -> World:
    """A simulated world without crashes, in which all that was decided was committed."""
    plan = next(plan for plan in (draw(seed, 200) for seed in range(100)) if not plan.pod_faults.crash_every)
    with without_logging_and_gc(), world(plan) as made:
        made.run()
        return made


def test_the_counters_agree_with_the_topics(lived: World) -> None:
    """Decisions by cause and first event, commands by step, direction and retry, outcomes, dead letters."""
    counted: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for meters in lived.meters:
        for sample in counters(meters):
            assert not isinstance(sample.value, Buckets)
            counted[sample.name, tuple(sample.labels.values())] += int(sample.value)
    for name, expected in written(lived).items():
        found = {labels: count for (metric, labels), count in counted.items() if metric == name and count}
        assert found == dict(expected), name


def written(lived: World) -> dict[str, Counter[tuple[str, ...]]]:
    """The same counts, read off the topics."""
    found: dict[str, Counter[tuple[str, ...]]] = {
        name: Counter()
        for name in METRICS
        if name.startswith(("saga_deci", "saga_commands_t", "saga_out", "saga_dead"))
    }
    for (topic, _), log in lived.kafka.logs.items():
        for message in log.read():
            headers = dict(message.headers() or ())
            name = topic.removeprefix("sim.")
            if name == "saga.events":
                decision = orjson.loads(message.value() or b"")
                cause = decision["cause"]
                kind = cause["type"] if "type" in cause else cause["timer"].rpartition(":")[2]
                found["saga_decisions_total"][kind, decision["events"][0]["type"]] += 1
            elif name.endswith(".commands"):
                _, step, direction, attempt = (headers["ce_id"] or b"").decode().rsplit(":", 3)
                found["saga_commands_total"][step, direction, "first" if attempt == "1" else "retry"] += 1
            elif name == "order.outcomes":
                found["saga_outcomes_total"][(headers["ce_type"] or b"").decode(),] += 1
            elif name == "saga.dead-letters":
                origin = (headers["__saga.errors.topic"] or b"").decode().removeprefix("sim.")
                found["saga_dead_letters_total"][(headers["__saga.errors.reason"] or b"").decode(), origin] += 1
    return found


def test_every_metric_is_in_the_table_with_its_unit() -> None:
    """Counters end in `_total`; seconds, bytes and records are named."""
    for name, metric in METRICS.items():
        assert name.startswith("saga_")
        assert name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")


def test_stuck_sagas_survive_a_restart(tmp_path: Path) -> None:
    """Since when the oldest is stuck is known from the disk alone."""
    from app.engine.state.store import PartitionStore
    from app.saga.state import Compensating, Progress, SagaData, Stuck, Why

    why = Why("no funds", "payment", requested=False)

    def stuck(since_ms: int) -> Progress:
        data = SagaData("order", 1, "d" * 32, 1, {}, {})
        return Progress(1, Compensating(data, why, (Stuck("payment", 5, 1, since_ms, "down"),), ()))

    store = PartitionStore(tmp_path / "0", "changelog", 1_000, 10)
    store.set(b"a", stuck(2_000))
    store.set(b"b", stuck(1_000))
    store.save(store.take_changes(), 1)
    store.close()
    store = PartitionStore(tmp_path / "0", "changelog", 1_000, 10)
    assert (store.index.stuck_since(), store.index.counts.stuck) == ({"payment": 1_000}, 2)
    store.set(b"b", None)
    store.save(store.take_changes(), 2)
    store.close()
    store = PartitionStore(tmp_path / "0", "changelog", 1_000, 10)
    assert (store.index.stuck_since(), store.index.counts.stuck) == ({"payment": 2_000}, 1)
    store.close()
