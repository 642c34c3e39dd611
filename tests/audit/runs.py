"""Good runs of the order saga: one scenario for each course an order can take, and one run of all scenarios."""

from collections.abc import Callable
from hashlib import sha256

import orjson

from app.audit.recording.recording import Recording
from app.wire.partition import partition_of
from tests.audit import packed_runs
from tests.audit.case import Case
from tests.audit.events import (
    COMPLETED,
    IGNORED,
    STARTED,
    because,
    cancel_refused,
    cancel_requested,
    compensate,
    operation_refused,
    request,
    request_undo,
    retry_or_skip,
    rolled_back,
    step_was,
    stuck,
    undo_was,
)
from tests.audit.topic_logs import PARTITIONS, TopicLogs, traceparent


def until_reserved(case: Case) -> None:
    """Placed and reserved; the payment is in flight."""
    case.decide(case.place(), STARTED, request("reservation"))
    case.decide(
        case.reply("reservation.reserved", "reservation:do"), step_was("succeeded", "reservation"), request("payment")
    )


def until_refund(case: Case) -> None:
    """An operator has the saga compensate while the payment is in flight."""
    until_reserved(case)
    case.decide(case.submit("saga.compensate"), compensate("payment"), request_undo("payment"))


def refund_stuck(case: Case) -> None:
    """The refund failed for good and is stuck."""
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
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"), COMPLETED)


def declined(case: Case) -> None:
    """The payment is declined; the reservation is released."""
    until_reserved(case)
    refusal = case.reply("payment.declined", "payment:do")
    case.decide(refusal, step_was("refused", "payment", because=because("payment")), request_undo("reservation"))
    released(case)


def rejected(case: Case) -> None:
    """The reservation is rejected; there is nothing to undo."""
    case.decide(case.place(), STARTED, request("reservation"))
    refusal = case.reply("reservation.rejected", "reservation:do")
    case.decide(refusal, step_was("refused", "reservation", because=because("reservation")), rolled_back("reservation"))


def retried(case: Case) -> None:
    """The reservation fails and succeeds after a backoff; then a reply to the first attempt comes too."""
    case.decide(case.place(), STARTED, request("reservation"))
    failed = case.reply("reservation.failed", "reservation:do")
    case.decide(failed, step_was("failed", "reservation", retry_due_ms=300))
    case.decide(case.due("reservation:do:1:pause"), request("reservation", 2))
    done = case.reply("reservation.reserved", "reservation:do", 2)
    case.decide(done, step_was("succeeded", "reservation", 2), request("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"), COMPLETED)


def in_doubt(case: Case) -> None:
    """The payment times out twice and is given up; its late reply is ignored, and it is refunded."""
    until_reserved(case)
    case.decide(case.due("payment:do:1:timeout"), step_was("timed_out", "payment"), request("payment", 2))
    timed_out = step_was("timed_out", "payment", 2, because=because("payment"))
    case.decide(case.due("payment:do:2:timeout"), timed_out, request_undo("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(
        case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), request_undo("reservation")
    )
    released(case)


def cancelled(case: Case) -> None:
    """Cancelled while the payment is in flight, and again while the saga compensates; the payment is declined."""
    until_reserved(case)
    case.decide(case.submit("order.cancel"), cancel_requested("payment"), request_undo("payment"))
    case.decide(case.submit("order.cancel", 2), cancel_refused("going back"))
    case.decide(case.reply("payment.declined", "payment:do"), IGNORED)
    case.decide(
        case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"), request_undo("reservation")
    )
    released(case, requested=True)


def refund_skipped(case: Case) -> None:
    """The refund is stuck; an operator skips it."""
    refund_stuck(case)
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.decide(case.submit("saga.skip"), retry_or_skip("payment"), request_undo("reservation"))
    released(case, requested=True)


def refund_retried(case: Case) -> None:
    """The refund is stuck; an operator retries it, it times out and is stuck again, and its reply comes late."""
    refund_stuck(case)
    case.decide(case.submit("saga.retry"), retry_or_skip("payment"), request_undo("payment", 2))
    case.decide(case.due("payment:undo:2:timeout"), undo_was("timed_out", "payment", 2), stuck("payment", 2))
    done = case.reply("payment.refunded", "payment:undo", 2)
    case.decide(done, undo_was("succeeded", "payment", 2), request_undo("reservation"))
    released(case, requested=True)


def refused(case: Case) -> None:
    """A completed order refuses a cancel and a compensate."""
    happy(case)
    case.decide(case.submit("order.cancel"), cancel_refused("too late"))
    case.decide(case.submit("saga.compensate"), operation_refused("it has ended"))


def repeated(case: Case) -> None:
    """Every input comes twice, and another order with the same id comes too."""
    case.decide(case.place(), STARTED, request("reservation"))
    case.place(note="a field that nobody knows")
    case.logs.dead_letter(case.place(customer_id="c-other"), "conflict")
    done = case.reply("reservation.reserved", "reservation:do")
    case.decide(done, step_was("succeeded", "reservation"), request("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"), COMPLETED)
    case.decide(case.reply("payment.charged", "payment:do"), IGNORED)
    case.place()


def structured_mode(case: Case) -> None:
    """The order comes as a CloudEvent in structured mode."""
    event = {"specversion": "1.0", "id": f"{case.id}:place", "type": "order.place", "source": "/s", "data": case.order}
    headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    placed = case.logs.put("order.requests", case.id, orjson.dumps(event), headers)
    case.decide(placed, STARTED, request("reservation"))
    refusal = case.reply("reservation.rejected", "reservation:do")
    case.decide(refusal, step_was("refused", "reservation", because=because("reservation")), rolled_back("reservation"))


