"""The Prometheus endpoint of a process."""

import logging
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 10
_POLL_SECONDS = 0.1  # how soon the server thread sees that it is to stop
_UNCOLLECTED = b"the metrics could not be collected; see the log\n"


class CannotServe(Exception):
    """The endpoint can't listen on the address of the settings. The message says in one sentence what to change."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram: cumulative counts by upper bound, the last of which is `+Inf`, and the sum of all observations."""

    counts: tuple[tuple[str, float], ...]
    total: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. Samples of one name have one kind and one help text; a counter's name ends in `_total`."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float | Buckets
    kind: Literal["gauge", "counter", "histogram"]


Collect = Callable[[], Sequence[Sample]]


class Metrics:
    """An endpoint that serves from its construction until `close`."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self._thread = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Frees the port; a response being sent may be cut off. A second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


Probe = Callable[[], str | None]
"""Why not; None when all is well."""


def serve(port: int, host: str, collect: Collect, probes: Mapping[str, Probe] | None = None) -> Metrics:
    """Serves the samples of `collect` and the library's own `process_…` metrics; port 0 takes any free port.

    Beside them it answers each probe by its path: 200, or 503 with the reason.

    Each scrape calls `collect` on a server thread, possibly several at once: it must only read, and be quick. A scrape
    whose `collect` raises is answered with status 500. Raises CannotServe.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_SampleCollector(collect))
    try:
        app = _with_probes(make_wsgi_app(registry), probes or {})
        return Metrics(_Server(host, port, _answering_errors(app)))
    except OSError as error:
        raise CannotServe(
            f"metrics can't be served on port {port} of {host} ({error.strerror or error}): "
            "set SAGA_METRICS_PORT to a free port, or to 0 for no metrics"
        ) from error


def _with_probes(app: Callable[..., Any], probes: Mapping[str, Probe]) -> Callable[..., Any]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        probe = probes.get(environ["PATH_INFO"])
        if probe is None:
            body: Iterable[bytes] = app(environ, start_response)
            return body
        reason = probe()
        status = "200 OK" if reason is None else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
        return [f"{reason or 'ok'}\n".encode()]

    return answer


class _SampleCollector(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for sample in self._collect():
            family = families.get(sample.name)
            if family is None:
                family = families[sample.name] = _family(sample)
            _add(family, sample)
        return families.values()


def _add(family: Metric, sample: Sample) -> None:
    labels = dict(sample.labels)
    if isinstance(sample.value, Buckets):
        for bound, count in sample.value.counts:
            family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
        family.add_sample(f"{family.name}_count", labels, sample.value.counts[-1][1])
        family.add_sample(f"{family.name}_sum", labels, sample.value.total)
    else:
        family.add_sample(f"{family.name}_total" if family.type == "counter" else family.name, labels, sample.value)


def _family(sample: Sample) -> Metric:
    if sample.kind == "counter":
        return CounterMetricFamily(sample.name, sample.help)
    if sample.kind == "histogram":
        return HistogramMetricFamily(sample.name, sample.help)
    return GaugeMetricFamily(sample.name, sample.help)


def _answering_errors(app: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI app, but an error in it is answered with status 500 and logged without its text, which may hold data."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            body: Iterable[bytes] = app(environ, start_response)
        except Exception as error:  # noqa: BLE001 - the server goes on
            frame = traceback.extract_tb(error.__traceback__)[-1]
            log.warning("metrics: %s in %s, line %s", type(error).__name__, frame.name, frame.lineno)
            start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
            return [_UNCOLLECTED]
        return body

    return answer


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, *_: object) -> None:
        """Doesn't log scrapes."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = False  # some versions of Python allow it: two pods could share a port unnoticed

    def __init__(self, host: str, port: int, app: Callable[..., Any]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def handle_error(self, *_: object) -> None:
        """A client that went away, or sent no request in time, is worth a debug line only."""
        log.debug("metrics: client not answered: %s", type(sys.exception()).__name__)
