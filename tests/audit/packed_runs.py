"""Good runs of the later version: reservation and payment in parallel, packing, shipping as the pivot, a notice."""

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


def until_both(case: Case) -> None:
    """Both parallel steps are done, the later one first; packing is asked for."""
    case.decide(case.place(), STARTED, ask("reservation"), ask("payment"))
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), was("succeeded", "reservation"), ask("packing"))


def until_shipping(case: Case) -> None:
    """Packed; shipping is asked for."""
    until_both(case)
    case.decide(case.reply("packing.packed", "packing:do"), was("succeeded", "packing"), ask("shipping"))


def until_lost(case: Case) -> None:
    """Shipping gives no answer: it can't be undone, so the saga is stuck in it."""
    until_shipping(case)
    case.decide(case.at("shipping:do:1:timeout"), was("timed_out", "shipping"), ask("shipping", 2))
    case.decide(case.at("shipping:do:2:timeout"), was("timed_out", "shipping", 2), stuck("shipping", 2))


def both_undone(case: Case, *, reason: str = "no", step: str = "shipping", requested: bool = False) -> None:
    """The parallel steps are undone in parallel, the first one last."""
    case.decide(case.reply("payment.refunded", "payment:undo"), undo_was("succeeded", "payment"))
    done = case.reply("reservation.released", "reservation:undo")
    end = rolled_back(step, reason=reason, requested=requested)
    case.decide(done, undo_was("succeeded", "reservation"), end)


def unpacked(case: Case) -> None:
    """What was packed is unpacked, and then both parallel steps may be undone."""
    done = case.reply("packing.unpacked", "packing:undo")
    case.decide(done, undo_was("succeeded", "packing"), undo("reservation"), undo("payment"))


def told(case: Case, attempt: int = 1) -> None:
    """The notice is sent."""
    done = case.reply("notice.sent", "notice:do", attempt)
    case.decide(done, was("succeeded", "notice", attempt), COMPLETED)


def shipped(case: Case) -> None:
    """Everything is done; a cancel comes when shipping was asked for, and is refused, like an operator's wish."""
    until_shipping(case)
    case.decide(case.wish("order.cancel"), refuse_cancel("it can't be undone any more"))
    case.decide(case.wish("saga.compensate"), refuse_operation("it can't be undone any more"))
    case.decide(case.reply("shipping.shipped", "shipping:do"), was("succeeded", "shipping"), ask("notice"))
    told(case)


def unshippable(case: Case) -> None:
    """Shipping is refused: packing is undone, then both parallel steps."""
    until_shipping(case)
    no = case.reply("shipping.refused", "shipping:do")
    case.decide(no, was("refused", "shipping", because=why("shipping")), undo("packing"))
    unpacked(case)
    both_undone(case)


def lost(case: Case) -> None:
    """Stuck in shipping; an operator has it asked for again, and then it is done."""
    until_lost(case)
    case.decide(case.wish("saga.retry"), see_to("shipping"), ask("shipping", 3))
    done = case.reply("shipping.shipped", "shipping:do", 3)
    case.decide(done, was("succeeded", "shipping", 3), ask("notice"))
    told(case)


def found(case: Case) -> None:
    """Stuck in shipping, whose answer then comes late and still counts."""
    until_lost(case)
    case.decide(case.reply("shipping.shipped", "shipping:do"), was("succeeded", "shipping"), ask("notice"))
    told(case)


def shipped_by_hand(case: Case) -> None:
    """Stuck in shipping, which an operator takes as done: there is no result of it in what follows."""
    until_lost(case)
    case.decide(case.wish("saga.skip"), see_to("shipping"), ask("notice"))
    told(case)


def never_shipped(case: Case) -> None:
    """Stuck in shipping, which an operator takes as never done: all else is undone."""
    until_lost(case)
    case.decide(case.wish("saga.compensate"), turn("shipping"), undo("packing"))
    unpacked(case)
    both_undone(case, requested=True)


def untold(case: Case) -> None:
    """The notice can't be sent: past the pivot the saga only goes forward, so it is stuck."""
    until_shipping(case)
    case.decide(case.reply("shipping.shipped", "shipping:do"), was("succeeded", "shipping"), ask("notice"))
    failed = case.reply("notice.failed", "notice:do")
    case.decide(failed, was("failed", "notice", retry_due_ms=300))
    case.decide(case.at("notice:do:1:pause"), ask("notice", 2))
    failed = case.reply("notice.failed", "notice:do", 2, retryable=False)
    case.decide(failed, was("failed", "notice", 2), stuck("notice", 2, reason="down"))


def half_declined(case: Case) -> None:
    """The payment is declined while the reservation is open: it may have been made, and is released."""
    case.decide(case.place(), STARTED, ask("reservation"), ask("payment"))
    no = case.reply("payment.declined", "payment:do")
    case.decide(no, was("refused", "payment", because=why("payment")), undo("reservation"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), IGNORED)
    done = case.reply("reservation.released", "reservation:undo")
    case.decide(done, undo_was("succeeded", "reservation"), rolled_back("payment"))


