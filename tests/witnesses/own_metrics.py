"""What a pod says of its inputs itself, as Prometheus scrapes it."""

from collections.abc import Sequence
from urllib.request import urlopen

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.witnesses.witness import Lag, NoAnswer, Witness

LAG, SECONDS, UNSTABLE = "saga_input_lag_records", "saga_input_lag_seconds", "saga_input_unstable_records"
_SCRAPE_SECONDS = 10.0


def scrape(port: int) -> list[Metric]:
    """All metric families of the pod. Raises NoAnswer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SCRAPE_SECONDS) as response:
            return list(text_string_to_metric_families(response.read().decode()))
    except OSError as error:
        raise NoAnswer(f"the pod's metrics can't be scraped: {error}") from None


def values(port: int, family: str, prefix: str) -> dict[tuple[str, int], float]:
    """A gauge of the inputs by topic, with its prefix, and partition. Raises NoAnswer if the pod doesn't expose it."""
    found = [sample for metric in scrape(port) if metric.name == family for sample in metric.samples]
    if not found:
        raise NoAnswer(f"{family} is not exposed")
    labels = [sample.labels for sample in found]
    keys = [(prefix + each["topic"].removeprefix(prefix), int(each["partition"])) for each in labels]
    return dict(zip(keys, (sample.value for sample in found), strict=True))


def own(port: int, prefix: str) -> Sequence[Witness]:
    """The pod's three gauges as witnesses. The lag in seconds counts in milliseconds, so that little is rounded off."""

    def lag(family: str, factor: int = 1) -> Lag:
        return {key: round(value * factor) for key, value in values(port, family, prefix).items()}

    return (
        Witness("ours", lambda: lag(LAG), counts_unstable=False),
        Witness("ours, ms", lambda: lag(SECONDS, 1000), counts_unstable=False),
        Witness("ours, unstable", lambda: lag(UNSTABLE)),
    )
