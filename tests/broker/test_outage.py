"""A participant that is away, slow or broken: it is spared meanwhile, and nothing goes back because of it."""

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Message

from tests.broker.crowd import Crowd, crowd, say
from tests.broker.pods import Site, site
from tests.broker.queues import Queues

pytestmark = [pytest.mark.broker, pytest.mark.alone]
PARTITIONS = 2
LIMIT_OF_STEP = 30
ATTEMPTS = 1000
FIRST_PAUSE = 0.15  # seconds, about, before a failed command is sent again


def most_in_vain(limit: int, pause: float, seconds: float) -> float:
    """The most commands that a partition may send to somebody who does nothing for so many seconds.

    What is outstanding is sent again after each pause, and is halved once a second: together that is as much as the
    limit, once for each pause in a second. Before that the limit is used up once, or twice if the first pauses are out
    of step; after that one probe a second is sent at most.
    """
    return limit * (2 + 1 / pause) + seconds


@pytest.mark.slow
def test_an_outage_is_neither_flooded_nor_the_reason_of_any_undo(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A payment service is away for two dozen time-outs: few commands are sent in vain, and then all is completed."""
    away, timeout = 12.0, 0.5
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, crowd(at, 500, PARTITIONS) as orders:
        at.running(step_timeout=timeout, step_limit=LIMIT_OF_STEP, step_attempts=ATTEMPTS)
        orders.service("payment", "--away", f"0-{away:.0f}")
        orders.service("reservation")
        orders.place()
        orders.await_ended()
        spared(orders, most_in_vain(LIMIT_OF_STEP, timeout, away))
        judge(orders, LIMIT_OF_STEP)


def test_a_limit_of_outstanding_commands_is_kept_and_all_wait_in_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """With SAGA_STEP_LIMIT=5 no partition ever has more than 5 commands of a step outstanding."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, crowd(at, 300, PARTITIONS) as orders:
        at.running(step_limit=5, step_attempts=ATTEMPTS)
        for name in ("reservation", "payment"):
            orders.service(name, "--delay", "5-20")
        orders.place()
        orders.await_ended()
        judge(orders, 5)


@pytest.mark.slow
def test_a_participant_that_fails_is_spared_until_it_works_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """It answers at once that it can't, and may be asked again: for a while it is asked ever more seldom."""
    broken = 4.0
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, crowd(at, 500, PARTITIONS) as orders:
        at.running(step_limit=LIMIT_OF_STEP, step_attempts=ATTEMPTS)
        orders.service("payment", "--broken", f"0-{broken:.0f}")
        orders.service("reservation")
        orders.place()
        orders.await_ended()
        spared(orders, most_in_vain(LIMIT_OF_STEP, FIRST_PAUSE, broken))
        judge(orders, LIMIT_OF_STEP)


def spared(orders: Crowd, most: float) -> None:
    """No partition has sent more commands than that to the payment service before it did its work."""
    in_vain = [len(before_first_success(orders.at, number)) for number in range(PARTITIONS)]
    say(f"payments asked for in vain, by partition: {in_vain}; {most:.0f} would be bearable")
    assert min(in_vain) > LIMIT_OF_STEP
    assert max(in_vain) <= most


def before_first_success(at: Site, partition: int) -> list[Message]:
    """The payment commands that were written before the first payment was told."""
    replies = at.read("payment.replies", partition)
    first = next(reply for reply in replies if ("ce_type", b"payment.charged") in (reply.headers() or ()))
    commands = at.read("payment.commands", partition)
    return [command for command in commands if command.timestamp()[1] < first.timestamp()[1]]


def judge(orders: Crowd, limit: int) -> None:
    """Nothing was undone, everything is completed, nobody was overtaken, and the limit was kept."""
    decisions = orders.decided()
    types = Counter(type for one in decisions for type in one.types)
    assert types["saga.compensation.requested"] == types["saga.rolled_back"] == 0
    assert orders.proved().totals.completed == orders.orders
    for number in range(orders.partitions):
        queues = Queues("reservation", {"reservation": "payment"}).play(
            one for one in decisions if one.partition == number
        )
        say(f"partition {number}: at most {dict(queues.most)} commands outstanding")
        assert queues.starts == queues.wishes
        assert max(queues.most.values()) <= limit
