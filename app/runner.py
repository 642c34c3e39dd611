"""The composition root of a pod: settings in, a running topology out."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from app.engine import admin
from app.engine.application import SagaApplication
from app.engine.clients import Clients
from app.engine.ownership import Policy
from app.engine.turn import Turns
from app.figures import figures
from app.ops.metrics import serve
from app.ops.settings import Settings
from app.saga.definition import with_policy
from app.saga.versions import Versions
from app.wire.topics import Topics

Draw = Callable[[SagaApplication, Topics, Turns, Callable[[], int]], Any]


def clients(settings: Settings) -> Clients:
    """The Kafka clients that the settings ask for."""
    return Clients(
        bootstrap=settings.kafka_bootstrap,
        group=settings.group_id,
        instance=settings.instance_id,
        state_dir=settings.state_dir,
        session_timeout=settings.session_timeout,
        transaction_timeout=settings.transaction_timeout,
        poll_timeout=settings.poll_timeout,
        compression=settings.compression,
        open_at_once=settings.lanes,
        batch_records=settings.batch_records,
        access=settings.access,
    )


def adjusted(versions: Versions, settings: Settings) -> Versions:
    """The sagas with the times and numbers of attempts that the settings ask for."""
    return versions.each(
        lambda saga: with_policy(
            saga,
            timeout_ms=_ms(settings.step_timeout),
            attempts=settings.step_attempts,
            deadline_ms=_ms(settings.deadline),
            remembered_ms=_ms(settings.remember),
        )
    )


def run(settings: Settings, versions: Versions, draw: Draw) -> None:
    """Runs until it is told to stop. Raises Stopped when it can't start, or go on."""
    versions = adjusted(versions, settings)
    topics = Topics(versions, settings.topic_prefix)
    kafka = clients(settings)
    turns = Turns(versions, admin.check(kafka.plain(), topics, settings.min_replication, local=settings.local))
    app = SagaApplication(kafka, topics, Policy(versions.definitions, settings.step_limit))
    draw(app, topics, turns, app.clock)
    app.kept_by(turns)
    with _served(settings, app):
        app.run()


@contextmanager
def _served(settings: Settings, app: SagaApplication) -> Iterator[None]:
    if settings.metrics_port == 0:
        yield
        return
    with closing(serve(settings.metrics_port, settings.metrics_host, lambda: figures(app.standings()))):
        yield


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