def misrouted(case: Case) -> None:
    """A client with another partitioner misroutes the order; it is rerouted and read in the owning partition."""
    wrong = (partition_of(case.id.encode(), PARTITIONS) + 1) % PARTITIONS
    headers = case.logs.headers(case.id, "order.place", f"{case.id}:place", "/test")
    value = orjson.dumps(case.order)
    case.logs.put("order.requests", case.id, value, headers, wrong)
    placed = case.logs.put("order.requests", case.id, value, headers)
    case.decide(placed, STARTED, request("reservation"))
    refusal = case.reply("reservation.rejected", "reservation:do")
    case.decide(refusal, step_was("refused", "reservation", because=because("reservation")), rolled_back("reservation"))


def queued(case: Case) -> None:
    """No participant has capacity: commands are queued after the start, a timeout, a failure and a refusal."""
    case.decide(case.place(), STARTED)
    case.decide(case.due("reservation:do:0:room"), request("reservation"))
    case.decide(case.due("reservation:do:1:timeout"), step_was("timed_out", "reservation"))
    case.decide(case.due("reservation:do:1:room"), request("reservation", 2))
    case.decide(case.reply("reservation.failed", "reservation:do", 2), step_was("failed", "reservation", 2))
    case.decide(case.due("reservation:do:2:room"), request("reservation", 3))
    case.decide(case.reply("reservation.reserved", "reservation:do", 3), step_was("succeeded", "reservation", 3))
    case.decide(case.due("payment:do:0:room"), request("payment"))
    case.decide(
        case.reply("payment.declined", "payment:do"), step_was("refused", "payment", because=because("payment"))
    )
    case.decide(case.due("reservation:undo:0:room"), request_undo("reservation"))
    released(case)


def traced(case: Case) -> None:
    """The order comes with a trace, which goes on after a time-out too; a cancel after the end has its own."""
    case.trace = traceparent(7)
    headers = case.logs.headers(case.id, "order.place", f"{case.id}:place", "/test")
    placed = case.logs.put("order.requests", case.id, orjson.dumps(case.order), [*headers, *case.trace_headers])
    case.decide(placed, STARTED, request("reservation"))
    case.decide(case.due("reservation:do:1:timeout"), step_was("timed_out", "reservation"), request("reservation", 2))
    done = case.reply("reservation.reserved", "reservation:do", 2)
    case.decide(done, step_was("succeeded", "reservation", 2), request("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"), COMPLETED)
    case.trace = ""
    case.decide(case.submit("order.cancel"), cancel_refused("too late"))


def expired(case: Case) -> None:
    """A completed saga expires; after that its order is unknown."""
    happy(case)
    case.decide(case.submit("order.cancel"), cancel_refused("too late"))
    case.expire()
    case.logs.dead_letter(case.submit("order.cancel", 2), "unknown_order")


def placed_again(case: Case) -> None:
    """A saga expires, and another order with its id is placed: a second life."""
    declined(case)
    case.expire()
    case.logs.dead_letter(case.reply("payment.charged", "payment:do"), "unknown_order")
    case.minor += 500
    happy(case)
    case.place()


SCENARIOS = (
    happy, declined, rejected, retried, in_doubt, cancelled, refund_stuck, refund_skipped, refund_retried, refused,
    repeated, structured_mode, misrouted, queued, expired, placed_again, traced,
)  # fmt: skip


def bad_records(logs: TopicLogs) -> None:
    """Records that become dead letters, and concern no saga."""
    logs.dead_letter(
        logs.put("order.requests", "bad-1", b"{not json", logs.headers("bad-1", "order.place", "b1", "/x")),
        "malformed",
    )
    logs.dead_letter(logs.put("order.requests", None, None, (), 0), "malformed")
    logs.dead_letter(
        logs.send("order.requests", "bad-2", "order.cancel", "b2", {"order_id": "bad-2", "reason": ""}),
        "unknown_order",
    )
    logs.dead_letter(logs.send("order.requests", "bad-3", "order.place", "b3", {"order_id": "other"}), "wrong_key")
    big = b'"' + b"x" * 300_000 + b'"'
    cut = {"truncated": "true", "sha256": sha256(big).hexdigest()}
    logs.dead_letter(logs.put("payment.replies", "bad-4", big, ()), "too_large", 256 * 1024, **cut)


def good_run(logs: TopicLogs | None = None) -> Recording:
    """Every scenario of both versions and the bad records, in one run."""
    logs = logs or TopicLogs()
    for version, scenarios in BY_VERSION.items():
        for number, scenario in enumerate(scenarios):
            scenario(Case(logs, f"{scenario.__name__}-{number}", 1000 + number, 1 + number % 3, version=version))
    bad_records(logs)
    return logs.recording()


def single_run(scenario: Callable[[Case], None], version: int) -> Recording:
    """One scenario, in a run of its own."""
    logs = TopicLogs()
    scenario(Case(logs, scenario.__name__, version=version))
    return logs.recording()


def _bad_run() -> Recording:
    logs = TopicLogs()
    bad_records(logs)
    return logs.recording()


BY_VERSION = {1: SCENARIOS, 2: packed_runs.SCENARIOS}
EVERY_RUN = {
    scenario.__name__: single_run(scenario, version)
    for version, scenarios in BY_VERSION.items()
    for scenario in scenarios
} | {"bad_records": _bad_run()}
