"""Cancels by customers and operations by operators, on the real broker; operators use the `saga` command."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import orjson
import pytest

from app.audit.report.totals import Totals
from app.demo.children import Child
from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.operations import operation
from tests.broker.order_load import check_invariants, say
from tests.broker.participant_replies import (
    cancel,
    events_of,
    refuse,
    refuse_undo,
    send_success,
    send_undone,
    succeed,
    undo,
)
from tests.broker.pods import SAGA, Site, site
from tests.broker.run import seeded_random
from tests.devkafka.support import LIMIT, until

pytestmark = pytest.mark.broker
RACES = 12
FINAL = ("saga.completed", "saga.rolled_back")


def test_4a_16_4a_17_cancel_before_between_and_after_steps_twice_and_of_an_unknown_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A cancel rolls an order back as long as that is possible; a later or a repeated one is refused with a reason."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_limit=1)
        at.place("after")
        at.place("before")  # queued: the first order uses up the limit
        cancel(at, "before")
        never_asked = ["saga.started", "saga.cancel.requested", "saga.rolled_back"]
        assert at.await_events("before", "saga.rolled_back") == never_asked
        succeed(at, "after", "reservation")
        at.place("between")
        succeed(at, "between", "reservation")  # and is queued for the payment
        until(lambda: "saga.step.succeeded" in at.decided("between"), "the first step to be done")
        cancel(at, "between")
        undo(at, "between", "reservation")
        at.await_events("between", "saga.rolled_back")
        at.place("in")
        at.await_events("in", "saga.step.requested")
        cancel(at, "in")
        undo(at, "in", "reservation")
        at.await_events("in", "saga.rolled_back")
        succeed(at, "after", "payment")
        at.await_events("after", "saga.completed")
        for order in ("after", "in", "nobody"):
            cancel(at, order, 2)
        for order in ("after", "in"):
            at.await_events(order, "saga.cancel.refused")
        assert outcomes(at, "before") == outcomes(at, "between") == ["order.cancelled"]
        assert outcomes(at, "in") == ["order.cancelled", "order.cancel.refused"]
        assert outcomes(at, "after") == ["order.completed", "order.cancel.refused"]
        assert requested(at, "between") == {"reservation"}
        totals = check_invariants(at).totals
        assert (totals.cancelled, totals.completed, totals.dead_letters) == (3, 1, {"unknown_order": 1})


def outcomes(at: Site, order: str) -> list[str]:
    """The outcomes of an order, in log order."""
    mine = [message for message in at.read("order.outcomes") if message.key() == order.encode()]
    return [(dict(message.headers() or ())["ce_type"] or b"").decode() for message in mine]


def requested(at: Site, order: str) -> set[str]:
    """The steps of an order that were ever requested."""
    return {event["step"] for event in events_of(at, order) if event["type"].endswith(".requested") and "step" in event}


def test_4a_16_cancel_racing_the_last_reply_is_decided_by_log_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The first in the log wins; the other is refused or ignored, and a payment made is refunded."""
    rng = seeded_random(16)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        racing = [f"race-{number}" for number in range(RACES)]
        place_and_reserve(at, "reply-first", "cancel-first", *racing)
        send_success(at, "reply-first", "payment")
        at.await_events("reply-first", "saga.completed")
        cancel(at, "reply-first")
        cancel(at, "cancel-first")
        at.await_events("cancel-first", "saga.compensation.requested")
        send_success(at, "cancel-first", "payment")
        for order in racing:
            send_in_random_order(rng, partial(cancel, at, order), partial(send_success, at, order, "payment"))
        for order in ("cancel-first", "reply-first", *racing):
            until(partial(both_decided, at, order), f"both records of {order}")
            if "saga.completed" not in at.decided(order):
                undo(at, order, "payment")
                undo(at, order, "reservation")
        totals = check_all_ended(at, RACES + 2)
        say(f"{totals.completed} completed, {totals.cancelled} cancelled")
        assert at.decided("reply-first")[-2:] == ["saga.completed", "saga.cancel.refused"]
        assert "saga.reply.ignored" in at.decided("cancel-first")


def place_and_reserve(at: Site, *orders: str) -> None:
    """Places orders, and brings them to where only the payment is missing."""
    for order in orders:
        at.place(order)
    for order in orders:
        succeed(at, order, "reservation")


def send_in_random_order(rng: Random, *writes: Callable[[], object]) -> None:
    """Writes two records in random order."""
    for write in rng.sample(writes, 2):
        write()


def both_decided(at: Site, order: str) -> bool:
    """Whether the last reply and the cancel were both decided."""
    types = at.decided(order)
    cancelled = "saga.cancel.requested" in types and "saga.reply.ignored" in types
    return cancelled or "saga.cancel.refused" in types


def check_all_ended(at: Site, orders: int) -> Totals:
    """Waits until every order has ended, and audits the topics."""
    until(lambda: sum(type in FINAL for type in all_types(at)) == orders, "all orders to end")
    totals = check_invariants(at).totals
    assert totals.completed + totals.cancelled + totals.rejected == orders
    assert totals.stuck == totals.running == 0
    return totals


def all_types(at: Site) -> list[str]:
    """The types of all events so far."""
    return [event["type"] for decision in at.decisions() for event in decision["events"]]


