"""The spec derived from a saga's definition equals the contract, written down by hand."""

from dataclasses import replace

from app.audit.spec import CommandSpec, spec_of
from app.saga.definition import Command
from app.saga.versions import Versions
from tests.audit.sagas import BOTH_VERSIONS, CONTRACT, ORDER_SPEC, SPEC
from topologies.order import ORDER, RESERVATION


def test_the_spec_of_the_order_saga_is_the_contract() -> None:
    """The definition of the order saga gives the spec that the contract describes."""
    assert spec_of(ORDER) == spec_of(Versions((ORDER,))) == ORDER_SPEC


def test_each_version_has_its_own_spec() -> None:
    """Parallel steps, a pivot and a retriable step of version 2 come out as the definition means them."""
    assert spec_of(BOTH_VERSIONS) == SPEC
    pivot = SPEC.versions[2].pivot
    assert pivot is not None
    assert pivot.name == "shipping"
    assert SPEC.versions[2].later["payment"] == {"packing", "shipping", "notice"}


def test_the_topics_are_those_of_the_contract() -> None:
    """The topics of the order saga, and the message types that they carry."""
    assert set(ORDER_SPEC.inputs) == {"order.requests", "reservation.replies", "payment.replies", "saga.operations"}
    assert set(ORDER_SPEC.topics) == {
        "order.requests", "order.outcomes", "reservation.commands", "reservation.replies", "payment.commands",
        "payment.replies", "saga.operations", "saga.events", "saga.state", "saga.dead-letters",
    }  # fmt: skip
    assert ORDER_SPEC.types["reservation.replies"] == {
        "reservation.reserved", "reservation.rejected", "reservation.released", "reservation.failed",
    }  # fmt: skip
    assert ORDER_SPEC.types["payment.commands"] == {"payment.charge", "payment.refund"}


def test_a_version_may_use_another_command_type() -> None:
    """The topic carries the types of all versions; each version keeps its own."""
    other = replace(RESERVATION, do=Command("reservation.hold", ("lines",)))
    both = spec_of(Versions((ORDER, replace(ORDER, version=2, steps=(other, *ORDER.steps[1:])))))
    assert both.types["reservation.commands"] == {"reservation.reserve", "reservation.hold", "reservation.release"}
    assert both.versions[1] == CONTRACT
    assert both.versions[2].by_name["reservation"].do == CommandSpec("reservation.hold", ("lines",))
