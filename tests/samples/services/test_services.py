"""The sample services have the topics, message types and fields of the sagas' definitions."""

import pytest

from app.saga.definition import Saga
from app.samples.cli import ServiceName
from app.samples.services.base import Service
from app.samples.services.notice import NOTICE
from app.samples.services.payment import PAYMENT
from app.samples.services.reservation import RESERVATION
from app.samples.services.shipping import SHIPPING
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SERVICES = (RESERVATION, PAYMENT, SHIPPING, NOTICE)
STEPS = [(saga, service) for saga in (ORDER, SHIPPED_ORDER) for service in SERVICES if service.name in saga.step_index]


@pytest.mark.parametrize(("saga", "service"), STEPS, ids=[f"{service.name} of {saga.name}" for saga, service in STEPS])
def test_a_service_has_the_names_of_its_step(saga: Saga, service: Service) -> None:
    """Topics, message types and the result field are those of the saga's definition."""
    step = saga.step(service.name)
    assert (service.do, service.undo) == (step.do.type, step.undo and step.undo.type)
    assert (service.done, service.refused, service.undone) == (step.succeeded, step.refused, step.undone)
    assert (service.failed, service.result) == (step.failed, step.result)
    assert (service.commands_topic, service.replies_topic) == (step.commands_topic, step.replies_topic)


def test_each_step_has_a_service_that_can_be_served() -> None:
    """Every saga in `topologies/` can be tried with `saga serve`."""
    names = {step.name for saga in (ORDER, SHIPPED_ORDER) for step in saga.steps}
    assert names == {service.name for service in SERVICES} == set(ServiceName)
