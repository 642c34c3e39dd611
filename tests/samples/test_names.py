"""The sample services speak of what the order saga speaks."""

import pytest

from app.samples.payment import PAYMENT
from app.samples.reservation import RESERVATION
from app.samples.service import Service
from topologies.order import ORDER


@pytest.mark.parametrize("service", (RESERVATION, PAYMENT), ids=lambda service: service.name)
def test_a_service_has_the_names_of_its_step(service: Service) -> None:
    """Topics, message types and the field of the result are those of the saga's definition."""
    step = ORDER.step(service.name)
    assert (service.do, service.undo) == (step.do.type, step.undo.type)
    assert (service.done, service.refused, service.undone) == (step.succeeded, step.refused, step.undone)
    assert (service.failed, service.result) == (step.failed, step.result)
    assert (service.commands_topic, service.replies_topic) == (step.commands_topic, step.replies_topic)
