"""The metrics as Prometheus gets them: over HTTP on the loopback address, read with the library's own parser."""

import errno
import logging
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from threading import Barrier, Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.ops.metrics import CannotServe, Collect, Metrics, Sample, serve
from tests.devkafka.support import until

HOST = "127.0.0.1"
SECONDS = 10
Served = Callable[[Collect], Metrics]
Scraped = tuple[str, dict[str, str], float]


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves samples on a free port until the test ends."""
    opened: list[Metrics] = []

    def serve_them(collect: Collect) -> Metrics:
        opened.append(serve(0, HOST, collect))
        return opened[-1]

    yield serve_them
    for metrics in opened:
        metrics.close()


def scrape(metrics: Metrics, path: str = "/metrics") -> str:
    """The text that a scrape gets."""
    with urlopen(f"http://{HOST}:{metrics.port}{path}", timeout=SECONDS) as answer:
        return str(answer.read(), "utf-8")


def samples(text: str, kind: str) -> list[Scraped]:
    """The samples of all families of one kind whose names start with `saga`."""
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        if family.type == kind and family.name.startswith("saga")
        for sample in family.samples
    ]


def gauge(name: str, value: float, **labels: str) -> Sample:
    """A sample of kind gauge."""
    return Sample(name, f"Help of {name}.", labels, value, "gauge")


def counter(name: str, value: float, **labels: str) -> Sample:
    """A sample of kind counter."""
    return Sample(name, f"Help of {name}.", labels, value, "counter")


def test_samples_are_served(served: Served) -> None:
    """With name, help, labels, value and kind; a counter's name ends in `_total`."""
    given = [gauge("saga_steps_queued", 3, step="payment", partition="0"), counter("saga_decisions_total", 2.5)]
    text = scrape(served(lambda: given))
    assert samples(text, "gauge") == [("saga_steps_queued", {"step": "payment", "partition": "0"}, 3.0)]
    assert samples(text, "counter") == [("saga_decisions_total", {}, 2.5)]
    assert "# HELP saga_steps_queued Help of saga_steps_queued.\n# TYPE saga_steps_queued gauge\n" in text
    assert "# HELP saga_decisions_total Help of saga_decisions_total.\n# TYPE saga_decisions_total counter\n" in text


def test_samples_of_one_name_are_grouped(served: Served) -> None:
    """In whatever order they are given: Prometheus requires one block with one heading for each name."""
    given = [gauge("saga_a", 1, p="0"), counter("saga_b_total", 2, p="0"), gauge("saga_a", 3, p="1")]
    given += [counter("saga_b_total", 4, p="1")]
    text = scrape(served(lambda: given))
    assert samples(text, "gauge") == [("saga_a", {"p": "0"}, 1.0), ("saga_a", {"p": "1"}, 3.0)]
    assert samples(text, "counter") == [("saga_b_total", {"p": "0"}, 2.0), ("saga_b_total", {"p": "1"}, 4.0)]
    assert text.count("# TYPE saga_a ") == text.count("# TYPE saga_b_total ") == 1


@pytest.mark.parametrize("value", ('say "no"', "back\\slash", "two\nlines", "żółw 🐢", "}", "a,b=c", " ", ""))
def test_a_label_can_have_any_value(served: Served, value: str) -> None:
    """Quotes, line ends and other special characters are escaped, in help texts too."""
    sample = Sample("saga_said", f"Help with {value}.", {"what": value}, 1, "gauge")
    text = scrape(served(lambda: [sample, gauge("saga_next", 2)]))
    assert samples(text, "gauge") == [("saga_said", {"what": value}, 1.0), ("saga_next", {}, 2.0)]


def test_each_scrape_collects_samples(served: Served) -> None:
    """Nothing is kept from one scrape to the next, and nothing is collected without a scrape."""
    scrapes: list[int] = []

    def collect() -> Sequence[Sample]:
        scrapes.append(1)
        return [gauge("saga_scrapes", len(scrapes))] if len(scrapes) < 3 else []

    metrics = served(collect)
    assert scrapes == []
    assert [samples(scrape(metrics), "gauge") for _ in range(3)] == [
        [("saga_scrapes", {}, 1.0)],
        [("saga_scrapes", {}, 2.0)],
        [],
    ]


def test_two_servers_share_nothing(served: Served) -> None:
    """Each has a registry of its own, with its samples and the `process_…` metrics only."""
    one, other = served(lambda: [gauge("saga_one", 1)]), served(lambda: [gauge("saga_other", 1)])
    assert "saga_other" not in scrape(one)
    assert "saga_one" not in scrape(other)
    families = [family.name for family in text_string_to_metric_families(scrape(one))]
    assert all(name.startswith(("saga_one", "process_")) for name in families)


