"""The words by which a run is judged are those of the contract, whatever saga they are read off."""

from dataclasses import replace

from app.audit.terms import Ask, terms_of
from app.saga.definition import Command
from app.saga.versions import Versions
from tests.audit.sagas import BOTH, CONTRACT, ORDER_TERMS, TERMS
from topologies.order import ORDER, RESERVATION


def test_the_order_sagas_terms_are_the_contracts() -> None:
    """What is read off the order saga's definition is what the contract says, written down by hand."""
    assert terms_of(ORDER) == terms_of(Versions((ORDER,))) == ORDER_TERMS


def test_versions_stand_side_by_side() -> None:
    """Each version has its own plan; parallel steps, a pivot and a retriable step are read off as they are meant."""
    assert terms_of(BOTH) == TERMS
    pivot = TERMS.plans[2].pivot
    assert pivot is not None
    assert pivot.name == "shipping"
    assert TERMS.plans[2].later["payment"] == {"packing", "shipping", "notice"}


def test_the_topics_are_the_contracts() -> None:
    """Inputs and outputs of the order saga, and which messages they carry."""
    assert set(ORDER_TERMS.inputs) == {"order.requests", "reservation.replies", "payment.replies", "saga.operations"}
    assert set(ORDER_TERMS.topics) == {
        "order.requests", "order.outcomes", "reservation.commands", "reservation.replies", "payment.commands",
        "payment.replies", "saga.operations", "saga.events", "saga.state", "saga.dead-letters",
    }  # fmt: skip
    assert ORDER_TERMS.types["reservation.replies"] == {
        "reservation.reserved", "reservation.rejected", "reservation.released", "reservation.failed",
    }  # fmt: skip
    assert ORDER_TERMS.types["payment.commands"] == {"payment.charge", "payment.refund"}


def test_a_version_may_ask_for_a_step_in_other_words() -> None:
    """The topic carries the words of all versions; each keeps its own."""
    other = replace(RESERVATION, do=Command("reservation.hold", ("lines",)))
    both = terms_of(Versions((ORDER, replace(ORDER, version=2, steps=(other, *ORDER.steps[1:])))))
    assert both.types["reservation.commands"] == {"reservation.reserve", "reservation.hold", "reservation.release"}
    assert both.plans[1] == CONTRACT
    assert both.plans[2].by_name["reservation"].do == Ask("reservation.hold", ("lines",))
