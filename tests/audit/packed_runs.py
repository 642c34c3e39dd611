"""Good runs of version 2: reservation and payment in parallel, then packing, shipping (the pivot) and a notice."""

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


def until_both(case: Case) -> None:
    """Both parallel steps are done, the second one first; packing is in flight."""
    case.decide(case.place(), STARTED, request("reservation"), request("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"))
    case.decide(
        case.reply("reservation.reserved", "reservation:do"), step_was("succeeded", "reservation"), request("packing")
    )


def until_shipping(case: Case) -> None:
    """Packed; shipping is in flight."""
    until_both(case)
    case.decide(case.reply("packing.packed", "packing:do"), step_was("succeeded", "packing"), request("shipping"))


def until_shipping_stuck(case: Case) -> None:
    """Shipping times out; it can't be undone, so it is stuck."""
    until_shipping(case)
    case.decide(case.due("shipping:do:1:timeout"), step_was("timed_out", "shipping"), request("shipping", 2))
    case.decide(case.due("shipping:do:2:timeout"), step_was("timed_out", "shipping", 2), stuck("shipping", 2))


def both_undone(case: Case, *, reason: str = "no", step: str = "shipping", requested: bool = False) -> None:
    """Both parallel steps are undone, the first one last."""
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"))
    done = case.reply("reservation.released", "reservation:undo")
    end = rolled_back(step, reason=reason, requested=requested)
    case.decide(done, undo_was("succeeded", "reservation"), end)


def unpacked(case: Case) -> None:
    """Packing is undone; then the undos of both parallel steps are in flight."""
    done = case.reply("packing.unpacked", "packing:undo")
    case.decide(done, undo_was("succeeded", "packing"), request_undo("reservation"), request_undo("payment"))


def notified(case: Case, attempt: int = 1) -> None:
    """The notice is sent."""
    done = case.reply("notice.sent", "notice:do", attempt)
    case.decide(done, step_was("succeeded", "notice", attempt), COMPLETED)


def shipped(case: Case) -> None:
    """Completed; a cancel and a compensate that come while shipping is in flight are refused."""
    until_shipping(case)
    case.decide(case.submit("order.cancel"), cancel_refused("it can't be undone any more"))
    case.decide(case.submit("saga.compensate"), operation_refused("it can't be undone any more"))
    case.decide(case.reply("shipping.shipped", "shipping:do"), step_was("succeeded", "shipping"), request("notice"))
    notified(case)


def unshippable(case: Case) -> None:
    """Shipping is refused; packing is undone, then both parallel steps."""
    until_shipping(case)
    refusal = case.reply("shipping.refused", "shipping:do")
    case.decide(refusal, step_was("refused", "shipping", because=because("shipping")), request_undo("packing"))
    unpacked(case)
    both_undone(case)


def shipping_retried(case: Case) -> None:
    """Shipping is stuck; an operator retries it, and it succeeds."""
    until_shipping_stuck(case)
    case.decide(case.submit("saga.retry"), retry_or_skip("shipping"), request("shipping", 3))
    done = case.reply("shipping.shipped", "shipping:do", 3)
    case.decide(done, step_was("succeeded", "shipping", 3), request("notice"))
    notified(case)


def shipping_replied_late(case: Case) -> None:
    """Shipping is stuck; its late reply still counts."""
    until_shipping_stuck(case)
    case.decide(case.reply("shipping.shipped", "shipping:do"), step_was("succeeded", "shipping"), request("notice"))
    notified(case)


def shipping_skipped(case: Case) -> None:
    """Shipping is stuck; an operator skips it, so later records have no result of it."""
    until_shipping_stuck(case)
    case.decide(case.submit("saga.skip"), retry_or_skip("shipping"), request("notice"))
    notified(case)


def compensated_by_operator(case: Case) -> None:
    """Shipping is stuck; an operator has the saga compensate: shipping counts as never done, the rest is undone."""
    until_shipping_stuck(case)
    case.decide(case.submit("saga.compensate"), compensate("shipping"), request_undo("packing"))
    unpacked(case)
    both_undone(case, requested=True)


def notice_stuck(case: Case) -> None:
    """The notice fails for good; past the pivot the saga can't compensate, so the notice is stuck."""
    until_shipping(case)
    case.decide(case.reply("shipping.shipped", "shipping:do"), step_was("succeeded", "shipping"), request("notice"))
    failed = case.reply("notice.failed", "notice:do")
    case.decide(failed, step_was("failed", "notice", retry_due_ms=300))
    case.decide(case.due("notice:do:1:pause"), request("notice", 2))
    failed = case.reply("notice.failed", "notice:do", 2, retryable=False)
    case.decide(failed, step_was("failed", "notice", 2), stuck("notice", 2, reason="down"))


