"""Customers and operators who interfere, on the real broker; operators with the command that they have."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import orjson
import pytest

from app.audit.totals import Totals
from app.demo.children import Child
from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.operations import operation
from tests.broker.crowd import proved, say
from tests.broker.hands import (
    cancel,
    confirm,
    confirm_undo,
    events_of,
    refuse,
    refuse_undo,
    succeed,
    undo,
)
from tests.broker.pods import SAGA, Site, site
from tests.broker.run import chances
from tests.devkafka.support import LIMIT, until

pytestmark = pytest.mark.broker
RACES = 12
FINAL = ("saga.completed", "saga.rolled_back")


def test_4a_16_4a_17_cancel_before_in_between_and_after_steps_twice_and_of_nothing(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """As long as an order can go back it does; later, or again, it is told why not."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_limit=1)
        at.place("after")
        at.place("before")  # waits for the room that the first order has
        cancel(at, "before")
        never_asked = ["saga.started", "saga.cancel.requested", "saga.rolled_back"]
        assert at.await_events("before", "saga.rolled_back") == never_asked
        succeed(at, "after", "reservation")
        at.place("between")
        succeed(at, "between", "reservation")  # and waits for room at the payment service
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
        totals = proved(at).totals
        assert (totals.cancelled, totals.completed, totals.dead_letters) == (3, 1, {"unknown_order": 1})


def outcomes(at: Site, order: str) -> list[str]:
    """The outcomes of an order, in their order."""
    mine = [message for message in at.read("order.outcomes") if message.key() == order.encode()]
    return [(dict(message.headers() or ())["ce_type"] or b"").decode() for message in mine]


def requested(at: Site, order: str) -> set[str]:
    """The steps of an order that were ever asked for."""
    return {event["step"] for event in events_of(at, order) if event["type"].endswith(".requested") and "step" in event}