@pytest.mark.slow
def test_4a_20_operators_racing_a_reply_are_decided_by_log_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Retry, skip and compensate race the awaited reply: whichever is first in the log, each order ends."""
    rng = seeded_random(20)
    kinds: tuple[type[Operation], ...] = (Retry, Skip, Compensate)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        orders = {f"{kind.__name__}-{number}".lower(): kind for kind in kinds for number in range(RACES // 3)}
        place_and_reserve(at, *orders)
        for order in (order for order, kind in orders.items() if kind is not Compensate):
            refuse(at, order, "payment")
            refuse_undo(at, order, "reservation")
        for order, kind in orders.items():
            answer = partial(send_success, at, order, "payment")
            if kind is not Compensate:
                at.await_events(order, "saga.stuck")
                answer = partial(send_undone, at, order, "reservation")
            send_in_random_order(rng, answer, partial(operate, at, order, kind))
        for order, kind in orders.items():
            until(partial(operated, at, order), f"the operation on {order}")
            if kind is Compensate and "saga.operated" in at.decided(order):
                undo(at, order, "payment")
                undo(at, order, "reservation")
        check_all_ended(at, len(orders))
        say(str(Counter(type for type in all_types(at) if "operat" in type)))


def operate(at: Site, order: str, kind: type[Operation]) -> None:
    """Writes an operation record."""
    record = operation(order, kind(f"{order}:operation", "ann", "a customer called"), time.time_ns() // 1_000_000)
    at.send(record.topic, record.key, record.value, record.headers)


def operated(at: Site, order: str) -> bool:
    """Whether the operation was decided."""
    return any(type in ("saga.operated", "saga.operation.refused") for type in at.decided(order))


@pytest.mark.slow
def test_operators_resolve_stuck_sagas(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Stuck sagas are listed, retried and skipped, an active one compensated; senseless operations are refused."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        broken = at.children.service(SAGA, "reservation", "--fail-undo-for-good", "1")
        broken.start()
        make_two_stuck(at)
        resolve_stuck(at, broken)
        roll_back(at, "turned")
        assert stuck(at) == set()
        check_refusals(at)
        assert outcomes(at, "retried") == ["order.stuck", "order.stuck", "order.rejected"]
        assert outcomes(at, "turned") == ["order.cancelled"]
        assert at.decided("done").count("saga.operation.refused") == 3
        assert {event["operator"] for event in events_of(at, "retried") if event["type"] == "saga.operated"} == {"ann"}
        assert check_all_ended(at, 4).dead_letters == {"unknown_order": 1}


def make_two_stuck(at: Site) -> None:
    """Of four orders two are stuck and listed, one is active, and one is completed."""
    for order in ("retried", "skipped", "turned", "done"):
        at.place(order)
    for order in ("retried", "skipped"):
        refuse(at, order, "payment")
        at.await_events(order, "saga.stuck")
    succeed(at, "done", "payment")
    at.await_events("done", "saga.completed")
    assert stuck(at) == {("retried", "reservation", "undo"), ("skipped", "reservation", "undo")}


def resolve_stuck(at: Site, broken: Child) -> None:
    """One is retried in vain, and again once the service works; the other is skipped."""
    assert saga(at, "retry", "retried") == (0, "retried: reservation's undo is requested again (attempt 2)")
    until(lambda: at.decided("retried").count("saga.stuck") == 2, "the retry to fail")
    assert len(stuck(at)) == 2
    assert broken.stop() == 0
    at.children.service(SAGA, "reservation").start()
    assert saga(at, "retry", "retried") == (0, "retried: reservation's undo is requested again (attempt 3)")
    at.await_events("retried", "saga.rolled_back")
    assert saga(at, "skip", "skipped") == (0, "skipped: reservation's undo is taken as done by hand; rolled back")


def roll_back(at: Site, order: str) -> None:
    """Rolls back an active order with `saga compensate`."""
    assert saga(at, "compensate", order) == (0, f"{order}: rollback started; payment's undo is requested")
    undo(at, order, "payment")
    at.await_events(order, "saga.rolled_back")


def check_refusals(at: Site) -> None:
    """Operations on a completed order, and on an order that was never placed."""
    for command in ("retry", "skip", "compensate"):
        code, output = saga(at, command, "done")
        assert (code, output.startswith("done was refused: needs a saga that ")) == (1, True)
    code, output = saga(at, "retry", "nobody")
    assert (code, output.startswith("nobody is not known: ")) == (1, True)


def saga(at: Site, *words: str) -> tuple[int, str]:
    """Runs the `saga` command as an operator would; returns its exit code and standard output."""
    kafka = ("--bootstrap", at.client["bootstrap.servers"], "--prefix", at.topics.prefix)
    operator = ("--operator", "ann", "--reason", "a customer called") if words[0] != "stuck" else ()
    ended = subprocess.run(
        [*SAGA, *words, *operator, *kafka], capture_output=True, text=True, check=False, timeout=LIMIT
    )
    return ended.returncode, ended.stdout.strip()


def stuck(at: Site) -> set[tuple[str, str, str]]:
    """Order, step and direction of each line of `saga stuck`."""
    code, output = saga(at, "stuck", "--json")
    assert code == 0
    steps = map(orjson.loads, output.splitlines())
    return {(step["order_id"], step["step"], step["direction"]) for step in steps}
