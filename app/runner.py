"""The composition root of a pod: settings in, a running topology out."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import Any

from app.engine.application import SagaApplication
from app.engine.kafka import topics_admin
from app.engine.kafka.client_config import ClientConfig
from app.engine.meters import Meters
from app.engine.policy import Policy
from app.engine.processor import SagaProcessor
from app.ops.metrics import serve
from app.ops.pid_file import pid_file, pid_noted
from app.ops.settings import Settings, changed_settings
from app.saga.definition import with_policy
from app.saga.versions import Versions
from app.saga_metrics import PodMetrics
from app.wire.topics import Topics

log = logging.getLogger(__name__)

Draw = Callable[[SagaApplication, Topics, SagaProcessor], Any]


def client_config(settings: Settings) -> ClientConfig:
    """The configuration of the Kafka clients that the settings ask for."""
    return ClientConfig(
        bootstrap=settings.kafka_bootstrap,
        group=settings.group_id,
        instance=settings.instance_id,
        state_dir=settings.state_dir,
        session_timeout=settings.session_timeout,
        transaction_timeout=settings.transaction_timeout,
        poll_timeout=settings.poll_timeout,
        compression=settings.compression,
        open_transactions=settings.open_transactions,
        batch_records=settings.batch_records,
        leave_on_stop=settings.leave_on_stop,
        security=settings.security,
    )


def adjusted(versions: Versions, settings: Settings) -> Versions:
    """The definitions with the times and numbers of attempts that the settings ask for."""
    return versions.each(
        lambda saga: with_policy(
            saga,
            timeout_ms=_ms(settings.step_timeout),
            attempts=settings.step_attempts,
            deadline_ms=_ms(settings.deadline),
            retention_ms=_ms(settings.retention),
        )
    )


def run(settings: Settings, versions: Versions, draw: Draw) -> None:
    """Runs one pod until it is told to stop. Raises EngineStopped when it can't start or can't go on."""
    versions = adjusted(versions, settings)
    topics = Topics(versions, settings.topic_prefix)
    config = client_config(settings)
    partitions = topics_admin.check(config.common(), topics, settings.min_replication, local=settings.local)
    meters = Meters()
    policy = Policy(versions.definitions, settings.step_limit)
    app = SagaApplication(config, topics, policy, meters, measured=settings.metrics_port != 0)
    draw(app, topics, SagaProcessor(versions, partitions, meters, traces=settings.traces))
    log.info("started", extra=_identity(settings, versions) | {"settings": changed_settings(settings)})
    with _served(settings, versions, app), pid_noted(pid_file(settings)):
        app.run()
    log.info("stopped", extra={"seconds": round(app.health.stopping_seconds, 1)})


@contextmanager
def _served(settings: Settings, versions: Versions, app: SagaApplication) -> Iterator[None]:
    if settings.metrics_port == 0:
        yield
        return
    probes = {"/livez": app.health.not_alive, "/readyz": app.health.not_ready, "/startupz": app.health.not_started}
    metrics = PodMetrics(app, _identity(settings, versions))
    with closing(serve(settings.metrics_port, settings.metrics_host, metrics, probes)):
        yield


def _identity(settings: Settings, versions: Versions) -> dict[str, str]:
    return {
        "version": version("order-saga"),
        "definition": versions.name,
        "definition_version": ",".join(str(saga.version) for saga in versions.sagas),
        "instance": settings.instance_id,
        "group": settings.group_id,
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
