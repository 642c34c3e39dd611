"""The sagas of `topologies/` everywhere that they can be, once for all tests here."""

from collections.abc import Iterator

import pytest

from tests.fuzz.judge import Judge
from tests.fuzz.world import World
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

Court = tuple[World, Judge]


@pytest.fixture(scope="session")
def courts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Court, ...]]:
    """A world and a judge for each saga; each test leaves the worlds as they were."""
    folder = tmp_path_factory.mktemp("fuzz")
    with World(ORDER, folder / "one") as one, World(SHIPPED_ORDER, folder / "other") as other:
        yield (one, Judge(ORDER)), (other, Judge(SHIPPED_ORDER))
