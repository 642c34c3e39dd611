"""One guarded broker for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.security.guarded import Guarded, guarded


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A Kafka with access rules, encrypted listeners, and users with passwords."""
    with guarded(tmp_path_factory.mktemp("guarded")) as made:
        yield made