def declined_in_parallel(case: Case) -> None:
    """The payment is declined while the reservation is in flight; as it may have been made, it is released."""
    case.decide(case.place(), STARTED, request("reservation"), request("payment"))
    refusal = case.reply("payment.declined", "payment:do")
    case.decide(refusal, step_was("refused", "payment", because=because("payment")), request_undo("reservation"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    done = case.reply("reservation.released", "reservation:undo")
    case.decide(done, undo_was("succeeded", "reservation"), rolled_back("payment"))


def deadline_passed(case: Case) -> None:
    """At the deadline the payment is in flight, and the reservation is still queued."""
    case.decide(case.place(), STARTED, request("payment"))
    for attempt in range(1, 5):
        again = request("payment", attempt + 1)
        case.decide(case.due(f"payment:do:{attempt}:timeout"), step_was("timed_out", "payment", attempt), again)
    reason = "the order's deadline has passed"
    timed_out = step_was("timed_out", "payment", 5, because=because("payment", reason=reason))
    case.decide(case.due("deadline", "payment:do:5"), timed_out, request_undo("payment"))
    done = case.reply("payment.refunded", "payment:undo")
    case.decide(done, undo_was("succeeded", "payment"), rolled_back("payment", reason=reason))


def deadline_while_queued(case: Case) -> None:
    """At the deadline nothing is requested yet, for lack of capacity."""
    case.decide(case.place(), STARTED)
    reason = "the order's deadline has passed"
    timed_out = step_was("timed_out", "reservation", 0, because=because("reservation", reason=reason))
    case.decide(case.due("deadline", "reservation:do:0"), timed_out, rolled_back("reservation", reason=reason))


def deadline_before_packing(case: Case) -> None:
    """At the deadline packing is still queued; the undo of the reservation is queued for a while too."""
    case.decide(case.place(), STARTED, request("reservation"), request("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), step_was("succeeded", "reservation"))
    case.decide(case.reply("payment.charged", "payment:do"), step_was("succeeded", "payment"))
    reason = "the order's deadline has passed"
    timed_out = step_was("timed_out", "packing", 0, because=because("packing", reason=reason))
    case.decide(case.due("deadline", "packing:do:0"), timed_out, request_undo("payment"))
    case.decide(case.due("reservation:undo:0:room"), request_undo("reservation"))
    both_undone(case, reason=reason, step="packing")


def all_queued(case: Case) -> None:
    """No participant has capacity: every step is queued, the first ones too."""
    case.decide(case.place(), STARTED)
    case.decide(case.due("payment:do:0:room"), request("payment"))
    case.decide(case.due("reservation:do:0:room"), request("reservation"))
    case.decide(case.due("payment:do:1:timeout"), step_was("timed_out", "payment"), request("payment", 2))
    case.decide(case.reply("payment.charged", "payment:do", 2), step_was("succeeded", "payment", 2))
    case.decide(case.reply("reservation.reserved", "reservation:do"), step_was("succeeded", "reservation"))
    case.decide(case.due("packing:do:0:room"), request("packing"))
    case.decide(case.reply("packing.packed", "packing:do"), step_was("succeeded", "packing"))
    case.decide(case.due("shipping:do:0:room"), request("shipping"))
    case.decide(case.reply("shipping.shipped", "shipping:do"), step_was("succeeded", "shipping"))
    case.decide(case.due("notice:do:0:room"), request("notice"))
    notified(case)


def until_both_stuck(case: Case) -> None:
    """Cancelled; the undos of both parallel steps fail for good and are stuck."""
    case.decide(case.place(), STARTED, request("reservation"), request("payment"))
    case.decide(
        case.submit("order.cancel"),
        cancel_requested("reservation"),
        request_undo("reservation"),
        request_undo("payment"),
    )
    for step in ("payment", "reservation"):
        failed = case.reply(f"{step}.failed", f"{step}:undo", retryable=False)
        case.decide(failed, undo_was("failed", step), stuck(step, reason="down"))


def undos_skipped_singly(case: Case) -> None:
    """Two undos are stuck; a skip of both is refused, one is retried in vain, and each is skipped by name or alone."""
    until_both_stuck(case)
    case.decide(case.submit("saga.skip"), operation_refused("needs the name of one step"))
    case.decide(case.submit("saga.skip", 2, step="packing"), operation_refused("needs packing to be stuck"))
    case.decide(case.submit("saga.retry", step="payment"), retry_or_skip("payment"), request_undo("payment", 2))
    case.decide(case.submit("saga.skip", 3, step="reservation"), retry_or_skip("reservation"))
    failed = case.reply("payment.failed", "payment:undo", 2, retryable=False)
    case.decide(failed, undo_was("failed", "payment", 2), stuck("payment", 2, reason="down"))
    case.decide(case.submit("saga.skip", 4), retry_or_skip("payment"), rolled_back("reservation", requested=True))


def both_undos_retried(case: Case) -> None:
    """Two undos are stuck; one retry without a step retries both."""
    until_both_stuck(case)
    both = retry_or_skip("reservation", "payment")
    case.decide(case.submit("saga.retry"), both, request_undo("reservation", 2), request_undo("payment", 2))
    case.decide(case.reply("payment.refunded", "payment:undo", 2), undo_was("succeeded", "payment", 2))
    done = case.reply("reservation.released", "reservation:undo", 2)
    end = rolled_back("reservation", requested=True)
    case.decide(done, undo_was("succeeded", "reservation", 2), end)


def cancelled_packing(case: Case) -> None:
    """Cancelled while packing is in flight; the refund is stuck beside the release, and is skipped."""
    until_both(case)
    case.decide(case.submit("order.cancel"), cancel_requested("packing"), request_undo("packing"))
    unpacked(case)
    failed = case.reply("payment.failed", "payment:undo", retryable=False)
    case.decide(failed, undo_was("failed", "payment"), stuck("payment", reason="down"))
    case.decide(case.reply("reservation.released", "reservation:undo"), undo_was("succeeded", "reservation"))
    case.decide(case.submit("saga.skip"), retry_or_skip("payment"), rolled_back("packing", requested=True))


SCENARIOS = (
    shipped, unshippable, shipping_retried, shipping_replied_late, shipping_skipped, compensated_by_operator,
    notice_stuck, declined_in_parallel, deadline_passed, deadline_while_queued, cancelled_packing,
    deadline_before_packing, all_queued, undos_skipped_singly, both_undos_retried,
)  # fmt: skip
