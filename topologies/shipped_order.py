"""Another saga: reserve the products and take the payment in parallel, then ship, then notify the customer.

Run it with `SAGA_DEFINITION=shipped-order`, and `saga serve` its four participants. It shows what a step can be:

- *Parallel*: reservation and payment need no other step (`after=()`), so both are requested when the order is placed.
- *Join*: shipping begins once both are done. If it is refused, both are undone, in parallel again.
- *Pivot*: a parcel in a carrier's hands can't be called back, so shipping has no undo and is the point of no return.
  Once its command is sent, a cancel is refused. If no answer ever comes, the order is stuck until an operator acts.
- *Retriable*: what comes after the pivot can't be refused. The notice is requested until it is sent.
- *Deadline*: an order that isn't shipped in time is rolled back, unless shipping was requested.
"""

from dataclasses import replace

from app.saga.definition import DAY_MS, Command, Saga, Step
from topologies.order import PATIENT, PAYMENT, RESERVATION

SHIPPING = Step(
    name="shipping",
    do=Command(
        "shipping.ship",
        order_fields=("customer_id", "lines"),
        result_fields=("reservation_id",),
        retry=PATIENT,  # there is no undo: only an answer tells whether it happened
    ),
    succeeded="shipping.shipped",
    refused="shipping.refused",
    failed="shipping.failed",
    result="shipping_id",
    kind="pivot",
    after=("reservation", "payment"),
)
NOTICE = Step(
    name="notice",
    do=Command("notice.send", order_fields=("customer_id",), result_fields=("shipping_id",), retry=PATIENT),
    succeeded="notice.sent",
    failed="notice.failed",
    result="notice_id",
    kind="retriable",
    after=("shipping",),
)
SHIPPED_ORDER = Saga(
    "shipped-order",
    version=1,
    steps=(replace(RESERVATION, after=()), replace(PAYMENT, after=()), SHIPPING, NOTICE),
    deadline_ms=DAY_MS,
)
