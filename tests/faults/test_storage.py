"""Pods whose disks are lost, old or full: all orders end, and stored, restored and replayed states are equal."""

import shutil
from pathlib import Path

import orjson
import pytest

from app.engine.process_exit import NEEDS_OPERATOR
from tests.broker.order_load import check_invariants
from tests.broker.participant_replies import complete
from tests.broker.pods import Site, site
from tests.devkafka.support import until
from tests.faults.test_folders import disk
from tests.faults.test_state_check import recorded_states

pytestmark = pytest.mark.broker


def complete_order(at: Site, name: str) -> None:
    """Places an order and completes it."""
    at.place(name)
    complete(at, name, "reservation", "payment")


def test_a_lost_or_old_disk_is_restored_from_the_changelog(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Removed under a running pod, missing at a start, or a snapshot from before many later decisions."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        state_dir, snapshot = at.children.state_of("pod"), tmp_path / "snapshot"
        pod = at.running()
        complete_order(at, "before")
        pod.stop()
        shutil.copytree(state_dir, snapshot)
        pod = at.running()
        complete_order(at, "known")
        shutil.rmtree(state_dir / at.group)
        complete_order(at, "without-a-disk")
        pod.kill()
        pod = at.running()
        complete_order(at, "from-nothing")
        pod.stop()
        shutil.rmtree(state_dir)
        shutil.copytree(snapshot, state_dir)
        pod = at.running()
        complete_order(at, "from-a-snapshot")
        assert pod.stop() == 0
        assert check_invariants(at).totals.completed == 5
        assert list(recorded_states(at).differences([state_dir, snapshot])) == []


def test_a_full_disk_stops_a_pod_with_an_error_until_space_is_freed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Decisions that were committed while the disk was full are restored from the changelog."""
    with disk(tmp_path / "disk", "6m") as full, site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(state_dir=full)
        complete_order(at, "with-space")
        free = shutil.disk_usage(full).free
        (full / "filler").write_bytes(bytes(free - 4096))
        for number in range(40):
            at.place(f"o-{number}")
        until(lambda: not pod.alive, "the pod to end")
        assert pod.exit_code == NEEDS_OPERATOR
        last = orjson.loads(pod.said().splitlines()[-1])
        assert last["exit_code"] == NEEDS_OPERATOR
        assert last["event"].startswith(f"the state in {full}")
        assert "can't be used (IO error: No space left on device" in last["event"]
        assert [line for line in pod.said().splitlines() if not line.startswith("{")] == []
        (full / "filler").unlink()
        pod.start()
        pod.await_ready()
        for number in range(40):
            complete(at, f"o-{number}", "reservation", "payment")
        assert pod.stop() == 0
        assert check_invariants(at).totals.completed == 41
        assert list(recorded_states(at).differences([full])) == []