def too_late(case: Case) -> None:
    """At the deadline the payment was asked for, and the reservation still waits for room."""
    case.decide(case.place(), STARTED, ask("payment"))
    for attempt in range(1, 5):
        again = ask("payment", attempt + 1)
        case.decide(case.at(f"payment:do:{attempt}:timeout"), was("timed_out", "payment", attempt), again)
    reason = "the order's deadline has passed"
    over = was("timed_out", "payment", 5, because=why("payment", reason=reason))
    case.decide(case.at("deadline", "payment:do:5"), over, undo("payment"))
    done = case.reply("payment.refunded", "payment:undo")
    case.decide(done, undo_was("succeeded", "payment"), rolled_back("payment", reason=reason))


def never_begun(case: Case) -> None:
    """At the deadline nothing was asked for, as there was no room."""
    case.decide(case.place(), STARTED)
    reason = "the order's deadline has passed"
    over = was("timed_out", "reservation", 0, because=why("reservation", reason=reason))
    case.decide(case.at("deadline", "reservation:do:0"), over, rolled_back("reservation", reason=reason))


def never_packed(case: Case) -> None:
    """At the deadline packing still waited for room; so do the undos of what was done before it, for a while."""
    case.decide(case.place(), STARTED, ask("reservation"), ask("payment"))
    case.decide(case.reply("reservation.reserved", "reservation:do"), was("succeeded", "reservation"))
    case.decide(case.reply("payment.charged", "payment:do"), was("succeeded", "payment"))
    reason = "the order's deadline has passed"
    over = was("timed_out", "packing", 0, because=why("packing", reason=reason))
    case.decide(case.at("deadline", "packing:do:0"), over, undo("payment"))
    case.decide(case.at("reservation:undo:0:room"), undo("reservation"))
    both_undone(case, reason=reason, step="packing")


def crowded(case: Case) -> None:
    """No participant has room: every step waits, those too that nothing comes before."""
    case.decide(case.place(), STARTED)
    case.decide(case.at("payment:do:0:room"), ask("payment"))
    case.decide(case.at("reservation:do:0:room"), ask("reservation"))
    case.decide(case.at("payment:do:1:timeout"), was("timed_out", "payment"), ask("payment", 2))
    case.decide(case.reply("payment.charged", "payment:do", 2), was("succeeded", "payment", 2))
    case.decide(case.reply("reservation.reserved", "reservation:do"), was("succeeded", "reservation"))
    case.decide(case.at("packing:do:0:room"), ask("packing"))
    case.decide(case.reply("packing.packed", "packing:do"), was("succeeded", "packing"))
    case.decide(case.at("shipping:do:0:room"), ask("shipping"))
    case.decide(case.reply("shipping.shipped", "shipping:do"), was("succeeded", "shipping"))
    case.decide(case.at("notice:do:0:room"), ask("notice"))
    told(case)


def until_both_stuck(case: Case) -> None:
    """Cancelled; neither parallel step can be undone."""
    case.decide(case.place(), STARTED, ask("reservation"), ask("payment"))
    case.decide(case.wish("order.cancel"), cancel("reservation"), undo("reservation"), undo("payment"))
    for step in ("payment", "reservation"):
        failed = case.reply(f"{step}.failed", f"{step}:undo", retryable=False)
        case.decide(failed, undo_was("failed", step), stuck(step, reason="down"))


def one_by_one(case: Case) -> None:
    """Two undos are stuck: nobody skips both at once; one is asked for again, and each is then done by hand."""
    until_both_stuck(case)
    case.decide(case.wish("saga.skip"), refuse_operation("needs the name of one step"))
    case.decide(case.wish("saga.skip", 2, step="packing"), refuse_operation("needs packing to be stuck"))
    case.decide(case.wish("saga.retry", step="payment"), see_to("payment"), undo("payment", 2))
    case.decide(case.wish("saga.skip", 3, step="reservation"), see_to("reservation"))
    failed = case.reply("payment.failed", "payment:undo", 2, retryable=False)
    case.decide(failed, undo_was("failed", "payment", 2), stuck("payment", 2, reason="down"))
    case.decide(case.wish("saga.skip", 4), see_to("payment"), rolled_back("reservation", requested=True))


def both_at_once(case: Case) -> None:
    """Two undos are stuck, and one retry has both asked for again."""
    until_both_stuck(case)
    both = see_to("reservation", "payment")
    case.decide(case.wish("saga.retry"), both, undo("reservation", 2), undo("payment", 2))
    case.decide(case.reply("payment.refunded", "payment:undo", 2), undo_was("succeeded", "payment", 2))
    done = case.reply("reservation.released", "reservation:undo", 2)
    end = rolled_back("reservation", requested=True)
    case.decide(done, undo_was("succeeded", "reservation", 2), end)


def cancelled_packing(case: Case) -> None:
    """Cancelled while packing is open; the undo of the payment gets stuck beside the release, and is done by hand."""
    until_both(case)
    case.decide(case.wish("order.cancel"), cancel("packing"), undo("packing"))
    unpacked(case)
    failed = case.reply("payment.failed", "payment:undo", retryable=False)
    case.decide(failed, undo_was("failed", "payment"), stuck("payment", reason="down"))
    case.decide(case.reply("reservation.released", "reservation:undo"), undo_was("succeeded", "reservation"))
    case.decide(case.wish("saga.skip"), see_to("payment"), rolled_back("packing", requested=True))


WAYS = (
    shipped, unshippable, lost, found, shipped_by_hand, never_shipped, untold, half_declined, too_late, never_begun,
    cancelled_packing, never_packed, crowded, one_by_one, both_at_once,
)  # fmt: skip
