"""Good runs, one per way that an order can go; each is a few records of the contract, and the decisions on them."""

from hashlib import sha256

import orjson

from app.audit.recording import Recording
from app.wire.partition import partition_of
from tests.audit.world import PARTITIONS, Body, Case, World

STARTED: Body = {"type": "saga.started"}
COMPLETED: Body = {"type": "saga.completed"}
IGNORED: Body = {"type": "saga.reply.ignored", "reason": "not awaited"}
ROLLED_BACK: Body = {"type": "saga.rolled_back", "reason": "no", "step": "payment"}
CANCELLED: Body = {"type": "saga.rolled_back", "reason": "no", "step": "payment", "wished": True}


def ask(step: str, attempt: int = 1) -> Body:
    """The event that asks for a step."""
    return {"type": "saga.step.requested", "step": step, "attempt": attempt}


def undo(step: str, attempt: int = 1) -> Body:
    """The event that asks for a step's undo."""
    return {"type": "saga.compensation.requested", "step": step, "attempt": attempt}


def was(verb: str, step: str, attempt: int = 1) -> Body:
    """What became of a step: succeeded, refused, failed or timed_out."""
    return {"type": f"saga.step.{verb}", "step": step, "attempt": attempt}


def undo_was(verb: str, step: str, attempt: int = 1) -> Body:
    """What became of a step's undo: succeeded, failed or timed_out."""
    return {"type": f"saga.compensation.{verb}", "step": step, "attempt": attempt}


def stuck(step: str) -> Body:
    """The event that parks the saga for a person."""
    return {"type": "saga.stuck", "step": step, "attempt": 1, "reason": "no"}


def until_reserved(case: Case) -> None:
    """Placed and reserved; the payment is asked for."""
    case.decide(case.place(), STARTED, ask("reservation"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), was("succeeded", "reservation"), ask("payment"))


def until_refund(case: Case) -> None:
    """An operator rolls the saga back while the payment is open."""
    until_reserved(case)
    wish = case.wish("saga.compensate")
    case.decide(wish, {"type": "saga.operated", "operation": "saga.compensate"}, undo("payment"))


def until_stuck(case: Case) -> None:
    """The refund failed for good."""
    until_refund(case)
    failed = case.reply("payment.failed", "payment:undo", retryable=False)
    case.decide(failed, undo_was("failed", "payment"), stuck("payment"))


def released(case: Case, end: Body) -> None:
    """The last undo succeeds."""
    case.decide(case.reply("reservation.released", "reservation:undo"), undo_was("succeeded", "reservation"), end)


def happy(case: Case) -> None:
    """Reserved, charged, completed."""
    until_reserved(case)
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"), COMPLETED)


def declined(case: Case) -> None:
    """The payment is declined: what was reserved is released."""
    until_reserved(case)
    case.decide(case.reply("payment.declined", "payment:do"), was("refused", "payment"), undo("reservation"))
    released(case, ROLLED_BACK)


def rejected(case: Case) -> None:
    """The reservation is rejected: there is nothing to undo."""
    case.decide(case.place(), STARTED, ask("reservation"))
    no = case.reply("reservation.rejected", "reservation:do")
    case.decide(no, was("refused", "reservation"), {**ROLLED_BACK, "step": "reservation"})


def retried(case: Case) -> None:
    """The reservation fails and is asked for again after a pause; in the end the first attempt is answered as well."""
    case.decide(case.place(), STARTED, ask("reservation"))
    case.decide(case.reply("reservation.failed", "reservation:do"), was("failed", "reservation"))
    case.decide(f"{case.id}:reservation:do:1", ask("reservation", 2))
    done = case.reply("reservation.reserved", "reservation:do", 2)
    case.decide(done, was("succeeded", "reservation", 2), ask("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"), COMPLETED)


def in_doubt(case: Case) -> None:
    """The payment times out twice and is given up; it is refunded, though its answer comes late."""
    until_reserved(case)
    case.decide(f"{case.id}:payment:do:1", was("timed_out", "payment"), ask("payment", 2))
    case.decide(f"{case.id}:payment:do:2", was("timed_out", "payment", 2), undo("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), undo("reservation"))
    released(case, ROLLED_BACK)


def cancelled(case: Case) -> None:
    """Cancelled while the payment was open, and once more on the way back; the payment was never made."""
    until_reserved(case)
    case.decide(case.wish("order.cancel"), {"type": "saga.cancel.requested"}, undo("payment"))
    case.decide(case.wish("order.cancel", 2), {"type": "saga.cancel.refused", "reason": "going back"})
    case.decide(case.reply("payment.declined", "payment:do"), IGNORED)
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), undo("reservation"))
    released(case, CANCELLED)


def skipped(case: Case) -> None:
    """Stuck in a refund, which an operator then makes by hand."""
    until_stuck(case)
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(case.wish("saga.skip"), {"type": "saga.operated", "operation": "saga.skip"}, undo("reservation"))
    released(case, CANCELLED)


def unstuck(case: Case) -> None:
    """Stuck in a refund that is sent again by an operator, fails again, and is answered late."""
    until_stuck(case)
    case.decide(case.wish("saga.retry"), {"type": "saga.operated", "operation": "saga.retry"}, undo("payment", 2))
    case.decide(f"{case.id}:payment:undo:2", undo_was("timed_out", "payment", 2), stuck("payment"))
    case.decide(
        case.reply("payment.refunded", "payment:undo", 2), undo_was("succeeded", "payment", 2), undo("reservation")
    )
    released(case, ROLLED_BACK)


def refused(case: Case) -> None:
    """A completed order, which can neither be cancelled nor compensated."""
    happy(case)
    case.decide(case.wish("order.cancel"), {"type": "saga.cancel.refused", "reason": "too late"})
    case.decide(case.wish("saga.compensate"), {"type": "saga.operation.refused", "reason": "it has ended"})


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
    case.decide(no, was("refused", "reservation"), {**ROLLED_BACK, "step": "reservation"})


def misrouted(case: Case) -> None:
    """A client with another partitioner wrote the order; it is sent on, and read in its right partition."""
    away = (partition_of(case.id.encode(), PARTITIONS) + 1) % PARTITIONS
    headers = case.world.headers(case.id, "order.place", f"{case.id}:place", "/test")
    value = orjson.dumps(case.order)
    case.world.put("order.requests", case.id, value, headers, away)
    placed = case.world.put("order.requests", case.id, value, [*headers, ("__moved", b"1")])
    case.decide(placed, STARTED, ask("reservation"))
    no = case.reply("reservation.rejected", "reservation:do")
    case.decide(no, was("refused", "reservation"), {**ROLLED_BACK, "step": "reservation"})


WAYS = (
    happy, declined, rejected, retried, in_doubt, cancelled, until_stuck, skipped, unstuck, refused, repeated,
    structured, misrouted,
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
    """Every way once, and the bad records, in one run."""
    world = world or World()
    for number, way in enumerate(WAYS):
        way(Case(world, f"{way.__name__}-{number}", minor=1000 + number, quantity=1 + number % 3))
    bad_records(world)
    return world.recording()
