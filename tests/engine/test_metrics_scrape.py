"""The metrics of a running pod, as Prometheus scrapes them."""

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.devkafka.ports import free_ports
from app.saga_metrics import METRICS
from tests.broker.pods import site
from tests.devkafka.support import until

pytestmark = pytest.mark.broker


class Scraped:
    """The metrics endpoint of a pod."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"

    def text(self) -> str:
        """What a scraper gets."""
        with urlopen(self._url, timeout=10) as response:  # noqa: S310 - a local address of this test
            return str(response.read(), "utf-8")

    def now(self) -> dict[str, float]:
        """The value of each sample, by its name with labels."""
        lines = self.text().splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def await_value(self, name: str, value: float) -> None:
        """Waits until a sample has that value."""
        until(lambda: self.now().get(name) == value, f"{name} {value}")


def test_a_pods_metrics_follow_its_sagas(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Live sagas, commands in flight and queued steps, and in the end the ended sagas; lag is 0 when it is idle."""
    (port,) = free_ports(1)
    with site(kafka_bootstrap, topic_prefix, tmp_path, partitions=2) as at:
        at.running(metrics_port=port, metrics_host="127.0.0.1", step_limit=2)
        scraped = Scraped(port)
        for id in ("a", "b", "c"):  # all three belong to partition 0
            at.place(id)
        scraped.await_value('saga_live{definition="order/1"}', 3)
        found = scraped.now()
        assert found['saga_commands_in_flight{step="reservation"}'] == 2
        assert found['saga_steps_queued{step="reservation"}'] == 1
        assert found["saga_stuck"] == 0
        assert found["saga_state_bytes"] > 0
        assert found["process_resident_memory_bytes"] > 0
        (info,) = (name for name in found if name.startswith("saga_build_info"))
        assert f'group="{topic_prefix}saga-orchestrator"' in info
        assert 'definition="order",definition_version="1"' in info
        at.answer("reservation.replies", "reservation.rejected", "a", "a:reservation:do:1", reason="sold out")
        scraped.await_value('saga_steps_queued{step="reservation"}', 0)
        found = scraped.now()
        assert found['saga_commands_in_flight{step="reservation"}'] == 2
        assert (found["saga_ended"], found['saga_live{definition="order/1"}']) == (1, 2)
        assert found['saga_outcomes_total{type="order.rejected"}'] == 1
        lags = [value for name, value in found.items() if name.startswith("saga_input_lag_records")]
        assert lags == [0.0] * 8


def test_a_running_pod_exposes_the_table_and_nothing_else(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Each metric of a real run is in the table with its kind, help and labels; the README shows that table."""
    (port,) = free_ports(1)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(metrics_port=port, metrics_host="127.0.0.1")
        at.place("a")
        at.await_events("a", "saga.step.requested")
        until(lambda: "saga_kafka_broker_rtt_seconds" in Scraped(port).text(), "the clients' statistics")
        families = list(text_string_to_metric_families(Scraped(port).text()))
    ours = [family for family in families if family.name.startswith("saga")]
    assert len(ours) > 25
    for family in ours:
        metric = METRICS[f"{family.name}_total" if family.type == "counter" else family.name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)


def test_probes_follow_a_pods_life(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Alive at once, started and ready when its partitions are restored; not ready while it stops."""
    (port,) = free_ports(1)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(metrics_port=port, metrics_host="127.0.0.1")
        until(lambda: probe(port, "readyz") == (200, "ok\n"), "the pod to be ready")
        assert (probe(port, "livez"), probe(port, "startupz")) == ((200, "ok\n"), (200, "ok\n"))
        assert pod.stop() == 0
        events = [orjson.loads(line)["event"] for line in pod.said().splitlines()]
    assert events[0] == "started"
    assert events[-3:] == ["stopping", "partitions revoked", "stopped"]


def probe(port: int, path: str) -> tuple[int, str]:
    """The status and the text of a probe."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
