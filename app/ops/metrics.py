"""Figures of this process for Prometheus, over HTTP."""

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 10
_NOTICE_SECONDS = 0.1  # until a close is noticed
_UNCOLLECTED = b"the figures could not be collected; the log says more\n"


class CannotServe(Exception):
    """The metrics can't be served as the settings say; the message says in one sentence what to change."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. Figures of one name are of one kind, with one help text; a counter's name ends in `_total`."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float
    kind: Literal["gauge", "counter"]


Collect = Callable[[], Sequence[Figure]]


class Metrics:
    """Metrics that are being served until they are closed."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self._thread = Thread(target=server.serve_forever, args=(_NOTICE_SECONDS,), name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that was taken."""
        return self._server.server_port

    def close(self) -> None:
        """Frees the port; an answer that is under way may be cut off. Closing twice does no harm."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(port: int, host: str, collect: Collect) -> Metrics:
    """Serves what `collect` returns at each look, beside the library's `process_…`; port 0 takes any free one.

    `collect` is called on the server's threads, at any moment, maybe on several at once: it should only read, and
    briefly. When it raises, that look is answered with status 500. Raises CannotServe.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Figures(collect))
    try:
        return Metrics(_Server(host, port, _guarded(make_wsgi_app(registry))))
    except OSError as error:
        raise CannotServe(
            f"metrics can't be served on port {port} of {host} ({error.strerror or error}): "
            "set SAGA_METRICS_PORT to a free port, or to 0 for no metrics"
        ) from error


class _Figures(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for figure in self._collect():
            family = families.get(figure.name)
            if family is None:
                family = families[figure.name] = _family(figure)
            sample = f"{family.name}_total" if family.type == "counter" else family.name
            family.add_sample(sample, dict(figure.labels), figure.value)
        return families.values()


def _family(figure: Figure) -> Metric:
    if figure.kind == "counter":
        return CounterMetricFamily(figure.name, figure.help)
    return GaugeMetricFamily(figure.name, figure.help)


def _guarded(app: Callable[..., Any]) -> Callable[..., Any]:
    """The same application; what goes wrong in it is answered, and logged without its text, which may tell too much."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            found: Iterable[bytes] = app(environ, start_response)
        except Exception as error:  # noqa: BLE001 - the server lives on
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.warning("metrics: %s in %s, line %s", type(error).__name__, where.name, where.lineno)
            start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
            return [_UNCOLLECTED]
        return found

    return answer


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, *_: object) -> None:
        """Looks are no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = False  # some versions of Python allow it: two pods would share a port, and nobody would notice

    def __init__(self, host: str, port: int, app: Callable[..., Any]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def handle_error(self, *_: object) -> None:
        """A client that went away, or said nothing in time, is next to no news."""
        log.debug("metrics: a client was not answered: %s", type(sys.exception()).__name__)
