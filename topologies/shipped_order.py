"""Another saga: reserve the products and take the payment at once, then ship, then tell the customer.

Run it with `SAGA_DEFINITION=shipped-order`, and `saga serve` its four participants. It shows what a step can be:

- *Parallel*: reservation and payment need no other step (`after=()`), so both are asked for when the order comes.
- *Join*: shipping begins once both are done. If it is refused, both are undone, in parallel again.
- *Pivot*: a parcel in a carrier's hands can't be called back, so shipping has no undo and is the point of no return.
  Once it is asked for, a cancel is refused; when its answer stays out for good, the order is stuck, for a person.
- *Retriable*: what comes after the pivot can't be refused. The notice is asked for until it is sent.
- *Deadline*: an order that isn't shipped in time is rolled back, as long as shipping was not asked for.
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
        retry=PATIENT,  # in doubt it can't be undone: only an answer helps
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
