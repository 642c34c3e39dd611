"""A participant that is down, slow or failing gets few commands meanwhile, and no saga is compensated because of it."""

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Message

from tests.broker.order_load import OrderLoad, order_load, say
from tests.broker.pods import Site, site
from tests.broker.step_queues import StepQueues

pytestmark = [pytest.mark.broker, pytest.mark.alone]
PARTITIONS = 2
STEP_LIMIT = 30
ATTEMPTS = 1000
FIRST_BACKOFF = 0.15  # seconds, about, before a failed command is sent again


def max_in_vain(limit: int, pause: float, seconds: float) -> float:
    """The most commands that a partition may send to a participant that does nothing for this many seconds.

    In-flight commands are sent again after each pause, and the window is halved once a second: together that is as much
    as the limit, once for each pause in a second. Before that the limit is used up once, or twice if the first pauses
    are out of step; after that at most one probe a second is sent.
    """
    return limit * (2 + 1 / pause) + seconds


@pytest.mark.slow
def test_an_outage_causes_no_flood_of_commands_and_no_compensation(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The payment service is down for two dozen time-outs: few commands are sent in vain, then all orders complete."""
    away, timeout = 12.0, 0.5
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, order_load(at, 500, PARTITIONS) as orders:
        at.running(step_timeout=timeout, step_limit=STEP_LIMIT, step_attempts=ATTEMPTS)
        orders.service("payment", "--away", f"0-{away:.0f}")
        orders.service("reservation")
        orders.place()
        orders.await_ended()
        check_in_vain(orders, max_in_vain(STEP_LIMIT, timeout, away))
        check_completed(orders, STEP_LIMIT)


def test_the_in_flight_limit_is_kept_and_queued_sagas_keep_their_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """With SAGA_STEP_LIMIT=5 no partition ever has more than 5 commands of a step in flight."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, order_load(at, 300, PARTITIONS) as orders:
        at.running(step_limit=5, step_attempts=ATTEMPTS)
        for name in ("reservation", "payment"):
            orders.service(name, "--delay", "5-20")
        orders.place()
        orders.await_ended()
        check_completed(orders, 5)


@pytest.mark.slow
def test_a_failing_participant_gets_few_commands_until_it_recovers(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """It replies at once with a failure that may be retried: for a while it gets ever fewer commands."""
    broken = 4.0
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, order_load(at, 500, PARTITIONS) as orders:
        at.running(step_limit=STEP_LIMIT, step_attempts=ATTEMPTS)
        orders.service("payment", "--broken", f"0-{broken:.0f}")
        orders.service("reservation")
        orders.place()
        orders.await_ended()
        check_in_vain(orders, max_in_vain(STEP_LIMIT, FIRST_BACKOFF, broken))
        check_completed(orders, STEP_LIMIT)


def check_in_vain(orders: OrderLoad, most: float) -> None:
    """No partition has sent more payment commands than that before the payment service did any work."""
    in_vain = [len(before_first_success(orders.at, number)) for number in range(PARTITIONS)]
    say(f"payments requested in vain, by partition: {in_vain}; {most:.0f} are allowed")
    assert min(in_vain) > STEP_LIMIT
    assert max(in_vain) <= most


def before_first_success(at: Site, partition: int) -> list[Message]:
    """The payment commands that were written before the first payment.charged reply."""
    replies = at.read("payment.replies", partition)
    first = next(reply for reply in replies if ("ce_type", b"payment.charged") in (reply.headers() or ()))
    commands = at.read("payment.commands", partition)
    return [command for command in commands if command.timestamp()[1] < first.timestamp()[1]]


def check_completed(orders: OrderLoad, limit: int) -> None:
    """No order was compensated, all are completed, queued sagas kept their order, and the limit was kept."""
    decisions = orders.decisions()
    types = Counter(type for one in decisions for type in one.types)
    assert types["saga.compensation.requested"] == types["saga.rolled_back"] == 0
    assert orders.check_invariants().totals.completed == orders.orders
    for number in range(orders.partitions):
        queues = StepQueues("reservation", {"reservation": "payment"}).play(
            one for one in decisions if one.partition == number
        )
        say(f"partition {number}: at most {dict(queues.max_in_flight)} commands in flight")
        assert queues.requested == queues.queued
        assert max(queues.max_in_flight.values()) <= limit
