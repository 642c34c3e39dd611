"""A start loses no time: neither do those whose partitions change hands."""

import time
from statistics import median

import pytest

from app.engine.lanes import Lane
from tests.devkafka.support import until
from tests.engine.owner import Place

pytestmark = [pytest.mark.broker, pytest.mark.alone]
STARTS = 12
PAUSE_SECONDS = 0.5  # of a client that begins a transactional id, and has no connection yet
WAKE_SECONDS = 1.0  # after which a client that was paused looks again for what may be read


def test_reading_begins_as_soon_as_all_is_restored(place: Place) -> None:
    """A consumer that was paused meanwhile would stay so for a second."""
    place.create()
    place.write("order.requests", 1)
    with place.owner() as owner:
        owner.start()
        owner.restored()
        begun = time.monotonic()
        until(lambda: owner.consumer.poll(0.01) is not None, "a record")
        assert time.monotonic() - begun < 0.8 * WAKE_SECONDS


def test_an_id_is_taken_over_at_once(place: Place) -> None:
    """The client would ask for its coordinator before it can ask anybody, and then wait."""
    place.create()
    took = [seconds_to_open(place) for _ in range(STARTS)]
    assert max(sorted(took)[: STARTS - 2]) < 0.8 * PAUSE_SECONDS, f"median {median(took):.3f} s"


def seconds_to_open(place: Place) -> float:
    """How long a new life's lane takes to open."""
    lane = Lane(place.clients(transaction_timeout=5.0).lanes()[0], 10.0, place.full("saga.state"))
    begun = time.monotonic()
    lane.open()
    took = time.monotonic() - begun
    lane.close()
    return took
