"""Starts and rebalances lose no time to pauses of the clients."""

import time
from statistics import median

import pytest

from app.engine.kafka.transactions import TransactionalProducer
from tests.devkafka.support import until
from tests.engine.sandbox import Sandbox

pytestmark = [pytest.mark.broker, pytest.mark.alone]
STARTS = 12
PAUSE_SECONDS = 0.5  # pause of a client that initialises a transactional id without a connection
WAKE_SECONDS = 1.0  # after this time, a client that was paused looks for records again


def test_reading_begins_as_soon_as_the_state_is_restored(sandbox: Sandbox) -> None:
    """A consumer that was paused during the restore would pause for a second more."""
    sandbox.create()
    sandbox.write("order.requests", 1)
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        started = time.monotonic()
        until(lambda: member.consumer.poll(0.01) is not None, "a record")
        assert time.monotonic() - started < 0.8 * WAKE_SECONDS


def test_a_transactional_id_is_taken_over_at_once(sandbox: Sandbox) -> None:
    """Without a connection, the client could not ask for its coordinator, and would pause."""
    sandbox.create()
    took = [seconds_to_initialise(sandbox) for _ in range(STARTS)]
    assert max(sorted(took)[: STARTS - 2]) < 0.8 * PAUSE_SECONDS, f"median {median(took):.3f} s"


def seconds_to_initialise(sandbox: Sandbox) -> float:
    """Seconds that a new process's producer takes to initialise its transactional id."""
    producer = TransactionalProducer(
        sandbox.client_config(transaction_timeout=5.0).producers()[0], 10.0, sandbox.full("saga.state")
    )
    started = time.monotonic()
    producer.init_transactions()
    took = time.monotonic() - started
    producer.close()
    return took
