"""The metrics of a running pod, as Prometheus scrapes them."""

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.broker.pods import site
from tests.devkafka.support import until

pytestmark = pytest.mark.broker


def free_port() -> int:
    """A port that is not in use at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Scraped:
    """The metrics endpoint of a pod."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"

    def now(self) -> dict[str, float]:
        """The value of each sample, by its name with labels."""
        with urlopen(self._url, timeout=10) as response:  # noqa: S310 - a local address of this test
            lines = response.read().decode().splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def await_value(self, name: str, value: float) -> None:
        """Waits until a sample has that value."""
        until(lambda: self.now().get(name) == value, f"{name} {value}")


def test_a_pods_metrics_follow_its_sagas(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """By partition: live sagas, commands in flight and queued steps, and in the end the ended sagas."""
    port = free_port()
    with site(kafka_bootstrap, topic_prefix, tmp_path, partitions=2) as at:
        at.running(metrics_port=port, metrics_host="127.0.0.1", step_limit=2)
        scraped = Scraped(port)
        for id in ("a", "b", "c"):  # all three belong to partition 0
            at.place(id)
        scraped.await_value('saga_live{definition="order/1",partition="0"}', 3)
        found = scraped.now()
        assert found['saga_commands_in_flight{partition="0",step="reservation"}'] == 2
        assert found['saga_steps_queued{partition="0",step="reservation"}'] == 1
        assert (found['saga_stuck{partition="0"}'], found['saga_stuck{partition="1"}']) == (0, 0)
        assert found['saga_state_bytes{partition="1"}'] > 0
        assert found["process_resident_memory_bytes"] > 0
        at.answer("reservation.replies", "reservation.rejected", "a", "a:reservation:do:1", reason="sold out")
        scraped.await_value('saga_steps_queued{partition="0",step="reservation"}', 0)
        found = scraped.now()
        assert found['saga_commands_in_flight{partition="0",step="reservation"}'] == 2
        assert (found['saga_ended{partition="0"}'], found['saga_live{definition="order/1",partition="0"}']) == (1, 2)
