"""Mutants of what time, people, parallel steps and the point of no return allow, and of what is forgotten."""

from collections.abc import Callable
from dataclasses import replace

from app.audit.messages import loads
from app.audit.recording import Record, Recording
from tests.audit.events import COMPLETED, ask, see_to, stuck, undo, was, why
from tests.audit.mutation import (
    Change,
    Mutants,
    Mutation,
    also,
    cause,
    changed,
    double,
    edit,
    event,
    header,
    instead,
    last,
    one,
    pop,
    put,
    records,
    remake,
    valued,
    without,
)
from tests.audit.world import Body, time_text

EVENTS, STATE, OUTCOMES, DEAD = "saga.events", "saga.state", "order.outcomes", "saga.dead-letters"
LATE, EARLY = time_text(86_400_000), time_text(1)
TURNED, HALF_MINUTE_MS = {"because": why("payment", requested=True)}, 30_000


def told(*events: Body) -> Change:
    """A decision tells of other events."""
    return put(events=list(events))


def and_then(added: Body) -> Change:
    """A decision tells of one event more."""
    return lambda value: value["events"].append(added)


def bare(index: int, field: str) -> Change:
    """One of a decision's events lacks a field."""
    return lambda value: value["events"][index].pop(field)


def succeeded(step: str) -> str:
    """How one finds the decision in which a step succeeded."""
    return f'"saga.step.succeeded","step":"{step}"'


def whole_history(order: str, change: Change) -> Mutation:
    """All decisions of an order are changed."""

    def mutate(good: Recording) -> Recording:
        for record in records(good, EVENTS, order):
            good = changed(good, record, change)
        return good

    return mutate


def moved(find: Callable[[Recording], Record], ms: int) -> Mutation:
    """A record was written earlier."""

    def mutate(good: Recording) -> Recording:
        record = find(good)
        return instead(good, record, replace(record, timestamp_ms=record.timestamp_ms - ms))

    return mutate


def _stuck_in_silence(good: Recording) -> Recording:
    """The refund failed for good; no event, no outcome and no state says that a person must act."""
    quiet = edit(EVENTS, "until_stuck", '"saga.stuck"', lambda value: value["events"].pop())(good)
    quiet = without(quiet, one(quiet, OUTCOMES, "until_stuck"))
    return changed(quiet, last(quiet, STATE, "until_stuck"), put(legs=[]))


def _deleted_while_stuck(good: Recording) -> Recording:
    return also(good, replace(last(good, STATE, "until_stuck"), value=None))


def _forgotten_without_history(good: Recording) -> Recording:
    return also(good, replace(last(good, STATE, "forgotten"), key=b"ghost"))


def _numbered_on(good: Recording) -> Recording:
    start = records(good, EVENTS, "placed_again", "saga.started")[1]
    return instead(good, start, valued(start, put(seq=5)))


def _forgotten_later(good: Recording) -> Recording:
    end = one(good, EVENTS, "placed_again", "saga.rolled_back")
    forget_ms = loads(end.value)["events"][1]["forget_ms"]
    return changed(good, end, event(1, forget_ms=forget_ms + 90_000))


def _sent_by_another_version(good: Recording) -> Recording:
    pack = one(good, "packing.commands", "shipped")
    other = one(good, "reservation.commands", "shipped")
    types = {**dict(pack.headers), "ce_type": dict(other.headers)["ce_type"]}
    return instead(good, pack, replace(pack, headers=tuple(types.items())))


def _names(topic: str, order: str, holds: str, cause: str) -> Mutation:
    """A command names another cause: the order's id, and this."""

    def spoil(record: Record) -> Record:
        return header(record, "ce_causationid", f"{(record.key or b'').decode()}{cause}")

    return remake(topic, order, holds, spoil)


def _outcome_ids_as_before(good: Recording) -> Recording:
    """The second saga of an id begins to count its outcomes anew."""
    first, second = one(good, OUTCOMES, "placed_again"), last(good, OUTCOMES, "placed_again")
    return instead(good, second, header(second, "ce_id", dict(first.headers)["ce_id"].decode()))  # type: ignore[union-attr]


