"""Harnesses with the sagas of `topologies/` in every state, shared by all tests."""

from collections.abc import Iterator

import pytest

from tests.fuzz.harness import Harness
from tests.fuzz.judge import Judge
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

JudgedHarness = tuple[Harness, Judge]


@pytest.fixture(scope="session")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JudgedHarness, ...]]:
    """A harness and a judge for each saga; each test leaves the stored sagas unchanged."""
    folder = tmp_path_factory.mktemp("fuzz")
    with Harness(ORDER, folder / "one") as one, Harness(SHIPPED_ORDER, folder / "other") as other:
        yield (one, Judge(ORDER)), (other, Judge(SHIPPED_ORDER))
