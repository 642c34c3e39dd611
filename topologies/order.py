"""The order saga as data: reserve the products, then take the payment; undone in reverse."""

from app.saga.definition import DAY_MS, Command, Retry, Saga, Step

PATIENT = Retry(attempts=12, first_pause_ms=500, longest_pause_ms=60_000)

RESERVATION = Step(
    name="reservation",
    do=Command("reservation.reserve", order_fields=("lines",)),
    undo=Command("reservation.release", result_fields=("reservation_id",), retry=PATIENT),
    succeeded="reservation.reserved",
    refused="reservation.rejected",
    undone="reservation.released",
    failed="reservation.failed",
    result="reservation_id",
)
PAYMENT = Step(
    name="payment",
    do=Command("payment.charge", order_fields=("customer_id", "total")),
    undo=Command("payment.refund", order_fields=("total",), result_fields=("payment_id",), retry=PATIENT),
    succeeded="payment.charged",
    refused="payment.declined",
    undone="payment.refunded",
    failed="payment.failed",
    result="payment_id",
)
ORDER = Saga("order", version=1, steps=(RESERVATION, PAYMENT), deadline_ms=DAY_MS)
