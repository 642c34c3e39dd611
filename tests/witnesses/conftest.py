"""The scene of all tests of this room, and the table of what its witnesses saw."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.devkafka.ports import free_ports
from tests.broker.order_load import say
from tests.broker.pods import Site, site
from tests.devkafka.support import LIMIT
from tests.witnesses import go_programs
from tests.witnesses.consumer_groups import consumer_groups
from tests.witnesses.own_metrics import own
from tests.witnesses.scene import BUSY, IDLE, PARTITIONS, REPLIES, Scene, now, start_services
from tests.witnesses.strangers import Stranger
from tests.witnesses.table import Table
from tests.witnesses.watching import await_zero
from tests.witnesses.witness import Unavailable, Witness

SCALERS = ("kafka", "apache-kafka")


@pytest.fixture(scope="package")
def scene(
    kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory, table: Table, missing: dict[str, str]
) -> Iterator[Scene]:
    """A pod with two partitions, participants, and every witness that this machine has."""
    folder, prefix = tmp_path_factory.mktemp("witnesses"), f"t-{secrets.token_hex(6)}."
    (port,) = free_ports(1)
    with site(kafka_bootstrap, prefix, folder, PARTITIONS) as at, ExitStack() as stack:
        start_services(at)
        pod = at.running(metrics_port=port, metrics_host="127.0.0.1")
        witnesses = [*_outside(at, kafka_bootstrap, folder, stack, missing), *own(port, prefix)]
        found = Scene(at, pod, port, witnesses, table, Stranger(kafka_bootstrap, at.topics.full(REPLIES)))
        found.complete(BUSY, IDLE)
        await_zero(witnesses, found.inputs(BUSY, IDLE), now(), LIMIT)  # their first answers take long
        yield found


@pytest.fixture(scope="package")
def missing() -> dict[str, str]:
    """Why a witness can't be asked on this machine, by its name; filled by the scene."""
    return {}


@pytest.fixture(scope="package")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """The table, written to the terminal when all tests of the room are over."""
    table = Table()
    yield table
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        table.say(say)


def _outside(at: Site, bootstrap: str, folder: Path, stack: ExitStack, missing: dict[str, str]) -> Iterator[Witness]:
    topics = [at.topics.full(topic) for topic in at.topics.inputs]
    made = {
        "kafka-consumer-groups": consumer_groups(bootstrap, at.group, folder),
        "kadm": go_programs.kadm(bootstrap, at.group, topics, PARTITIONS, folder),
        **{f"KEDA {each}": go_programs.keda(each, bootstrap, at.group, topics, PARTITIONS, folder) for each in SCALERS},
    }
    for name, witness in made.items():
        try:
            yield stack.enter_context(witness)
        except Unavailable as reason:
            missing[name] = str(reason)
