"""Tampered records that break the rules of rollbacks, parallel steps, timers, operators and retention."""

from collections.abc import Callable
from dataclasses import replace

from app.audit.recording.recording import Record, Recording
from app.audit.recording.records import json_object
from tests.audit.events import COMPLETED, because, request, request_undo, retry_or_skip, step_was, stuck
from tests.audit.mutation import (
    Change,
    Mutants,
    Mutation,
    appended,
    cause,
    duplicate,
    edit,
    edit_record,
    edited,
    event,
    first_record,
    last_record,
    pop,
    put,
    records,
    replaced,
    with_header,
    with_json,
    without,
)
from tests.audit.topic_logs import Body, time_text

EVENTS, STATE, OUTCOMES, DEAD = "saga.events", "saga.state", "order.outcomes", "saga.dead-letters"
LATE, EARLY = time_text(86_400_000), time_text(1)
COMPENSATES, HALF_MINUTE_MS = {"because": because("payment", requested=True)}, 30_000


def set_events(*events: Body) -> Change:
    """A decision has other events."""
    return put(events=list(events))


def append_event(added: Body) -> Change:
    """A decision has one event more."""
    return lambda value: value["events"].append(added)


def drop_event_field(index: int, field: str) -> Change:
    """One event of a decision lacks a field."""
    return lambda value: value["events"][index].pop(field)


def success_of(step: str) -> str:
    """A text that the decision contains in which a step succeeded."""
    return f'"saga.step.succeeded","step":"{step}"'


def every_decision(order: str, change: Change) -> Mutation:
    """Changes all decisions of an order."""

    def mutate(good: Recording) -> Recording:
        for record in records(good, EVENTS, order):
            good = edited(good, record, change)
        return good

    return mutate


def backdated(find: Callable[[Recording], Record], ms: int) -> Mutation:
    """The timestamp of a record is `ms` earlier."""

    def mutate(good: Recording) -> Recording:
        record = find(good)
        return replaced(good, record, replace(record, timestamp_ms=record.timestamp_ms - ms))

    return mutate


def _stuck_without_notice(good: Recording) -> Recording:
    """The refund failed for good, but no event, outcome or state says that the saga is stuck."""
    silent = edit(EVENTS, "refund_stuck", '"saga.stuck"', lambda value: value["events"].pop())(good)
    silent = without(silent, first_record(silent, OUTCOMES, "refund_stuck"))
    return edited(silent, last_record(silent, STATE, "refund_stuck"), put(legs=[]))


def _tombstone_while_stuck(good: Recording) -> Recording:
    return appended(good, replace(last_record(good, STATE, "refund_stuck"), value=None))


def _tombstone_without_decisions(good: Recording) -> Recording:
    return appended(good, replace(last_record(good, STATE, "expired"), key=b"ghost"))


def _second_life_numbered_on(good: Recording) -> Recording:
    start = records(good, EVENTS, "placed_again", "saga.started")[1]
    return replaced(good, start, with_json(start, put(seq=5)))


def _retention_longer(good: Recording) -> Recording:
    end = first_record(good, EVENTS, "placed_again", "saga.rolled_back")
    forget_ms = json_object(end.value)["events"][1]["forget_ms"]
    return edited(good, end, event(1, forget_ms=forget_ms + 90_000))


def _type_of_another_step(good: Recording) -> Recording:
    pack = first_record(good, "packing.commands", "shipped")
    other = first_record(good, "reservation.commands", "shipped")
    types = {**dict(pack.headers), "ce_type": dict(other.headers)["ce_type"]}
    return replaced(good, pack, replace(pack, headers=tuple(types.items())))


def _causation(topic: str, order: str, holds: str, suffix: str) -> Mutation:
    """A command has the causation id that is the order's id and `suffix`."""

    def with_causation(record: Record) -> Record:
        return with_header(record, "ce_causationid", f"{(record.key or b'').decode()}{suffix}")

    return edit_record(topic, order, holds, with_causation)


def _outcome_id_of_first_life(good: Recording) -> Recording:
    """The second life of an order id has an outcome id of the first."""
    first, second = first_record(good, OUTCOMES, "placed_again"), last_record(good, OUTCOMES, "placed_again")
    return replaced(good, second, with_header(second, "ce_id", dict(first.headers)["ce_id"].decode()))  # type: ignore[union-attr]


