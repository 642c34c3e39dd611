"""The end of a round: all is let go its way, and then judged from the topics and the disks alone."""

import time

from confluent_kafka import KafkaException

from app.audit.invariants import check
from app.audit.read import read
from app.audit.recording import Record, RecordingError
from app.audit.refold import refold
from tests.faults.ground import Ground
from tests.faults.states import States
from tests.faults.tally import Tally

_PATIENCE = 90.0
_SOME = 3  # sagas that are told of when they do not end


def prove(ground: Ground, tally: Tally) -> None:
    """Waits until every order has ended and all is read, ends all processes, and judges; what is broken is tallied."""
    settle(ground)
    for pod in ground.pods:
        assert pod.child.stop() == 0, f"{pod.name} did not end in order: {pod.child.said()[-1000:]}"
    for service in ground.services:
        service.stop()
    stage, placed = ground.stage, len(ground.placing.placed_at)
    recording = read(stage.client, stage.topics.prefix, stage.group, stage.terms)
    report = check(recording, stage.terms, fold=refold(ground.saga))
    found = [*report.violations, *ground.group.went_back]
    wrong = [f"{each.invariant} {each.saga_id}: {each.text}" for each in found]
    states = States(stage, ground.saga, recording)
    wrong += states.wrong({pod.state for pod in (*ground.pods, *ground.strangers)})
    tally.broken += [f"seed {ground.seed}: {each}" for each in wrong]
    tally.states += sum(map(len, states.documents.values()))
    totals = report.totals
    if not placed == totals.orders_distinct == totals.completed + totals.rejected:
        tally.broken.append(f"seed {ground.seed}: {placed} orders were placed, {totals.orders_distinct} are there")
    tally.sagas += placed
    tally.rounds += 1
    tally.recovered(ground.pulse.recoveries)


def settle(ground: Ground) -> None:
    """Waits until every order that was placed has ended, and the group has read all; pods that end are started again.

    Fails when nothing moves any more.
    """
    moved, last = time.monotonic(), -1
    while True:
        ground.look()
        ground.tend()
        placed, ended = len(ground.placing.placed_at), len(ground.pulse.ended)
        if ground.placing.done and ended >= placed and _lag(ground) == 0:
            return
        if ended != last:
            moved, last = time.monotonic(), ended
        if time.monotonic() - moved > _PATIENCE:
            raise AssertionError(f"seed {ground.seed}: {ended} of {placed} ended, then no more; {_waiting(ground)}")


def _waiting(ground: Ground) -> str:
    """What is known of some of the sagas that have not ended, who has which partitions, and what the pods said."""
    some = set(sorted(ground.placing.placed_at.keys() - ground.pulse.ended)[:_SOME])
    stage = ground.stage
    try:
        found = read(stage.client, stage.topics.prefix, stage.group, stage.terms).records
    except RecordingError as error:
        told = [str(error)]
    else:
        own = (record for record in found if (record.key or b"").decode(errors="replace") in some)
        told = [f"{one.timestamp_ms} {one.coordinates} {one.value!r}" for one in sorted(own, key=_when)]
    shares = ", ".join(f"{pod.name} has {sorted(pod.partitions)}" for pod in ground.pods)
    return "\n".join([f"lag {_lag(ground)}; {shares}", *told, ground.logs()])


def _when(record: Record) -> int:
    return record.timestamp_ms


def _lag(ground: Ground) -> int | None:
    """None while it can't be known."""
    try:
        return ground.group.lag()
    except (KafkaException, RecordingError):
        return None
