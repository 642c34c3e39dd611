"""The lag that everybody sees is 0 soon after a pod has nothing to do, and more while a transaction is held open."""

from collections.abc import Callable
from contextlib import nullcontext
from threading import Thread

import pytest

from app.wire.topics import REQUESTS
from tests.devkafka.support import LIMIT
from tests.witnesses.scene import BUSY, IDLE, REPLIES, Scene, now
from tests.witnesses.watching import Sight, await_more, await_zero, largest

pytestmark = [pytest.mark.broker, pytest.mark.alone]
_BAR = 2.0  # seconds from the last write until every witness says 0
_BACKLOG = 40_000  # records
_PATIENCE = 5.0  # seconds after which a lag that stays is taken to stay for ever


def commits(scene: Scene) -> None:
    """Orders end; nobody but the pod writes in transactions."""
    scene.complete(IDLE, IDLE)


def committed_transaction(scene: Scene) -> None:
    """A participant commits a transaction: its marker is the last in the input."""
    scene.late_reply()
    scene.stranger.commit()


def aborted_transaction(scene: Scene) -> None:
    """A participant aborts a transaction: nobody reads its record, and its marker is the last in the input."""
    scene.late_reply()
    scene.stranger.abort()


def rerouted_order(scene: Scene) -> None:
    """An order in a wrong partition: the pod itself writes its copy in a transaction."""
    scene.complete(IDLE, written_to=BUSY)


def killed_pod(scene: Scene) -> None:
    """The pod is killed just behind a marker, and started again."""
    committed_transaction(scene)
    scene.pod.kill()
    scene.pod.start()
    scene.pod.await_ready()


def killed_producer(scene: Scene) -> None:
    """A producer is killed in its transaction, and the broker aborts that when its time is up."""
    scene.kill_producer()


SCENARIOS = (commits, committed_transaction, aborted_transaction, rerouted_order, killed_pod, killed_producer)


@pytest.mark.parametrize("other", ("idle", "busy"))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_witness_says_0_soon_after_the_last_write(
    scene: Scene, scenario: Callable[[Scene], None], other: str
) -> None:
    """Within 2 s on each input partition that is idle, whether or not the pod's other partition has work."""
    busy = other == "busy"
    with scene.busy() if busy else nullcontext():
        scenario(scene)
        idle = scene.inputs(IDLE) if busy else scene.inputs(BUSY, IDLE)
        sights = await_zero(scene.witnesses, idle, now(), _PATIENCE)
    name = scenario.__name__.replace("_", " ") + (", other partition busy" if busy else "")
    record(scene, name, sights)
    assert {each.witness.name: each.cell for each in sights if each.seconds is None or each.seconds > _BAR} == {}


def test_a_transaction_held_open_is_seen_as_unstable_records(scene: Scene) -> None:
    """Who counts to the high watermark sees lag, the pod sees none but says why; all say 0 after the end."""
    replies = (scene.at.topics.full(REPLIES), IDLE)
    to_the_end = [each for each in scene.witnesses if each.counts_unstable]
    to_the_stable = [each for each in scene.witnesses if not each.counts_unstable]
    scene.late_reply()
    begun = now()
    seen = await_more(to_the_end, replies, begun, _PATIENCE)
    unseen = await_zero(to_the_stable, scene.inputs(BUSY, IDLE), begun, _PATIENCE)
    record(scene, "held open: more than 0", seen)
    record(scene, "held open: still 0", unseen)
    scene.stranger.abort()
    after = await_zero(scene.witnesses, scene.inputs(BUSY, IDLE), now(), _PATIENCE)
    record(scene, "held open, then aborted", after)
    assert {each.witness.name: each.cell for each in (*seen, *unseen, *after) if each.seconds is None} == {}


def test_a_backlog_is_seen_by_every_witness(scene: Scene) -> None:
    """No witness says 0 because it looks elsewhere: while a backlog is decided, each says more."""
    requests = (scene.at.topics.full(REQUESTS), IDLE)
    lags = [each for each in scene.witnesses if each.name != "ours, unstable"]
    flood = Thread(target=scene.flood, args=(_BACKLOG,))
    flood.start()
    found = largest(lags, requests, lambda: not flood.is_alive())
    flood.join()
    for witness, lag in found.items():
        scene.table.add(f"backlog of {_BACKLOG:,}: at most", witness.name, f"{lag:,}")
    decided = await_zero(scene.witnesses, scene.inputs(BUSY, IDLE), now(), LIMIT)
    record(scene, "backlog, decided", decided)
    assert {each.witness.name: each.cell for each in decided if each.seconds is None} == {}
    assert [witness.name for witness, lag in found.items() if lag == 0] == []


@pytest.mark.parametrize("name", ("kafka-consumer-groups", "kadm", "KEDA kafka", "KEDA apache-kafka"))
def test_a_witness_was_asked(scene: Scene, missing: dict[str, str], name: str) -> None:
    """A witness that this machine doesn't have is skipped with the reason, not in silence."""
    if name in missing:
        pytest.skip(missing[name])
    assert name in {each.name for each in scene.witnesses}


def record(scene: Scene, scenario: str, sights: list[Sight]) -> None:
    """Fills a row of the table."""
    for each in sights:
        scene.table.add(scenario, each.witness.name, each.cell)