def test_4a_16_cancel_racing_the_last_reply_is_decided_by_the_partition(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Whichever is read first wins; the other one is refused, or ignored, and what was paid is refunded."""
    chance = chances(16)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        racing = [f"race-{number}" for number in range(RACES)]
        at_last_step(at, "reply-first", "cancel-first", *racing)
        confirm(at, "reply-first", "payment")
        at.await_events("reply-first", "saga.completed")
        cancel(at, "reply-first")
        cancel(at, "cancel-first")
        at.await_events("cancel-first", "saga.compensation.requested")
        confirm(at, "cancel-first", "payment")
        for order in racing:
            both(chance, partial(cancel, at, order), partial(confirm, at, order, "payment"))
        for order in ("cancel-first", "reply-first", *racing):
            until(partial(both_decided, at, order), f"both records of {order}")
            if "saga.completed" not in at.decided(order):
                undo(at, order, "payment")
                undo(at, order, "reservation")
        totals = ended(at, RACES + 2)
        say(f"{totals.completed} completed, {totals.cancelled} cancelled")
        assert at.decided("reply-first")[-2:] == ["saga.completed", "saga.cancel.refused"]
        assert "saga.reply.ignored" in at.decided("cancel-first")


def at_last_step(at: Site, *orders: str) -> None:
    """Places orders whose payment alone is missing."""
    for order in orders:
        at.place(order)
    for order in orders:
        succeed(at, order, "reservation")


def both(chance: Random, *writes: Callable[[], object]) -> None:
    """Writes two records in an order that is drawn."""
    for write in chance.sample(writes, 2):
        write()


def both_decided(at: Site, order: str) -> bool:
    """Whether the last reply and the cancel were both decided."""
    types = at.decided(order)
    cancelled = "saga.cancel.requested" in types and "saga.reply.ignored" in types
    return cancelled or "saga.cancel.refused" in types


def ended(at: Site, orders: int) -> Totals:
    """Waits until every order has its end; all of it is proved."""
    until(lambda: sum(type in FINAL for type in all_types(at)) == orders, "all orders to end")
    totals = proved(at).totals
    assert totals.completed + totals.cancelled + totals.rejected == orders
    assert totals.stuck == totals.running == 0
    return totals


def all_types(at: Site) -> list[str]:
    """The types of all events so far."""
    return [event["type"] for decision in at.decisions() for event in decision["events"]]


@pytest.mark.slow
def test_4a_20_operators_racing_a_reply_are_decided_by_the_partition(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Retry, skip and compensate against the answer that was waited for: whichever is read first, each order ends."""
    chance = chances(20)
    kinds: tuple[type[Operation], ...] = (Retry, Skip, Compensate)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        orders = {f"{kind.__name__}-{number}".lower(): kind for kind in kinds for number in range(RACES // 3)}
        at_last_step(at, *orders)
        for order in (order for order, kind in orders.items() if kind is not Compensate):
            refuse(at, order, "payment")
            refuse_undo(at, order, "reservation")
        for order, kind in orders.items():
            answer = partial(confirm, at, order, "payment")
            if kind is not Compensate:
                at.await_events(order, "saga.stuck")
                answer = partial(confirm_undo, at, order, "reservation")
            both(chance, answer, partial(operate, at, order, kind))
        for order, kind in orders.items():
            until(partial(operated, at, order), f"the operation on {order}")
            if kind is Compensate and "saga.operated" in at.decided(order):
                undo(at, order, "payment")
                undo(at, order, "reservation")
        ended(at, len(orders))
        say(str(Counter(type for type in all_types(at) if "operat" in type)))


def operate(at: Site, order: str, kind: type[Operation]) -> None:
    """Writes an operator's wish."""
    record = operation(order, kind(f"{order}:wish", "ann", "a customer called"), time.time_ns() // 1_000_000)
    at.send(record.topic, record.key, record.value, record.headers)


def operated(at: Site, order: str) -> bool:
    """Whether an operator's wish was decided."""
    return any(type in ("saga.operated", "saga.operation.refused") for type in at.decided(order))


@pytest.mark.slow
def test_operators_end_what_is_stuck(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Listed, retried in vain and then not, skipped, turned back; refused where it makes no sense; all is audited."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        broken = at.children.service(SAGA, "reservation", "--fail-undo-for-good", "1")
        broken.start()
        get_stuck(at)
        see_to_what_is_stuck(at, broken)
        turn_back(at, "turned")
        assert stuck(at) == set()
        are_refused(at)
        assert outcomes(at, "retried") == ["order.stuck", "order.stuck", "order.rejected"]
        assert outcomes(at, "turned") == ["order.cancelled"]
        assert at.decided("done").count("saga.operation.refused") == 3
        assert {event["operator"] for event in events_of(at, "retried") if event["type"] == "saga.operated"} == {"ann"}
        assert ended(at, 4).dead_letters == {"unknown_order": 1}


def get_stuck(at: Site) -> None:
    """Of four orders two are stuck, and listed; one is under way, and one is done."""
    for order in ("retried", "skipped", "turned", "done"):
        at.place(order)
    for order in ("retried", "skipped"):
        refuse(at, order, "payment")
        at.await_events(order, "saga.stuck")
    succeed(at, "done", "payment")
    at.await_events("done", "saga.completed")
    assert stuck(at) == {("retried", "reservation", "undo"), ("skipped", "reservation", "undo")}


def see_to_what_is_stuck(at: Site, broken: Child) -> None:
    """One is retried in vain, and again once the service works; the other is skipped."""
    assert saga(at, "retry", "retried") == (0, "retried: reservation's undo is asked again (attempt 2)")
    until(lambda: at.decided("retried").count("saga.stuck") == 2, "the retry to fail")
    assert len(stuck(at)) == 2
    assert broken.stop() == 0
    at.children.service(SAGA, "reservation").start()
    assert saga(at, "retry", "retried") == (0, "retried: reservation's undo is asked again (attempt 3)")
    at.await_events("retried", "saga.rolled_back")
    assert saga(at, "skip", "skipped") == (0, "skipped: reservation's undo is taken as done by hand; rolled back")


def turn_back(at: Site, order: str) -> None:
    """An order that is under way is rolled back."""
    assert saga(at, "compensate", order) == (0, f"{order} goes back; payment's undo is asked")
    undo(at, order, "payment")
    at.await_events(order, "saga.rolled_back")


def are_refused(at: Site) -> None:
    """What makes no sense for an order that is done, and what is wished for one that nobody placed."""
    for command in ("retry", "skip", "compensate"):
        code, told = saga(at, command, "done")
        assert (code, told.startswith("done was refused: needs a saga that ")) == (1, True)
    code, told = saga(at, "retry", "nobody")
    assert (code, told.startswith("nobody is not known: ")) == (1, True)


def saga(at: Site, *words: str) -> tuple[int, str]:
    """Exit code and standard output of the command, called as an operator would."""
    where = ("--bootstrap", at.client["bootstrap.servers"], "--prefix", at.topics.prefix)
    who = ("--operator", "ann", "--reason", "a customer called") if words[0] != "stuck" else ()
    ended = subprocess.run([*SAGA, *words, *who, *where], capture_output=True, text=True, check=False, timeout=LIMIT)
    return ended.returncode, ended.stdout.strip()


def stuck(at: Site) -> set[tuple[str, str, str]]:
    """What `saga stuck` lists: order, step and direction."""
    code, told = saga(at, "stuck", "--json")
    assert code == 0
    steps = map(orjson.loads, told.splitlines())
    return {(step["order_id"], step["step"], step["direction"]) for step in steps}
