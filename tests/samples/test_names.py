"""The sample services speak of what the sagas speak."""

import pytest

from app.saga.definition import Saga
from app.samples.cli import ServiceName
from app.samples.notice import NOTICE
from app.samples.payment import PAYMENT
from app.samples.reservation import RESERVATION
from app.samples.service import Service
from app.samples.shipping import SHIPPING
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SERVICES = (RESERVATION, PAYMENT, SHIPPING, NOTICE)
SPOKEN = [(saga, service) for saga in (ORDER, SHIPPED_ORDER) for service in SERVICES if service.name in saga.place]


@pytest.mark.parametrize(
    ("saga", "service"), SPOKEN, ids=[f"{service.name} of {saga.name}" for saga, service in SPOKEN]
)
def test_a_service_has_the_names_of_its_step(saga: Saga, service: Service) -> None:
    """Topics, message types and the field of the result are those of the saga's definition."""
    step = saga.step(service.name)
    assert (service.do, service.undo) == (step.do.type, step.undo and step.undo.type)
    assert (service.done, service.refused, service.undone) == (step.succeeded, step.refused, step.undone)
    assert (service.failed, service.result) == (step.failed, step.result)
    assert (service.commands_topic, service.replies_topic) == (step.commands_topic, step.replies_topic)


def test_each_step_has_a_service_that_can_be_served() -> None:
    """Whichever saga is tried, its participants are there."""
    names = {step.name for saga in (ORDER, SHIPPED_ORDER) for step in saga.steps}
    assert names == {service.name for service in SERVICES} == set(ServiceName)
