"""The sample notice service: notifies a customer that the parcel is on its way; it never refuses."""

from app.samples.services.base import Granted, Movement, Service
from app.wire import fields
from app.wire.strict_json import Object

NOTICE_UNIT = "notice"


def judge(data: Object) -> Granted:
    """Sends the customer one notice."""
    order_id, customer = fields.order_id(data), fields.text(data, "customer_id")
    fields.text(data, "shipping_id")
    return Granted(f"n-{order_id}", (Movement(customer, NOTICE_UNIT, 1),))


NOTICE = Service(
    name="notice",
    do="notice.send",
    done="notice.sent",
    failed="notice.failed",
    result="notice_id",
    judge=judge,
)
