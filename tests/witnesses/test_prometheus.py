"""A real Prometheus scrapes a real pod, and knows all that it exposes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import orjson
import pytest

from app.devkafka.ports import free_ports
from tests.devkafka.support import until
from tests.witnesses.own_metrics import scrape
from tests.witnesses.scene import Scene

pytestmark = [pytest.mark.broker, pytest.mark.alone]

_CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs: [{{job_name: saga, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer; None while it doesn't serve yet."""
        try:
            with urlopen(f"{self._url}/{path}?{urlencode(parameters)}", timeout=10) as response:  # noqa: S310 - loopback
                return orjson.loads(response.read())["data"]
        except OSError:
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives at the moment."""
        found = self.get("query", query=expression)
        return [] if found is None else list(found["result"])


@pytest.fixture
def prometheus(scene: Scene, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the scene's pod and has reached it."""
    with running(scene, tmp_path) as found:
        until(lambda: [each["value"][1] for each in found.query("up")] == ["1"], "up == 1")
        yield found


@contextmanager
def running(scene: Scene, folder: Path) -> Iterator[Prometheus]:
    """Debian's Prometheus, for a `with` block."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no Prometheus on PATH: run `make witnesses`")
    (port,) = free_ports(1)
    configuration = folder / "prometheus.yml"
    configuration.write_text(_CONFIGURATION.format(port=scene.port))
    options = (
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    process = scene.at.children.add("prometheus", [program, *options])
    process.start()
    try:
        yield Prometheus(port)
    finally:
        process.stop()


def test_prometheus_has_every_metric_that_the_pod_exposes(scene: Scene, prometheus: Prometheus) -> None:
    """Each sample's name is a series, and each family has its type and help text there."""
    families = scrape(scene.port)
    names = {sample.name for family in families for sample in family.samples}
    assert any(name.startswith("saga_") for name in names)
    until(lambda: names <= stored(prometheus), f"the series {sorted(names - stored(prometheus))}")
    known = prometheus.get("metadata")
    for family in families:
        (said,) = known.get(family.name) or known[f"{family.name}_total"]  # the name depends on the format it asked for
        assert (said["type"], said["help"]) == (family.type, family.documentation)


def stored(prometheus: Prometheus) -> set[str]:
    """The names of all series that it has of the pod."""
    return {
        series["metric"]["__name__"] for series in prometheus.query('{job="saga"}') if "__name__" in series["metric"]
    }
