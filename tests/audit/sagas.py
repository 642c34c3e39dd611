"""The sagas of the audit tests: the order saga of the contract, and a later version with more steps."""

from dataclasses import replace

from app.audit.spec import CommandSpec, SagaSpec, StepSpec, VersionSpec
from app.saga import definition
from app.saga.definition import Command, Saga
from app.saga.versions import Versions
from topologies.order import ORDER, PAYMENT, RESERVATION

# the order saga, as the contract describes it

CONTRACT = VersionSpec(
    (
        StepSpec(
            name="reservation",
            do=CommandSpec("reservation.reserve", ("lines",)),
            undo=CommandSpec("reservation.release", (), ("reservation_id",)),
            succeeded="reservation.reserved",
            refused="reservation.rejected",
            undone="reservation.released",
            failed="reservation.failed",
            result="reservation_id",
        ),
        StepSpec(
            name="payment",
            do=CommandSpec("payment.charge", ("customer_id", "total")),
            undo=CommandSpec("payment.refund", ("total",), ("payment_id",)),
            succeeded="payment.charged",
            refused="payment.declined",
            undone="payment.refunded",
            failed="payment.failed",
            result="payment_id",
            needs=frozenset(("reservation",)),
        ),
    )
)

# version 2: both steps in parallel, then packing (with undo), shipping (pivot without undo), and a notice

_FIRST = frozenset(("reservation", "payment"))
PACKING = StepSpec(
    name="packing",
    do=CommandSpec("packing.pack", ("lines",), ("reservation_id",)),
    undo=CommandSpec("packing.unpack", (), ("packing_id",)),
    succeeded="packing.packed",
    refused="packing.refused",
    undone="packing.unpacked",
    failed="packing.failed",
    result="packing_id",
    needs=_FIRST,
)
SHIPPING = StepSpec(
    name="shipping",
    do=CommandSpec("shipping.ship", ("customer_id",), ("packing_id",)),
    undo=None,
    succeeded="shipping.shipped",
    refused="shipping.refused",
    undone=None,
    failed="shipping.failed",
    result="shipping_id",
    kind="pivot",
    needs=_FIRST | {"packing"},
)
NOTICE = StepSpec(
    name="notice",
    do=CommandSpec("notice.send", ("customer_id",), ("shipping_id",)),
    undo=None,
    succeeded="notice.sent",
    refused=None,
    undone=None,
    failed="notice.failed",
    result="notice_id",
    kind="retriable",
    needs=_FIRST | {"packing", "shipping"},
)
PACKED = VersionSpec((*(replace(step, needs=frozenset()) for step in CONTRACT.steps), PACKING, SHIPPING, NOTICE))

ORDER_SPEC = SagaSpec("order", {1: CONTRACT})
SPEC = SagaSpec("order", {1: CONTRACT, 2: PACKED})

# the same steps, as the author of a definition writes them

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
BOTH_VERSIONS = Versions((ORDER, PACKED_ORDER))
