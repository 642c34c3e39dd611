"""The composition root of a pod: settings in, a running topology out."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from app.engine.application import SagaApplication
from app.engine.kafka import topics_admin
from app.engine.kafka.client_config import ClientConfig
from app.engine.policy import Policy
from app.engine.processor import SagaProcessor
from app.ops.metrics import serve
from app.ops.settings import Settings
from app.saga.definition import with_policy
from app.saga.versions import Versions
from app.saga_metrics import samples
from app.wire.topics import Topics

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
    app = SagaApplication(config, topics, Policy(versions.definitions, settings.step_limit))
    draw(app, topics, SagaProcessor(versions, partitions))
    with _served(settings, app):
        app.run()


@contextmanager
def _served(settings: Settings, app: SagaApplication) -> Iterator[None]:
    if settings.metrics_port == 0:
        yield
        return
    with closing(serve(settings.metrics_port, settings.metrics_host, lambda: samples(app.partition_stats()))):
        yield


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
