"""The order saga as written on stock quixstreams: joined topics, one stateful step, JSON state.

The product is measured against this peer. `python -m tests.benchmarks.stock_saga SECONDS` runs one pod with the
settings of `saga run` that apply to it. SECONDS is the poll time-out: a poll of joined topics waits for all of it, and
quixstreams' default is 1 s. quixstreams has no timers, so nothing times out, and failed steps are retried at once;
there are no operations and no limits, and a value that is not JSON ends the process.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from quixstreams import Application, message_context
from quixstreams.models import Topic
from quixstreams.models.serializers.json import JSONSerializer
from quixstreams.state import State

from app.ops.settings import Settings, load

INPUTS = ("order.requests", "reservation.replies", "payment.replies", "saga.operations")
OUTPUTS = ("reservation.commands", "payment.commands", "order.outcomes", "saga.events", "saga.dead-letters")
COMMIT_SECONDS = 0.1  # the default of 5 s would delay every hop by as much

STEPS = ("reservation", "payment")
COMMANDS = {
    "reservation:do": "reservation.reserve",
    "reservation:undo": "reservation.release",
    "payment:do": "payment.charge",
    "payment:undo": "payment.refund",
}
MAX_ATTEMPTS = 5
Saga = dict[str, Any]
Json = dict[str, Any]


class Reject(Exception):
    """A record for the dead letters: a reason code of the contract, and a sentence."""


class Output(NamedTuple):
    """An output record."""

    topic: str
    headers: Sequence[tuple[str, str | bytes]]
    value: Any


class Outbox:
    """The events and messages that one record leads to; messages name the record as their cause."""

    def __init__(self, key: str, cause: dict[str, str]) -> None:
        self.key = key
        self.cause = cause
        self.at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.events: list[Json] = []
        self.messages: list[Output] = []
        self.trace = [(name, cause[name]) for name in ("traceparent", "tracestate") if name in cause]

    def event(self, type: str, **fields: Any) -> None:
        """Adds an event."""
        self.events.append({"type": type, **fields})

    def send(self, topic: str, type: str, id: str, fields: Json, *more: tuple[str, str]) -> None:
        """Adds a message, with additional headers."""
        headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", id),
            ("ce_type", type),
            ("ce_source", "/saga-orchestrator"),
            ("ce_time", self.at),
            ("ce_correlationid", self.key),
            ("ce_causationid", self.cause["ce_id"]),
            ("content-type", "application/json"),
            *more,
            *self.trace,
        ]
        self.messages.append(Output(topic, headers, {"order_id": self.key, **fields}))


def process(value: Any, key: str, _: int, headers: Any, state: State[str, Saga]) -> list[Output]:
    """All output records that a record leads to."""
    at = message_context()
    origin = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
    named = {name: text.decode() for name, text in headers or ()}
    try:
        check(key, named, value)
        box = Outbox(key, named)
        saga = decide(state.get("saga"), value, box)
    except Reject as reject:
        code, sentence = reject.args
        errors = {"reason": code, "message": sentence, **origin}
        added = [(f"__saga.errors.{name}", str(text)) for name, text in errors.items()]
        return [Output("saga.dead-letters", [*(headers or ()), *added], value)]
    if saga is None:
        return []
    state.set("saga", saga)
    return [decision(saga, origin, box), *box.messages]


def check(key: str, headers: dict[str, str], value: Any) -> None:
    """Raises Reject for a record without what every message has."""
    if not isinstance(value, dict) or not headers.get("ce_id") or not headers.get("ce_type"):
        raise Reject("malformed", "it has no ce_id or no ce_type, or its value is no object")
    if value.get("order_id") != key:
        raise Reject("wrong_key", "its key is not its order_id")


def decision(saga: Saga, origin: Json, box: Outbox) -> Output:
    """The record of one decision."""
    record = {
        "saga_id": box.key,
        "saga": "order",
        "version": 1,
        "seq": saga["seq"],
        "at": box.at,
        "cause": {**origin, "id": box.cause["ce_id"], "type": box.cause["ce_type"]},
        "events": box.events,
    }
    return Output("saga.events", (), record)


def decide(saga: Saga | None, value: Json, box: Outbox) -> Saga | None:
    """The saga after a message; None when nothing was decided."""
    type = box.cause["ce_type"]
    area, _, verb = type.partition(".")
    if type == "order.place":
        return placed(saga, value, box)
    if saga is None:
        raise Reject("unknown_order", "there is no order of this id")
    saga["seq"] += 1
    if area in STEPS and verb in REPLIES:
        replied(saga, area, verb, value, box)
    elif type == "order.cancel":
        cancelled(saga, value["reason"], box)
    else:
        raise Reject("unknown_type", f"{type} is not known")
    return saga


def placed(saga: Saga | None, order: Json, box: Outbox) -> Saga | None:
    """Starts a saga, unless it was started before."""
    if saga is not None:
        if saga["order"] != order:
            raise Reject("conflict", "there is another order of this id")
        return None
    if not order.get("lines") or not order.get("total"):
        raise Reject("invalid", "an order needs lines and a total")
    saga = {"order": order, "phase": "forward", "step": 0, "attempt": 0, "seq": 1}
    box.event("saga.started", order=order)
    request(saga, box)
    return saga


def request(saga: Saga, box: Outbox, attempt: int = 1) -> None:
    """Sends the command of the current step, or its undo."""
    step, back = STEPS[saga["step"]], saga["phase"] == "backward"
    effect = f"{step}:{'undo' if back else 'do'}"
    saga["attempt"] = attempt
    box.event("saga.compensation.requested" if back else "saga.step.requested", step=step, attempt=attempt)
    key = f"{box.key}:{effect}"
    fields = arguments(saga, step, effect)
    box.send(f"{step}.commands", COMMANDS[effect], f"{key}:{attempt}", fields, ("ce_idempotencykey", key))


def arguments(saga: Saga, step: str, effect: str) -> Json:
    """The payload of a command."""
    order, result = saga["order"], f"{step}_id"
    if effect == "reservation:do":
        return {"lines": order["lines"]}
    known = {result: saga[result]} if result in saga else {}
    if effect == "payment:do":
        return {"customer_id": order["customer_id"], "total": order["total"]}
    return {**known, "total": order["total"]} if step == "payment" else known


def replied(saga: Saga, step: str, verb: str, value: Json, box: Outbox) -> None:
    """Handles a reply; ignores one that is not to the awaited command."""
    phase, command = saga["phase"], box.cause.get("ce_causationid", "")
    direction = "do" if phase == "forward" else "undo"
    phases, handle = REPLIES[verb]
    if phase not in phases or step != STEPS[saga["step"]] or not command.startswith(f"{box.key}:{step}:{direction}:"):
        box.event("saga.reply.ignored", command=command, reason="nothing awaits it")
        return
    handle(saga, step, value, box)


def succeeded(saga: Saga, step: str, value: Json, box: Outbox) -> None:
    """Advances to the next step, or completes."""
    result = f"{step}_id"
    saga[result] = value[result]
    box.event("saga.step.succeeded", step=step, attempt=saga["attempt"], result=value[result])
    if saga["step"] + 1 < len(STEPS):
        saga["step"] += 1
        request(saga, box)
    else:
        saga["phase"] = "completed"
        box.event("saga.completed")
        finish(saga, "order.completed", box, reservation_id=saga["reservation_id"], payment_id=saga["payment_id"])


def refused(saga: Saga, step: str, value: Json, box: Outbox) -> None:
    """The step did nothing: rolls back from the step before."""
    box.event("saga.step.refused", step=step, attempt=saga["attempt"], reason=value["reason"])
    start_rollback(saga, value["reason"], saga["step"] - 1, box)


def undone(saga: Saga, step: str, _: Json, box: Outbox) -> None:
    """Compensates the step before."""
    box.event("saga.compensation.succeeded", step=step, attempt=saga["attempt"])
    undo_step(saga, saga["step"] - 1, box)


def failed(saga: Saga, step: str, value: Json, box: Outbox) -> None:
    """Retries the step; else rolls back, or gets stuck if it is an undo."""
    back, reason = saga["phase"] == "backward", value["reason"]
    type = "saga.compensation.failed" if back else "saga.step.failed"
    box.event(type, step=step, attempt=saga["attempt"], reason=reason)
    if value["retryable"] and saga["attempt"] < MAX_ATTEMPTS:
        request(saga, box, saga["attempt"] + 1)
    elif not back:
        start_rollback(saga, reason, saga["step"], box)
    else:
        saga["phase"] = "stuck"
        box.event("saga.stuck", step=step, attempt=saga["attempt"], reason=reason)
        finish(saga, "order.stuck", box, reason=reason, step=step)


Handle = Callable[[Saga, str, Json, Outbox], None]
FORWARD, BACK = frozenset({"forward"}), frozenset({"backward", "stuck"})
REPLIES: dict[str, tuple[frozenset[str], Handle]] = {
    **dict.fromkeys(("reserved", "charged"), (FORWARD, succeeded)),
    **dict.fromkeys(("rejected", "declined"), (FORWARD, refused)),
    **dict.fromkeys(("released", "refunded"), (BACK, undone)),
    "failed": (frozenset({"forward", "backward"}), failed),
}


def cancelled(saga: Saga, reason: str, box: Outbox) -> None:
    """Rolls back, unless it is too late."""
    if saga["phase"] == "forward":
        saga["cancelled"] = True
        box.event("saga.cancel.requested", reason=reason)
        start_rollback(saga, reason, saga["step"], box)
    else:
        box.event("saga.cancel.refused", reason="too late")
        finish(saga, "order.cancel.refused", box, reason="too late")


def start_rollback(saga: Saga, reason: str, first: int, box: Outbox) -> None:
    """Starts a rollback at this step."""
    saga["why"] = {"reason": reason, "step": STEPS[saga["step"]]}
    undo_step(saga, first, box)


def undo_step(saga: Saga, step: int, box: Outbox) -> None:
    """Undoes this step, or ends the rollback when there is none."""
    saga["phase"] = "backward"
    if step >= 0:
        saga["step"] = step
        request(saga, box)
        return
    saga["phase"] = "rolled back"
    box.event("saga.rolled_back", **saga["why"])
    finish(saga, "order.cancelled" if saga.get("cancelled") else "order.rejected", box, **saga["why"])


def finish(saga: Saga, type: str, box: Outbox, **fields: Any) -> None:
    """Sends the outcome."""
    box.send("order.outcomes", type, f"{box.key}:outcome:{saga['seq']}", fields)


def encoded(out: Output) -> bytes:
    """The value of an output record."""
    return orjson.dumps(out.value)


def stock(settings: Settings, poll_seconds: float) -> Application:
    """The whole flow, for topics that exist; call `run` on it."""
    app = Application(
        broker_address=settings.kafka_bootstrap,
        consumer_group=settings.group_id,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        consumer_poll_timeout=poll_seconds,
        producer_extra_config={"compression.type": settings.compression},
        state_dir=settings.state_dir,
        loglevel="WARNING",
    )

    def topic(name: str) -> Topic:
        return app.topic(settings.topic_prefix + name, "json", "str", JSONSerializer(encoded), "str")

    outputs = {name: topic(name) for name in OUTPUTS}
    inbox, *others = (app.dataframe(topic(name)) for name in INPUTS)
    for other in others:
        inbox = inbox.concat(other)
    decided = inbox.apply(process, stateful=True, expand=True, metadata=True)
    decided = decided.set_headers(lambda out, *_: out.headers)
    decided.to_topic(lambda out, *_: outputs[out.topic])
    return app


if __name__ == "__main__":
    stock(load(), float(sys.argv[1])).run()
