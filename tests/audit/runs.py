"""Good runs of the order saga, one per way that an order can go; and the run that has all of them."""

from collections.abc import Callable
from hashlib import sha256

import orjson

from app.audit.recording import Recording
from app.wire.partition import partition_of
from tests.audit import packed_runs
from tests.audit.events import (
    COMPLETED,
    IGNORED,
    STARTED,
    ask,
    cancel,
    refuse_cancel,
    refuse_operation,
    rolled_back,
    see_to,
    stuck,
    turn,
    undo,
    undo_was,
    was,
    why,
)
from tests.audit.scribe import Case
from tests.audit.world import PARTITIONS, World


def until_reserved(case: Case) -> None:
    """Placed and reserved; the payment is asked for."""
    case.decide(case.place(), STARTED, ask("reservation"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), was("succeeded", "reservation"), ask("payment"))


def until_refund(case: Case) -> None:
    """An operator rolls the saga back while the payment is open."""
    until_reserved(case)
    case.decide(case.wish("saga.compensate"), turn("payment"), undo("payment"))


def until_stuck(case: Case) -> None:
    """The refund failed for good."""
    until_refund(case)
    failed = case.reply("payment.failed", "payment:undo", retryable=False)
    case.decide(failed, undo_was("failed", "payment"), stuck("payment", reason="down"))


def released(case: Case, *, requested: bool = False, step: str = "payment") -> None:
    """The last undo succeeds."""
    done = case.reply("reservation.released", "reservation:undo")
    case.decide(done, undo_was("succeeded", "reservation"), rolled_back(step, requested=requested))


def happy(case: Case) -> None:
    """Reserved, charged, completed."""
    until_reserved(case)
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"), COMPLETED)


def declined(case: Case) -> None:
    """The payment is declined: what was reserved is released."""
    until_reserved(case)
    no = case.reply("payment.declined", "payment:do")
    case.decide(no, was("refused", "payment", because=why("payment")), undo("reservation"))
    released(case)


def rejected(case: Case) -> None:
    """The reservation is rejected: there is nothing to undo."""
    case.decide(case.place(), STARTED, ask("reservation"))
    no = case.reply("reservation.rejected", "reservation:do")
    case.decide(no, was("refused", "reservation", because=why("reservation")), rolled_back("reservation"))


def retried(case: Case) -> None:
    """The reservation fails and is asked for again after a pause; in the end the first attempt is answered as well."""
    case.decide(case.place(), STARTED, ask("reservation"))
    failed = case.reply("reservation.failed", "reservation:do")
    case.decide(failed, was("failed", "reservation", retry_due_ms=300))
    case.decide(case.at("reservation:do:1:pause"), ask("reservation", 2))
    done = case.reply("reservation.reserved", "reservation:do", 2)
    case.decide(done, was("succeeded", "reservation", 2), ask("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"), COMPLETED)


def in_doubt(case: Case) -> None:
    """The payment times out twice and is given up; it is refunded, though its answer comes late."""
    until_reserved(case)
    case.decide(case.at("payment:do:1:timeout"), was("timed_out", "payment"), ask("payment", 2))
    late = was("timed_out", "payment", 2, because=why("payment"))
    case.decide(case.at("payment:do:2:timeout"), late, undo("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), undo("reservation"))
    released(case)


def cancelled(case: Case) -> None:
    """Cancelled while the payment was open, and once more on the way back; the payment was never made."""
    until_reserved(case)
    case.decide(case.wish("order.cancel"), cancel("payment"), undo("payment"))
    case.decide(case.wish("order.cancel", 2), refuse_cancel("going back"))
    case.decide(case.reply("payment.declined", "payment:do"), IGNORED)
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), undo("reservation"))
    released(case, requested=True)


def skipped(case: Case) -> None:
    """Stuck in a refund, which an operator then makes by hand."""
    until_stuck(case)
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(case.wish("saga.skip"), see_to("payment"), undo("reservation"))
    released(case, requested=True)


def unstuck(case: Case) -> None:
    """Stuck in a refund that is sent again by an operator, fails again, and is answered late."""
    until_stuck(case)
    case.decide(case.wish("saga.retry"), see_to("payment"), undo("payment", 2))
    case.decide(case.at("payment:undo:2:timeout"), undo_was("timed_out", "payment", 2), stuck("payment", 2))
    done = case.reply("payment.refunded", "payment:undo", 2)
    case.decide(done, undo_was("succeeded", "payment", 2), undo("reservation"))
    released(case, requested=True)


def refused(case: Case) -> None:
    """A completed order, which can neither be cancelled nor compensated."""
    happy(case)
    case.decide(case.wish("order.cancel"), refuse_cancel("too late"))
    case.decide(case.wish("saga.compensate"), refuse_operation("it has ended"))


