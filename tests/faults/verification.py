"""The end of a round: waits until every order has ended, then audits the topics and compares the states on disk."""

import time

from confluent_kafka import KafkaException

from app.audit.check import check
from app.audit.checks.state_fold import state_fold
from app.audit.recording.from_kafka import read
from app.audit.recording.recording import Record, RecordingError
from tests.faults.results import Results
from tests.faults.state_check import StateCheck
from tests.faults.testbed import Testbed

_STALLED_SECONDS = 90.0
_SHOWN = 3  # sagas that a failure shows in full


def verify(testbed: Testbed, results: Results) -> None:
    """Waits for all orders to end, stops all processes, audits the topics and states; adds violations to `results`."""
    settle(testbed)
    for pod in testbed.pods:
        assert pod.process.stop() == 0, f"{pod.name} did not stop with 0: {pod.process.log_text()[-1000:]}"
    for service in testbed.services:
        service.stop()
    stage, placed = testbed.stage, len(testbed.placing.placed_at)
    recording = read(stage.client, stage.topics.prefix, stage.group, stage.terms)
    report = check(recording, stage.terms, fold=state_fold(testbed.saga))
    violations = [*report.violations, *testbed.group.went_back]
    found = [f"{each.invariant} {each.saga_id}: {each.text}" for each in violations]
    states = StateCheck(stage, testbed.saga, recording)
    found += states.differences({pod.state for pod in (*testbed.pods, *testbed.guests)})
    results.violations += [f"seed {testbed.seed}: {each}" for each in found]
    results.states += sum(map(len, states.documents.values()))
    totals = report.totals
    if not placed == totals.orders_distinct == totals.completed + totals.rejected:
        results.violations.append(
            f"seed {testbed.seed}: of {placed} orders placed, {totals.orders_distinct} are in the topics, "
            f"{totals.completed} completed and {totals.rejected} rejected"
        )
    results.sagas += placed
    results.rounds += 1
    results.add_recoveries(testbed.watch.recoveries)


def settle(testbed: Testbed) -> None:
    """Waits until every placed order has ended and the group has no lag; restarts pods that end meanwhile.

    Fails when no order ends for 90 s.
    """
    moved, last = time.monotonic(), -1
    while True:
        testbed.observe()
        testbed.restart_ended_pods()
        placed, ended = len(testbed.placing.placed_at), len(testbed.watch.ended)
        if testbed.placing.done and ended >= placed and _lag(testbed) == 0:
            return
        if ended != last:
            moved, last = time.monotonic(), ended
        if time.monotonic() - moved > _STALLED_SECONDS:
            raise AssertionError(
                f"seed {testbed.seed}: {ended} of {placed} orders ended, then none for {_STALLED_SECONDS:.0f} s; "
                f"{_stalled(testbed)}"
            )


def _stalled(testbed: Testbed) -> str:
    """The lag, the owned partitions, the records of some sagas that have not ended, and the ends of the pods' logs."""
    some = set(sorted(testbed.placing.placed_at.keys() - testbed.watch.ended)[:_SHOWN])
    stage = testbed.stage
    try:
        found = read(stage.client, stage.topics.prefix, stage.group, stage.terms).records
    except RecordingError as error:
        lines = [str(error)]
    else:
        own = (record for record in found if (record.key or b"").decode(errors="replace") in some)
        lines = [f"{one.timestamp_ms} {one.coordinates} {one.value!r}" for one in sorted(own, key=_timestamp_ms)]
    owned = ", ".join(f"{pod.name} owns {sorted(pod.partitions)}" for pod in testbed.pods)
    return "\n".join([f"lag {_lag(testbed)}; {owned}", *lines, testbed.logs()])


def _timestamp_ms(record: Record) -> int:
    return record.timestamp_ms


def _lag(testbed: Testbed) -> int | None:
    """None while the brokers don't answer."""
    try:
        return testbed.group.lag()
    except (KafkaException, RecordingError):
        return None
