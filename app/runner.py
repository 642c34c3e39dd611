"""The composition root of a pod: settings in, a running topology out."""

from collections.abc import Callable
from typing import Any

from app.engine import admin
from app.engine.application import SagaApplication
from app.engine.clients import Clients
from app.engine.turn import Turns
from app.ops.settings import Settings
from app.saga.definition import Saga, with_policy
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
        lane_count=settings.lanes,
        batch_records=settings.batch_records,
    )


def run(settings: Settings, saga: Saga, draw: Draw) -> None:
    """Runs until it is told to stop. Raises Stopped when it can't start, or go on."""
    timeout = settings.step_timeout
    saga = with_policy(saga, None if timeout is None else round(timeout * 1000), settings.step_attempts)
    topics = Topics(saga, settings.topic_prefix)
    kafka = clients(settings)
    turns = Turns(saga, admin.check(kafka.plain(), topics, settings.min_replication))
    app = SagaApplication(kafka, topics)
    draw(app, topics, turns, app.clock)
    app.on_timer(turns.expire)
    app.run()