GONE_BACK: Mutants = {
    "an undo after the pivot": (
        "INV-8",
        edit(EVENTS, "shipped", succeeded("shipping"), event(1, **undo("packing"))),
    ),
    "a cancel is granted once the pivot was asked for": (
        "INV-8",
        edit(EVENTS, "shipped", "saga.cancel.refused", event(0, type="saga.cancel.requested", **TURNED)),
    ),
    "a compensation is granted once the pivot was asked for": (
        "INV-8",
        edit(EVENTS, "shipped", "saga.operation.refused", event(0, type="saga.operated", **TURNED)),
    ),
    "a pivot in doubt is given up": (
        "INV-8",
        edit(EVENTS, "lost", '"saga.stuck"', lambda v: v["events"].pop() and v["events"][0].update(TURNED)),
    ),
    "a step after the pivot turns the saga back": (
        "INV-8",
        edit(EVENTS, "untold", '"saga.stuck"', lambda v: v["events"].pop() and v["events"][0].update(TURNED)),
    ),
    "what can't be undone is undone": (
        "INV-8",
        edit(EVENTS, "never_shipped", "saga.operated", event(1, step="shipping")),
    ),
    "a parallel step is undone before what came after both": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.step.refused", event(1, step="payment")),
    ),
    "parallel steps are undone beside what came after them": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.step.refused", and_then(undo("reservation"))),
    ),
    "one of two parallel steps is left standing": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.rolled_back", event(0, step="payment")),
    ),
    "a saga goes back and does not say why": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", bare(0, "because")),
    ),
    "a refusal is told as a wish": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(0, because=why("payment", requested=True))),
    ),
    "a refusal gives another reason for going back": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(0, because=why("payment", reason="other"))),
    ),
    "a cancel is not told as a wish": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.cancel.requested", event(0, because=why("payment", reason="asked for"))),
    ),
    "a saga is rolled back for another reason": (
        "INV-4",
        edit(EVENTS, "declined", "saga.rolled_back", event(1, reason="other")),
    ),
    "a wish turns out to be none at the end": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.rolled_back", event(1, requested=False)),
    ),
}
IN_PARALLEL: Mutants = {
    "a step begins before both that it needs are done": (
        "INV-4",
        edit(EVENTS, "shipped", succeeded("payment"), and_then(ask("packing"))),
    ),
    "completed without the last step": (
        "INV-4",
        edit(EVENTS, "shipped", succeeded("shipping"), lambda value: value["events"].__setitem__(1, COMPLETED)),
    ),
    "a step that waited is asked for twice": (
        "INV-4",
        edit(EVENTS, "queued", "saga.started", and_then(ask("reservation"))),
    ),
    "a step that was asked for gets room": (
        "INV-4",
        edit(EVENTS, "queued", "do:0:room", and_then(ask("reservation", 2))),
    ),
    "a failure without a pause is asked for at its end": (
        "INV-4",
        edit(EVENTS, "queued", "do:2:room", cause(timer="reservation:do:2:pause")),
    ),
    "stuck in a step that can be undone": (
        "INV-4",
        edit(EVENTS, "in_doubt", '"because"', told(was("timed_out", "payment", 2), stuck("payment", 2))),
    ),
    "a saga tells of another version than it follows": ("INV-4", whole_history("shipped", put(version=1))),
    "a saga has another name": ("INV-4", whole_history("shipped", put(saga="other"))),
    "a command is of another step's type": ("INV-26", _sent_by_another_version),
    "the order in the history is another one": (
        "INV-12",
        edit(EVENTS, "happy", "saga.started", lambda value: value["events"][0]["order"].update(customer_id="c-other")),
    ),
    "the history has another result than the reply": (
        "INV-12",
        edit(EVENTS, "happy", succeeded("reservation"), event(0, result="r-other")),
    ),
    "a skipped step has a result in the outcome": (
        "INV-12",
        edit(OUTCOMES, "shipped_by_hand", "order.completed", put(shipping_id="s")),
    ),
    "a stuck order is told with more than its step and reason": (
        "INV-25",
        edit(OUTCOMES, "shipped_by_hand", "order.stuck", put(shipping_id="s")),
    ),
    "a skipped step has a result in a command": (
        "INV-12",
        edit("notice.commands", "shipped_by_hand", "", put(shipping_id="s")),
    ),
    "a command lacks the result of an earlier step": (
        "INV-12",
        edit("shipping.commands", "shipped", "", pop("packing_id")),
    ),
}
IN_TIME: Mutants = {
    "a timer took effect before its time": ("INV-9", edit(EVENTS, "in_doubt", "timed_out", cause(due=LATE))),
    "a decision on a timer was made before its time": ("INV-9", edit(EVENTS, "in_doubt", "timed_out", put(at=EARLY))),
    "a time-out was due at another time": ("INV-9", edit(EVENTS, "in_doubt", "timed_out", cause(due=EARLY))),
    "a pause was over at another time": ("INV-9", edit(EVENTS, "retried", '"timer"', cause(due=EARLY))),
    "the deadline was at another time": ("INV-9", edit(EVENTS, "too_late", '"deadline"', cause(due=EARLY))),
    "room came later than it was used": ("INV-9", edit(EVENTS, "queued", "do:0:room", cause(due=LATE))),
    "the room of one step is used by another": (
        "INV-20",
        edit(EVENTS, "queued", "do:0:room", cause(timer="payment:do:0:room")),
    ),
    "a timer has a name of its own": ("INV-20", edit(EVENTS, "retried", '"timer"', cause(timer="nap"))),
    "room comes in the middle of a pause": (
        "INV-4",
        edit(EVENTS, "retried", '"timer"', cause(timer="reservation:do:1:room")),
    ),
    "a time-out of an attempt that is over": (
        "INV-4",
        edit(EVENTS, "in_doubt", "do:2:timeout", cause(timer="payment:do:1:timeout")),
    ),
    "the deadline passes and the saga goes on": ("INV-4", edit(EVENTS, "too_late", '"deadline"', bare(0, "because"))),
    "a request tells another time": ("INV-4", edit(EVENTS, "happy", "saga.started", event(1, at_ms=1))),
    "a first undo that had to wait names the order": (
        "INV-25",
        _names("reservation.commands", "never_packed", "undo:1", ""),
    ),
    "a first command that had to wait names the order": ("INV-25", _names("packing.commands", "crowded", "do:1", "")),
    "a first command names another step before it than the last": (
        "INV-25",
        _names("packing.commands", "crowded", "do:1", ":reservation:do:1"),
    ),
    "a first command names a later attempt of the step before it": (
        "INV-25",
        _names("packing.commands", "crowded", "do:1", ":payment:do:2"),
    ),
    "a first command of a saga names itself": (
        "INV-25",
        _names("reservation.commands", "crowded", "do:1", ":reservation:do:1"),
    ),
    "what a deadline leads to names a step never asked for": (
        "INV-25",
        _names("payment.commands", "never_packed", "undo:1", ":packing:do:1"),
    ),
    "room is used twice": ("INV-3", double(EVENTS, "queued", "do:0:room")),
    "a command after a wait for room names the order": (
        "INV-25",
        remake(
            "reservation.commands",
            "queued",
            "do:1",
            lambda r: replace(r, headers=tuple({**dict(r.headers), "ce_causationid": b"queued-13:place"}.items())),
        ),
    ),
}
OF_PEOPLE: Mutants = {
    "an operator has another name": ("INV-27", edit(EVENTS, "skipped", "saga.skip", event(0, operator="bob"))),
    "an operator had another reason": ("INV-27", edit(EVENTS, "skipped", "saga.skip", event(0, reason="fun"))),
    "an operator has no name": ("INV-27", edit(EVENTS, "skipped", "saga.skip", bare(0, "operator"))),
    "an operator did something else": (
        "INV-27",
        edit(EVENTS, "skipped", "saga.skip", event(0, operation="saga.retry")),
    ),
    "a refused operator has another name": (
        "INV-27",
        edit(EVENTS, "refused", "saga.operation.refused", event(0, operator="bob")),
    ),
    "an operator's record has another name": ("INV-27", edit("saga.operations", "lost", "", put(operator="bob"))),
    "a cancel had another reason": (
        "INV-27",
        edit(EVENTS, "cancelled", "saga.cancel.requested", event(0, reason="fun")),
    ),
    "a participant refused for another reason": (
        "INV-27",
        edit("payment.replies", "declined", "payment.declined", put(reason="other")),
    ),
    "an ignored reply is named wrongly": (
        "INV-27",
        edit(EVENTS, "in_doubt", "saga.reply.ignored", event(0, reply="payment.declined")),
    ),
    "an operator sees to what is not stuck": ("INV-4", edit(EVENTS, "lost", "saga.retry", event(0, steps=["packing"]))),
    "a retry is refused where it makes sense": (
        "INV-4",
        edit(EVENTS, "lost", "saga.retry", lambda v: told({**v["events"][0], "type": "saga.operation.refused"})(v)),
    ),
    "a compensation is refused where it makes sense": (
        "INV-4",
        edit(EVENTS, "never_shipped", "saga.operated", event(0, type="saga.operation.refused")),
    ),
    "a retry that names a step sees to both": (
        "INV-4",
        edit(EVENTS, "one_by_one", "saga.retry", event(0, steps=["reservation", "payment"])),
    ),
    "a retry that names a step sees to the other one": (
        "INV-4",
        edit("saga.operations", "one_by_one", "saga.retry", put(step="reservation")),
    ),
    "a retry that names no step sees to one alone": (
        "INV-4",
        edit(EVENTS, "both_at_once", "saga.retry", event(0, steps=["payment"])),
    ),
    "a retry sees to nothing": ("INV-4", edit(EVENTS, "lost", "saga.retry", event(0, steps=[]))),
    "a retry of a step that is not stuck is granted": (
        "INV-4",
        edit("saga.operations", "lost", "saga.retry", put(step="packing")),
    ),
    "a skip that names a stuck step is refused": (
        "INV-4",
        edit("saga.operations", "one_by_one", '"packing"', put(step="payment")),
    ),
    "a skip that names no step is granted where two are stuck": (
        "INV-4",
        edit(EVENTS, "one_by_one", "needs the name", told(see_to("payment", "reservation"))),
    ),
    "stuck in silence": ("INV-5", _stuck_in_silence),
    "a stuck saga's state does not say so": (
        "INV-10",
        lambda good: changed(good, last(good, STATE, "until_stuck"), put(legs=[])),
    ),
    "a running step's state says that it is stuck": (
        "INV-10",
        lambda good: changed(good, last(good, STATE, "untold"), put(legs=[{"is": "stuck", "step": "packing"}])),
    ),
}
FORGOTTEN: Mutants = {
    "a saga is forgotten too early": ("INV-10", moved(lambda good: last(good, STATE, "forgotten"), HALF_MINUTE_MS)),
    "a saga is forgotten too early, and placed again in time": (
        "INV-10",
        moved(lambda good: next(r for r in records(good, STATE, "placed_again") if r.value is None), HALF_MINUTE_MS),
    ),
    "a stuck saga is forgotten": ("INV-10", _deleted_while_stuck),
    "what never was is forgotten": ("INV-10", _forgotten_without_history),
    "an order is unknown too early": (
        "INV-11",
        moved(lambda good: one(good, DEAD, "forgotten", "unknown_order"), HALF_MINUTE_MS),
    ),
    "an id starts anew before its saga is forgotten": ("INV-2", _forgotten_later),
    "a second history has an outcome's id of the first": ("INV-25", _outcome_ids_as_before),
    "a second history goes on with the numbers of the first": ("INV-20", _numbered_on),
    "an ended saga is remembered for ever": ("INV-4", edit(EVENTS, "happy", "saga.completed", bare(1, "forget_ms"))),
    "an ended saga is forgotten before its end": (
        "INV-4",
        edit(EVENTS, "happy", "saga.completed", event(1, forget_ms=1)),
    ),
}
MUTANTS: Mutants = {**GONE_BACK, **IN_PARALLEL, **IN_TIME, **OF_PEOPLE, **FORGOTTEN}
