"""The log lines that tell how a pod is doing, and how often they do."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.engine.meters import Meters
from app.engine.runtime.pod_log import PodLog


class Pod:
    """A pod of one partition, as far as the log looks at it; times are in monotonic seconds."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level(logging.INFO)
        self.windows: dict[str, int] = {}
        self.queued: dict[str, int] = {}
        admission = SimpleNamespace(limit=100, windows=lambda: self.windows, queued_since=lambda: self.queued)
        counts = SimpleNamespace(live={"order/1": 3}, in_flight={"payment": 2}, queued={}, stuck=1)
        store = SimpleNamespace(admission=admission, index=SimpleNamespace(counts=counts))
        self.assigned = SimpleNamespace(tasks={0: SimpleNamespace(store=store)}, restoring=False, restore_remaining=0)
        self.meters = Meters()
        self.log = PodLog(cast("Any", self.assigned), self.meters)
        self.log._summarised = self.log._restore_logged = 0.0

    def at(self, *seconds: float) -> list[str]:
        """The events that are logged when it looks at these times."""
        self._caplog.clear()
        for now in seconds:
            self.log.check(now)
        return [record.getMessage() for record in self._caplog.records]

    @property
    def last(self) -> dict[str, Any]:
        """The fields of the last line."""
        return vars(self._caplog.records[-1])


@pytest.fixture
def pod(caplog: pytest.LogCaptureFixture) -> Pod:
    """A pod that is well."""
    return Pod(caplog)


def test_a_summary_comes_once_a_minute(pod: Pod) -> None:
    """Rates since the last one, and counts of the moment; never silent for longer."""
    pod.meters.records["order.requests"] += 120
    assert pod.at(30, 59) == []
    assert pod.at(60, 90, 119) == ["summary"]
    fields = pod.last
    assert (fields["records_per_second"], fields["partitions"]) == (2.0, 1)
    assert (fields["live"], fields["in_flight"], fields["queued"], fields["stuck"]) == (3, 2, 0, 1)


def test_restore_progress_is_logged_every_ten_seconds(pod: Pod) -> None:
    """With the records that are left."""
    pod.assigned.restoring, pod.assigned.restore_remaining = True, 5_000
    assert pod.at(5, 10, 15, 20.5) == ["restoring state", "restoring state"]
    assert pod.last["records_left"] == 5_000


def test_a_limited_participant_is_logged_once_and_so_is_its_recovery(pod: Pod) -> None:
    """Limited means that sagas wait for it; a small window for which nobody waits is no news."""
    pod.windows = {"payment": 7}
    assert pod.at(2) == []
    pod.queued = {"payment": 1}
    assert pod.at(4, 6, 8) == ["admission limited: participant slow or failing"]
    assert (pod.last["step"], pod.last["window"]) == ("payment", 7)
    pod.queued = {}
    assert pod.at(10, 12) == ["admission recovered: nothing is queued"]


def test_broker_errors_are_logged_by_kind_and_their_end_is_too(pod: Pod) -> None:
    """A broker that is away fails a hundred times a minute; one line in ten seconds says it."""
    pod.at(1)
    for now in (2, 3, 4, 13):
        pod.log.broker_error("_TRANSPORT", "broker 1 is down", now)
    pod.log.broker_error("_ALL_BROKERS_DOWN", "1/1 brokers are down", 13)
    events = [record.getMessage() for record in pod._caplog.records]
    assert events == ["broker error"] * 3
    assert pod.at(14) == []
    pod.meters.last_commit = 20.0
    assert pod.at(21, 23) == ["first commit after broker errors"]
    assert pod.last["seconds_after_last_error"] == 7.0
