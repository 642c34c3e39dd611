"""The sagas whose runs are judged here: the order saga of the contract, and a later version of it with more steps."""

from dataclasses import replace

from app.audit.terms import Ask, Plan, Step, Terms
from app.saga import definition
from app.saga.definition import Command, Saga
from app.saga.versions import Versions
from topologies.order import ORDER, PAYMENT, RESERVATION

# what the contract says of the order saga

CONTRACT = Plan(
    (
        Step(
            name="reservation",
            do=Ask("reservation.reserve", ("lines",)),
            undo=Ask("reservation.release", (), ("reservation_id",)),
            succeeded="reservation.reserved",
            refused="reservation.rejected",
            undone="reservation.released",
            failed="reservation.failed",
            result="reservation_id",
        ),
        Step(
            name="payment",
            do=Ask("payment.charge", ("customer_id", "total")),
            undo=Ask("payment.refund", ("total",), ("payment_id",)),
            succeeded="payment.charged",
            refused="payment.declined",
            undone="payment.refunded",
            failed="payment.failed",
            result="payment_id",
            needs=frozenset(("reservation",)),
        ),
    )
)

# a version in which both run in parallel; packing, which can be undone; shipping, which can't; and a notice

_FIRST = frozenset(("reservation", "payment"))
PACKING = Step(
    name="packing",
    do=Ask("packing.pack", ("lines",), ("reservation_id",)),
    undo=Ask("packing.unpack", (), ("packing_id",)),
    succeeded="packing.packed",
    refused="packing.refused",
    undone="packing.unpacked",
    failed="packing.failed",
    result="packing_id",
    needs=_FIRST,
)
SHIPPING = Step(
    name="shipping",
    do=Ask("shipping.ship", ("customer_id",), ("packing_id",)),
    undo=None,
    succeeded="shipping.shipped",
    refused="shipping.refused",
    undone=None,
    failed="shipping.failed",
    result="shipping_id",
    kind="pivot",
    needs=_FIRST | {"packing"},
)
NOTICE = Step(
    name="notice",
    do=Ask("notice.send", ("customer_id",), ("shipping_id",)),
    undo=None,
    succeeded="notice.sent",
    refused=None,
    undone=None,
    failed="notice.failed",
    result="notice_id",
    kind="retriable",
    needs=_FIRST | {"packing", "shipping"},
)
PACKED = Plan((*(replace(step, needs=frozenset()) for step in CONTRACT.steps), PACKING, SHIPPING, NOTICE))

ORDER_TERMS = Terms("order", {1: CONTRACT})
TERMS = Terms("order", {1: CONTRACT, 2: PACKED})

# the same as definitions, as an author writes them

PACKED_ORDER = Saga(
    "order",
    version=2,
    steps=(
        replace(RESERVATION, after=()),
        replace(PAYMENT, after=()),
        definition.Step(
            "packing",
            Command("packing.pack", ("lines",), ("reservation_id",)),
            "packing.packed",
            "packing.failed",
            "packing_id",
            Command("packing.unpack", (), ("packing_id",)),
            "packing.unpacked",
            "packing.refused",
            after=("reservation", "payment"),
        ),
        definition.Step(
            "shipping",
            Command("shipping.ship", ("customer_id",), ("packing_id",)),
            "shipping.shipped",
            "shipping.failed",
            "shipping_id",
            refused="shipping.refused",
            kind="pivot",
        ),
        definition.Step(
            "notice",
            Command("notice.send", ("customer_id",), ("shipping_id",)),
            "notice.sent",
            "notice.failed",
            "notice_id",
            kind="retriable",
        ),
    ),
    deadline_ms=definition.DAY_MS,
)
BOTH = Versions((ORDER, PACKED_ORDER))