def test_an_error_in_collect_fails_one_scrape_only(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The scrape gets status 500, the log has the error's class and line without its text, the next scrape succeeds."""
    errors = [KeyError("order-4711"), RuntimeError("card 4111")]

    def collect() -> Sequence[Sample]:
        if errors:
            raise errors.pop()
        return [gauge("saga_fine", 1)]

    metrics = served(collect)
    with caplog.at_level(logging.DEBUG):
        for kind in ("RuntimeError", "KeyError"):
            with pytest.raises(HTTPError) as failed:
                scrape(metrics)
            with failed.value as answer:
                assert (answer.code, answer.read()) == (500, b"the metrics could not be collected; see the log\n")
            assert f"{kind} in collect, line " in caplog.messages[-1]
    assert samples(scrape(metrics), "gauge") == [("saga_fine", {}, 1.0)]
    assert "4711" not in caplog.text + "".join(capfd.readouterr())
    assert "4111" not in caplog.text


def test_a_value_that_is_no_number_fails_one_scrape_only(served: Served) -> None:
    """An error that is raised only when the text is made is answered in the same way."""
    given = [gauge("saga_odd", "three")]  # type: ignore[arg-type]
    metrics = served(lambda: given)
    with pytest.raises(HTTPError) as failed:
        scrape(metrics)
    with failed.value as answer:
        assert answer.code == 500
    given[:] = [gauge("saga_odd", 3)]
    assert samples(scrape(metrics), "gauge") == [("saga_odd", {}, 3.0)]


def test_a_silent_client_does_not_block_others(served: Served) -> None:
    """They are served beside it."""
    metrics = served(lambda: [gauge("saga_fine", 1)])
    with socket.create_connection((HOST, metrics.port), timeout=SECONDS) as silent:
        silent.sendall(b"GET /metrics")
        assert samples(scrape(metrics), "gauge") == [("saga_fine", {}, 1.0)]


def test_a_client_that_hangs_up_is_logged_at_debug(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing is printed to standard error."""
    metrics = served(lambda: [gauge("saga_fine", 1)])
    with caplog.at_level(logging.DEBUG), socket.create_connection((HOST, metrics.port), timeout=SECONDS) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends a reset
        rude.close()
        until(lambda: "ConnectionResetError" in caplog.text, "the server to notice")
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert capfd.readouterr().err == ""
    assert samples(scrape(metrics), "gauge") == [("saga_fine", {}, 1.0)]


def test_two_scrapes_run_at_once(served: Served) -> None:
    """`collect` is called on several threads at the same time."""
    both = Barrier(2, timeout=SECONDS)

    def collect() -> Sequence[Sample]:
        both.wait()
        return [gauge("saga_fine", 1)]

    metrics, seen = served(collect), list[str]()
    threads = [Thread(target=lambda: seen.append(scrape(metrics))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert all("saga_fine 1.0" in text for text in seen)


def test_nothing_is_changed_over_http(served: Served) -> None:
    """A POST is refused."""
    metrics = served(list)
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://{HOST}:{metrics.port}/metrics", data=b"saga_x 1", timeout=SECONDS)
    with refused.value as answer:
        assert answer.code == 405


def test_a_taken_port_is_named() -> None:
    """In one sentence with the setting; the server that has the port goes on."""
    with closing(serve(0, HOST, lambda: [gauge("saga_first", 1)])) as first:
        with pytest.raises(CannotServe, match=r"in use.* set SAGA_METRICS_PORT to a free port") as refused:
            serve(first.port, HOST, list)
        assert f"port {first.port} of {HOST}" in str(refused.value)
        assert "saga_first" in scrape(first)


def test_an_address_of_another_machine_is_named() -> None:
    """Any other error of listening is reported in the same way."""
    with pytest.raises(CannotServe, match=r"192\.0\.2\.1"):
        serve(0, "192.0.2.1", list)


def test_a_closed_server_frees_its_port() -> None:
    """It can be taken again at once, even right after a scrape; a second close does nothing."""
    metrics = serve(0, HOST, list)
    scrape(metrics)
    metrics.close()
    metrics.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, metrics.port), timeout=SECONDS)
    with closing(serve(metrics.port, HOST, list)) as again:
        assert again.port == metrics.port


def test_an_ipv6_address_is_served() -> None:
    """A pod in an IPv6 network has no other address."""
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 9)) not in (0, errno.ECONNREFUSED):
            pytest.skip("this machine has no IPv6")
    metrics = serve(0, "::1", lambda: [gauge("saga_six", 6)])
    with closing(metrics), urlopen(f"http://[::1]:{metrics.port}/metrics", timeout=SECONDS) as answer:
        assert b"saga_six 6.0" in answer.read()
