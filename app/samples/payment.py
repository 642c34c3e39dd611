"""The sample payment service: takes money from accounts that are never empty, but for those of marked customers."""

from app.samples.service import Granted, Movement, Refusal, Service
from app.wire import fields
from app.wire.strict import Object

BROKE = "c-broke"  # how the id of a customer starts whose payments are declined
_REST_OF_AN_ORDER: Object = {
    "lines": [{"sku": "", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 0}}],
}


def judge(data: Object) -> Granted | Refusal:
    """Charges the total to the customer's account."""
    order = fields.order(_REST_OF_AN_ORDER | data)
    customer, total = order["customer_id"], order["total"]
    if customer.startswith(BROKE):
        return Refusal("card declined")
    taken = (Movement(customer, total["currency"], total["minor"]),) if total["minor"] else ()
    return Granted(f"p-{order['order_id']}", taken)


PAYMENT = Service(
    name="payment",
    do="payment.charge",
    done="payment.charged",
    refused="payment.declined",
    undo="payment.refund",
    undone="payment.refunded",
    failed="payment.failed",
    result="payment_id",
    judge=judge,
)
