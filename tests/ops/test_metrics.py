"""The metrics as Prometheus sees them: over HTTP on the loopback, read with the library's own parser."""

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

from app.ops.metrics import CannotServe, Collect, Figure, Metrics, serve
from tests.devkafka.support import until

HOST = "127.0.0.1"
SECONDS = 10
Served = Callable[[Collect], Metrics]
Sample = tuple[str, dict[str, str], float]


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves figures on a free port until the test ends."""
    opened: list[Metrics] = []

    def serve_them(collect: Collect) -> Metrics:
        opened.append(serve(0, HOST, collect))
        return opened[-1]

    yield serve_them
    for metrics in opened:
        metrics.close()


def look(metrics: Metrics, path: str = "/metrics") -> str:
    """What a scraper gets."""
    with urlopen(f"http://{HOST}:{metrics.port}{path}", timeout=SECONDS) as answer:
        return str(answer.read(), "utf-8")


def samples(text: str, kind: str) -> list[Sample]:
    """The samples of all families of one kind, as long as they are the product's."""
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        if family.type == kind and family.name.startswith("saga")
        for sample in family.samples
    ]


def gauge(name: str, value: float, **labels: str) -> Figure:
    """A figure that goes up and down."""
    return Figure(name, f"Help of {name}.", labels, value, "gauge")


def counter(name: str, value: float, **labels: str) -> Figure:
    """A figure that only grows."""
    return Figure(name, f"Help of {name}.", labels, value, "counter")


def test_figures_are_served(served: Served) -> None:
    """Name, help, labels, value and kind arrive as they were told; a counter's name ends in `_total`."""
    told = [gauge("saga_waiting", 3, step="payment", partition="0"), counter("saga_decisions_total", 2.5)]
    text = look(served(lambda: told))
    assert samples(text, "gauge") == [("saga_waiting", {"step": "payment", "partition": "0"}, 3.0)]
    assert samples(text, "counter") == [("saga_decisions_total", {}, 2.5)]
    assert "# HELP saga_waiting Help of saga_waiting.\n# TYPE saga_waiting gauge\n" in text
    assert "# HELP saga_decisions_total Help of saga_decisions_total.\n# TYPE saga_decisions_total counter\n" in text


def test_figures_of_one_name_stand_together(served: Served) -> None:
    """However they were told: Prometheus wants a name's samples in one piece, with one heading."""
    told = [gauge("saga_a", 1, p="0"), counter("saga_b_total", 2, p="0"), gauge("saga_a", 3, p="1")]
    told += [counter("saga_b_total", 4, p="1")]
    text = look(served(lambda: told))
    assert samples(text, "gauge") == [("saga_a", {"p": "0"}, 1.0), ("saga_a", {"p": "1"}, 3.0)]
    assert samples(text, "counter") == [("saga_b_total", {"p": "0"}, 2.0), ("saga_b_total", {"p": "1"}, 4.0)]
    assert text.count("# TYPE saga_a ") == text.count("# TYPE saga_b_total ") == 1


@pytest.mark.parametrize("value", ('say "no"', "back\\slash", "two\nlines", "żółw 🐢", "}", "a,b=c", " ", ""))
def test_a_label_can_say_anything(served: Served, value: str) -> None:
    """Quotes, line ends and the rest are escaped, so that they neither get lost nor break out of their line."""
    figure = Figure("saga_said", f"Help with {value}.", {"what": value}, 1, "gauge")
    text = look(served(lambda: [figure, gauge("saga_next", 2)]))
    assert samples(text, "gauge") == [("saga_said", {"what": value}, 1.0), ("saga_next", {}, 2.0)]


def test_each_look_sees_the_figures_of_its_moment(served: Served) -> None:
    """Nothing is kept from one look to the next, and nothing is collected when nobody looks."""
    looks: list[int] = []

    def collect() -> Sequence[Figure]:
        looks.append(1)
        return [gauge("saga_looks", len(looks))] if len(looks) < 3 else []

    metrics = served(collect)
    assert looks == []
    assert [samples(look(metrics), "gauge") for _ in range(3)] == [
        [("saga_looks", {}, 1.0)],
        [("saga_looks", {}, 2.0)],
        [],
    ]


def test_two_servers_share_nothing(served: Served) -> None:
    """Each has a registry of its own, with its figures and the process's, and nothing else."""
    one, other = served(lambda: [gauge("saga_one", 1)]), served(lambda: [gauge("saga_other", 1)])
    assert "saga_other" not in look(one)
    assert "saga_one" not in look(other)
    families = [family.name for family in text_string_to_metric_families(look(one))]
    assert all(name.startswith(("saga_one", "process_")) for name in families)


