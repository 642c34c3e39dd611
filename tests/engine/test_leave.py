"""A pod that leaves for good: its partitions go to another pod at once, not after its session."""

import os
import signal
import time
from pathlib import Path

import pytest

from app.ops.errors import CommandFailed
from app.ops.pid_file import leave, pid_noted
from tests.broker.pods import site
from tests.devkafka.support import until

SESSION_SECONDS = 40


@pytest.mark.broker
@pytest.mark.parametrize("how", ("signal", "setting"))
def test_a_pod_that_leaves_hands_over_at_once(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, how: str
) -> None:
    """Orders of all partitions are decided by the other pod long before the session of the first is over."""
    settings = {"session_timeout": SESSION_SECONDS, "poll_timeout": 2 * SESSION_SECONDS}
    with site(kafka_bootstrap, topic_prefix, tmp_path, partitions=2) as at:
        one = at.running("one", leave_on_stop=how == "setting", **settings)
        two = at.running("two", **settings)
        until(lambda: "partitions assigned" in two.said(), "the second pod's partitions")
        begun = time.monotonic()
        if how == "signal":
            one.tell(signal.SIGUSR1)
            until(lambda: not one.alive, "the first pod to stop")
            assert one.exit_code == 0
        else:
            assert one.stop() == 0
        assert '"left the group"' in one.said()
        for id in ("a", "b", "c"):
            at.place(id)
            at.await_events(id, "saga.step.requested")
        assert time.monotonic() - begun < SESSION_SECONDS / 3
        assert two.stop() == 0


def test_leaving_waits_for_the_noted_process(tmp_path: Path) -> None:
    """A process that doesn't stop is told, and so is one that is not there."""
    file = tmp_path / "pod.pid"
    received: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: received.append(number))
    try:
        with pid_noted(file), pytest.raises(CommandFailed, match="did not stop within 0 s"):
            leave(file, 0.2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert received == [signal.SIGUSR1]
    with pytest.raises(CommandFailed, match="there is no"):
        leave(file, 1)


def test_a_note_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    """A pod that was killed could not remove it."""
    file = tmp_path / "pod.pid"
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    file.write_text(str(child))
    with pytest.raises(CommandFailed, match="has ended"):
        leave(file, 1)
    assert not file.exists()