def repeated(case: Case) -> None:
    """Everything comes twice, and another order with the same id as well."""
    case.decide(case.place(), STARTED, ask("reservation"))
    case.place(note="a field that nobody knows")
    case.world.bury(case.place(customer_id="c-other"), "conflict")
    done = case.reply("reservation.reserved", "reservation:do")
    case.decide(done, was("succeeded", "reservation"), ask("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"), COMPLETED)
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.place()


def structured(case: Case) -> None:
    """The order comes as a CloudEvent in structured mode."""
    event = {"specversion": "1.0", "id": f"{case.id}:place", "type": "order.place", "source": "/s", "data": case.order}
    headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    placed = case.world.put("order.requests", case.id, orjson.dumps(event), headers)
    case.decide(placed, STARTED, ask("reservation"))
    no = case.reply("reservation.rejected", "reservation:do")
    case.decide(no, was("refused", "reservation", because=why("reservation")), rolled_back("reservation"))


def misrouted(case: Case) -> None:
    """A client with another partitioner wrote the order; it is sent on, and read in its right partition."""
    away = (partition_of(case.id.encode(), PARTITIONS) + 1) % PARTITIONS
    headers = case.world.headers(case.id, "order.place", f"{case.id}:place", "/test")
    value = orjson.dumps(case.order)
    case.world.put("order.requests", case.id, value, headers, away)
    placed = case.world.put("order.requests", case.id, value, headers)
    case.decide(placed, STARTED, ask("reservation"))
    no = case.reply("reservation.rejected", "reservation:do")
    case.decide(no, was("refused", "reservation", because=why("reservation")), rolled_back("reservation"))


def queued(case: Case) -> None:
    """No participant has room: each command waits, after a start, a time-out, a failure, a refusal."""
    case.decide(case.place(), STARTED)
    case.decide(case.at("reservation:do:0:room"), ask("reservation"))
    case.decide(case.at("reservation:do:1:timeout"), was("timed_out", "reservation"))
    case.decide(case.at("reservation:do:1:room"), ask("reservation", 2))
    case.decide(case.reply("reservation.failed", "reservation:do", 2), was("failed", "reservation", 2))
    case.decide(case.at("reservation:do:2:room"), ask("reservation", 3))
    case.decide(case.reply("reservation.reserved", "reservation:do", 3), was("succeeded", "reservation", 3))
    case.decide(case.at("payment:do:0:room"), ask("payment"))
    case.decide(case.reply("payment.declined", "payment:do"), was("refused", "payment", because=why("payment")))
    case.decide(case.at("reservation:undo:0:room"), undo("reservation"))
    released(case)


def forgotten(case: Case) -> None:
    """An order that ended, was forgotten and is unknown since."""
    happy(case)
    case.decide(case.wish("order.cancel"), refuse_cancel("too late"))
    case.forget()
    case.world.bury(case.wish("order.cancel", 2), "unknown_order")


def placed_again(case: Case) -> None:
    """An order whose id was forgotten, and then given to another order: a second history."""
    declined(case)
    case.forget()
    case.world.bury(case.reply("payment.charged", "payment:do"), "unknown_order")
    case.minor += 500
    happy(case)
    case.place()


WAYS = (
    happy, declined, rejected, retried, in_doubt, cancelled, until_stuck, skipped, unstuck, refused, repeated,
    structured, misrouted, queued, forgotten, placed_again,
)  # fmt: skip


def bad_records(world: World) -> None:
    """Records that no saga can take in."""
    world.bury(
        world.put("order.requests", "bad-1", b"{not json", world.headers("bad-1", "order.place", "b1", "/x")),
        "malformed",
    )
    world.bury(world.put("order.requests", None, None, (), 0), "malformed")
    world.bury(
        world.send("order.requests", "bad-2", "order.cancel", "b2", {"order_id": "bad-2", "reason": ""}),
        "unknown_order",
    )
    world.bury(world.send("order.requests", "bad-3", "order.place", "b3", {"order_id": "other"}), "wrong_key")
    big = b'"' + b"x" * 300_000 + b'"'
    cut = {"truncated": "true", "sha256": sha256(big).hexdigest()}
    world.bury(world.put("payment.replies", "bad-4", big, ()), "too_large", 256 * 1024, **cut)


def good_run(world: World | None = None) -> Recording:
    """Every way of both versions once, and the bad records, in one run."""
    world = world or World()
    for version, ways in BY_VERSION.items():
        for number, way in enumerate(ways):
            way(Case(world, f"{way.__name__}-{number}", 1000 + number, 1 + number % 3, version=version))
    bad_records(world)
    return world.recording()


def run_alone(way: Callable[[Case], None], version: int) -> Recording:
    """One way in a run of its own."""
    world = World()
    way(Case(world, way.__name__, version=version))
    return world.recording()


def _bad_run() -> Recording:
    world = World()
    bad_records(world)
    return world.recording()


BY_VERSION = {1: WAYS, 2: packed_runs.WAYS}
EVERY_RUN = {way.__name__: run_alone(way, version) for version, ways in BY_VERSION.items() for way in ways} | {
    "bad_records": _bad_run()
}