def test_figures_that_cannot_be_collected_harm_one_look_only(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is answered with status 500, the log says where it was without saying what, and the next look is fine."""
    faults = [KeyError("order-4711"), RuntimeError("card 4111")]

    def collect() -> Sequence[Figure]:
        if faults:
            raise faults.pop()
        return [gauge("saga_fine", 1)]

    metrics = served(collect)
    with caplog.at_level(logging.DEBUG):
        for kind in ("RuntimeError", "KeyError"):
            with pytest.raises(HTTPError) as failed:
                look(metrics)
            with failed.value as answer:
                assert (answer.code, answer.read()) == (500, b"the figures could not be collected; the log says more\n")
            assert f"{kind} in collect, line " in caplog.messages[-1]
    assert samples(look(metrics), "gauge") == [("saga_fine", {}, 1.0)]
    assert "4711" not in caplog.text + "".join(capfd.readouterr())
    assert "4111" not in caplog.text


def test_a_figure_that_is_no_number_harms_one_look_only(served: Served) -> None:
    """A fault that shows only when the text is made is answered in the same way."""
    told = [gauge("saga_odd", "three")]  # type: ignore[arg-type]
    metrics = served(lambda: told)
    with pytest.raises(HTTPError) as failed:
        look(metrics)
    with failed.value as answer:
        assert answer.code == 500
    told[:] = [gauge("saga_odd", 3)]
    assert samples(look(metrics), "gauge") == [("saga_odd", {}, 3.0)]


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Served) -> None:
    """Others are served beside it."""
    metrics = served(lambda: [gauge("saga_fine", 1)])
    with socket.create_connection((HOST, metrics.port), timeout=SECONDS) as silent:
        silent.sendall(b"GET /metrics")
        assert samples(look(metrics), "gauge") == [("saga_fine", {}, 1.0)]


def test_a_client_that_hangs_up_is_no_news(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard error is for log lines; this one is of the least severe kind."""
    metrics = served(lambda: [gauge("saga_fine", 1)])
    with caplog.at_level(logging.DEBUG), socket.create_connection((HOST, metrics.port), timeout=SECONDS) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        rude.close()
        until(lambda: "ConnectionResetError" in caplog.text, "the server to notice")
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert capfd.readouterr().err == ""
    assert samples(look(metrics), "gauge") == [("saga_fine", {}, 1.0)]


def test_two_may_look_at_once(served: Served) -> None:
    """The figures may be asked for on several threads at a time."""
    both = Barrier(2, timeout=SECONDS)

    def collect() -> Sequence[Figure]:
        both.wait()
        return [gauge("saga_fine", 1)]

    metrics, seen = served(collect), list[str]()
    threads = [Thread(target=lambda: seen.append(look(metrics))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert all("saga_fine 1.0" in text for text in seen)


def test_nothing_is_changed_over_http(served: Served) -> None:
    """Looking is all that one can do."""
    metrics = served(list)
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://{HOST}:{metrics.port}/metrics", data=b"saga_x 1", timeout=SECONDS)
    with refused.value as answer:
        assert answer.code == 405


def test_a_port_that_is_taken_is_told() -> None:
    """One sentence that names the setting; the one who has the port isn't harmed."""
    with closing(serve(0, HOST, lambda: [gauge("saga_first", 1)])) as first:
        with pytest.raises(CannotServe, match=r"in use.* set SAGA_METRICS_PORT to a free port") as told:
            serve(first.port, HOST, list)
        assert f"port {first.port} of {HOST}" in str(told.value)
        assert "saga_first" in look(first)


def test_an_address_of_another_machine_is_told() -> None:
    """What can't be listened on for any other reason is an error of the same kind."""
    with pytest.raises(CannotServe, match=r"192\.0\.2\.1"):
        serve(0, "192.0.2.1", list)


def test_once_closed_the_port_is_free() -> None:
    """It can be taken again at once, even when somebody has just looked; closing twice does no harm."""
    metrics = serve(0, HOST, list)
    look(metrics)
    metrics.close()
    metrics.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, metrics.port), timeout=SECONDS)
    with closing(serve(metrics.port, HOST, list)) as again:
        assert again.port == metrics.port


def test_an_address_may_be_of_the_sixth_version() -> None:
    """A pod in such a network has no other."""
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 9)) not in (0, errno.ECONNREFUSED):
            pytest.skip("this machine has no IPv6")
    metrics = serve(0, "::1", lambda: [gauge("saga_six", 6)])
    with closing(metrics), urlopen(f"http://[::1]:{metrics.port}/metrics", timeout=SECONDS) as answer:
        assert b"saga_six 6.0" in answer.read()