ROLLBACK: Mutants = {
    "an undo after the pivot": (
        "INV-8",
        edit(EVENTS, "shipped", success_of("shipping"), event(1, **request_undo("packing"))),
    ),
    "a cancel is accepted after the pivot was requested": (
        "INV-8",
        edit(EVENTS, "shipped", "saga.cancel.refused", event(0, type="saga.cancel.requested", **COMPENSATES)),
    ),
    "a compensate is accepted after the pivot was requested": (
        "INV-8",
        edit(EVENTS, "shipped", "saga.operation.refused", event(0, type="saga.operated", **COMPENSATES)),
    ),
    "a pivot in doubt starts compensation": (
        "INV-8",
        edit(
            EVENTS,
            "shipping_retried",
            '"saga.stuck"',
            lambda v: v["events"].pop() and v["events"][0].update(COMPENSATES),
        ),
    ),
    "a step after the pivot starts compensation": (
        "INV-8",
        edit(
            EVENTS, "notice_stuck", '"saga.stuck"', lambda v: v["events"].pop() and v["events"][0].update(COMPENSATES)
        ),
    ),
    "a step without an undo is undone": (
        "INV-8",
        edit(EVENTS, "compensated_by_operator", "saga.operated", event(1, step="shipping")),
    ),
    "a parallel step is undone before the step that needed both": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.step.refused", event(1, step="payment")),
    ),
    "a parallel step is undone together with the step that needed it": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.step.refused", append_event(request_undo("reservation"))),
    ),
    "one of two parallel steps is not undone": (
        "INV-8",
        edit(EVENTS, "unshippable", "saga.rolled_back", event(0, step="payment")),
    ),
    "a saga compensates without a cause": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", drop_event_field(0, "because")),
    ),
    "a refusal counts as requested": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(0, because=because("payment", requested=True))),
    ),
    "a refusal gives another reason for the compensation": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(0, because=because("payment", reason="other"))),
    ),
    "a cancel does not count as requested": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.cancel.requested", event(0, because=because("payment", reason="asked for"))),
    ),
    "a saga ends with another reason than it compensated for": (
        "INV-4",
        edit(EVENTS, "declined", "saga.rolled_back", event(1, reason="other")),
    ),
    "a cancelled saga does not end as requested": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.rolled_back", event(1, requested=False)),
    ),
}
PARALLEL_STEPS: Mutants = {
    "a step is requested before both that it needs are done": (
        "INV-4",
        edit(EVENTS, "shipped", success_of("payment"), append_event(request("packing"))),
    ),
    "completed without the last step": (
        "INV-4",
        edit(EVENTS, "shipped", success_of("shipping"), lambda value: value["events"].__setitem__(1, COMPLETED)),
    ),
    "a queued step is requested twice": (
        "INV-4",
        edit(EVENTS, "queued", "saga.started", append_event(request("reservation"))),
    ),
    "a step in flight gets capacity": (
        "INV-4",
        edit(EVENTS, "queued", "do:0:room", append_event(request("reservation", 2))),
    ),
    "a failure without a backoff is retried after one": (
        "INV-4",
        edit(EVENTS, "queued", "do:2:room", cause(timer="reservation:do:2:pause")),
    ),
    "stuck in a step that can be undone": (
        "INV-4",
        edit(EVENTS, "in_doubt", '"because"', set_events(step_was("timed_out", "payment", 2), stuck("payment", 2))),
    ),
    "a saga names another version than it follows": ("INV-4", every_decision("shipped", put(version=1))),
    "a saga has another name": ("INV-4", every_decision("shipped", put(saga="other"))),
    "a command has the type of another step": ("INV-26", _type_of_another_step),
    "the order in the events differs from the order placed": (
        "INV-12",
        edit(EVENTS, "happy", "saga.started", lambda value: value["events"][0]["order"].update(customer_id="c-other")),
    ),
    "the result in the events differs from the reply": (
        "INV-12",
        edit(EVENTS, "happy", success_of("reservation"), event(0, result="r-other")),
    ),
    "a skipped step has a result in the outcome": (
        "INV-12",
        edit(OUTCOMES, "shipping_skipped", "order.completed", put(shipping_id="s")),
    ),
    "the outcome of a stuck order has more than step and reason": (
        "INV-25",
        edit(OUTCOMES, "shipping_skipped", "order.stuck", put(shipping_id="s")),
    ),
    "a skipped step has a result in a command": (
        "INV-12",
        edit("notice.commands", "shipping_skipped", "", put(shipping_id="s")),
    ),
    "a command lacks the result of an earlier step": (
        "INV-12",
        edit("shipping.commands", "shipped", "", pop("packing_id")),
    ),
}
TIMERS: Mutants = {
    "a timer fired before it was due": ("INV-9", edit(EVENTS, "in_doubt", "timed_out", cause(due=LATE))),
    "a decision on a timer was made before the timer was due": (
        "INV-9",
        edit(EVENTS, "in_doubt", "timed_out", put(at=EARLY)),
    ),
    "a timeout was due at another time": ("INV-9", edit(EVENTS, "in_doubt", "timed_out", cause(due=EARLY))),
    "a backoff ended at another time": ("INV-9", edit(EVENTS, "retried", '"timer"', cause(due=EARLY))),
    "the deadline was at another time": ("INV-9", edit(EVENTS, "deadline_passed", '"deadline"', cause(due=EARLY))),
    "capacity was used before it was free": ("INV-9", edit(EVENTS, "queued", "do:0:room", cause(due=LATE))),
    "the capacity of one step is used by another": (
        "INV-20",
        edit(EVENTS, "queued", "do:0:room", cause(timer="payment:do:0:room")),
    ),
    "a timer has an invalid name": ("INV-20", edit(EVENTS, "retried", '"timer"', cause(timer="nap"))),
    "capacity ends a backoff": (
        "INV-4",
        edit(EVENTS, "retried", '"timer"', cause(timer="reservation:do:1:room")),
    ),
    "an attempt times out that is over": (
        "INV-4",
        edit(EVENTS, "in_doubt", "do:2:timeout", cause(timer="payment:do:1:timeout")),
    ),
    "the deadline passes, but the saga does not compensate": (
        "INV-4",
        edit(EVENTS, "deadline_passed", '"deadline"', drop_event_field(0, "because")),
    ),
    "a request event has another time than its decision": (
        "INV-4",
        edit(EVENTS, "happy", "saga.started", event(1, at_ms=1)),
    ),
    "a queued first undo names the order": (
        "INV-25",
        _causation("reservation.commands", "deadline_before_packing", "undo:1", ""),
    ),
    "a queued first command names the order": ("INV-25", _causation("packing.commands", "all_queued", "do:1", "")),
    "a queued first command names another step than the last one before it": (
        "INV-25",
        _causation("packing.commands", "all_queued", "do:1", ":reservation:do:1"),
    ),
    "a queued first command names a later attempt of the step before it": (
        "INV-25",
        _causation("packing.commands", "all_queued", "do:1", ":payment:do:2"),
    ),
    "the queued first command of a saga names itself": (
        "INV-25",
        _causation("reservation.commands", "all_queued", "do:1", ":reservation:do:1"),
    ),
    "a command after the deadline names a step never requested": (
        "INV-25",
        _causation("payment.commands", "deadline_before_packing", "undo:1", ":packing:do:1"),
    ),
    "capacity is used twice": ("INV-3", duplicate(EVENTS, "queued", "do:0:room")),
    "the first command of a saga was queued, and names the order's id": (
        "INV-25",
        _causation("reservation.commands", "queued", "do:1", ""),
    ),
    "a queued command names the command before it, and not the reply": (
        "INV-25",
        _causation("payment.commands", "queued", "do:1", ":reservation:do:3"),
    ),
    "a command that was queued by a failure names the attempt before it": (
        "INV-25",
        _causation("reservation.commands", "queued", "do:3", ":reservation:do:2"),
    ),
}
OPERATORS: Mutants = {
    "an operator has another name": ("INV-27", edit(EVENTS, "refund_skipped", "saga.skip", event(0, operator="bob"))),
    "an operator had another reason": ("INV-27", edit(EVENTS, "refund_skipped", "saga.skip", event(0, reason="fun"))),
    "an operator has no name": ("INV-27", edit(EVENTS, "refund_skipped", "saga.skip", drop_event_field(0, "operator"))),
    "an operator did another operation": (
        "INV-27",
        edit(EVENTS, "refund_skipped", "saga.skip", event(0, operation="saga.retry")),
    ),
    "a refused operator has another name": (
        "INV-27",
        edit(EVENTS, "refused", "saga.operation.refused", event(0, operator="bob")),
    ),
    "an operator's record has another name": (
        "INV-27",
        edit("saga.operations", "shipping_retried", "", put(operator="bob")),
    ),
    "a cancel had another reason": (
        "INV-27",
        edit(EVENTS, "cancelled", "saga.cancel.requested", event(0, reason="fun")),
    ),
    "a participant refused for another reason": (
        "INV-27",
        edit("payment.replies", "declined", "payment.declined", put(reason="other")),
    ),
    "an ignored reply has another type": (
        "INV-27",
        edit(EVENTS, "in_doubt", "saga.reply.ignored", event(0, reply="payment.declined")),
    ),
    "an operator retries a step that is not stuck": (
        "INV-4",
        edit(EVENTS, "shipping_retried", "saga.retry", event(0, steps=["packing"])),
    ),
    "a valid retry is refused": (
        "INV-4",
        edit(
            EVENTS,
            "shipping_retried",
            "saga.retry",
            lambda v: set_events({**v["events"][0], "type": "saga.operation.refused"})(v),
        ),
    ),
    "a valid compensate is refused": (
        "INV-4",
        edit(EVENTS, "compensated_by_operator", "saga.operated", event(0, type="saga.operation.refused")),
    ),
    "a retry that names one step retries both": (
        "INV-4",
        edit(EVENTS, "undos_skipped_singly", "saga.retry", event(0, steps=["reservation", "payment"])),
    ),
    "a retry that names one step retries the other one": (
        "INV-4",
        edit("saga.operations", "undos_skipped_singly", "saga.retry", put(step="reservation")),
    ),
    "a retry that names no step retries only one": (
        "INV-4",
        edit(EVENTS, "both_undos_retried", "saga.retry", event(0, steps=["payment"])),
    ),
    "a retry retries no step": ("INV-4", edit(EVENTS, "shipping_retried", "saga.retry", event(0, steps=[]))),
    "a retry of a step that is not stuck is accepted": (
        "INV-4",
        edit("saga.operations", "shipping_retried", "saga.retry", put(step="packing")),
    ),
    "a skip that names a stuck step is refused": (
        "INV-4",
        edit("saga.operations", "undos_skipped_singly", '"packing"', put(step="payment")),
    ),
    "a skip that names no step is accepted although two are stuck": (
        "INV-4",
        edit(EVENTS, "undos_skipped_singly", "needs the name", set_events(retry_or_skip("payment", "reservation"))),
    ),
    "a saga is stuck, but nothing says so": ("INV-5", _stuck_without_notice),
    "the state of a stuck saga is not stuck": (
        "INV-10",
        lambda good: edited(good, last_record(good, STATE, "refund_stuck"), put(legs=[])),
    ),
    "the state of a saga is stuck in another step": (
        "INV-10",
        lambda good: edited(
            good, last_record(good, STATE, "notice_stuck"), put(legs=[{"is": "stuck", "step": "packing"}])
        ),
    ),
}
RETENTION: Mutants = {
    "a saga expired too early": (
        "INV-10",
        backdated(lambda good: last_record(good, STATE, "expired"), HALF_MINUTE_MS),
    ),
    "a saga expired too early, and was placed again in time": (
        "INV-10",
        backdated(
            lambda good: next(r for r in records(good, STATE, "placed_again") if r.value is None), HALF_MINUTE_MS
        ),
    ),
    "a stuck saga expired": ("INV-10", _tombstone_while_stuck),
    "a tombstone has no decisions": ("INV-10", _tombstone_without_decisions),
    "an order is unknown too early": (
        "INV-11",
        backdated(lambda good: first_record(good, DEAD, "expired", "unknown_order"), HALF_MINUTE_MS),
    ),
    "an order id starts a second saga before the first expired": ("INV-2", _retention_longer),
    "a second life has an outcome id of the first": ("INV-25", _outcome_id_of_first_life),
    "a second life goes on with the decision numbers of the first": ("INV-20", _second_life_numbered_on),
    "an ended saga has no end of retention": (
        "INV-4",
        edit(EVENTS, "happy", "saga.completed", drop_event_field(1, "forget_ms")),
    ),
    "a saga's retention ends before the saga": (
        "INV-4",
        edit(EVENTS, "happy", "saga.completed", event(1, forget_ms=1)),
    ),
}
MUTANTS: Mutants = {**ROLLBACK, **PARALLEL_STEPS, **TIMERS, **OPERATORS, **RETENTION}
