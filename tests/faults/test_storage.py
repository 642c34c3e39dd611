"""Pods whose disks are lost, old or full: orders go on, and in the end warm, cold and folded states are the same."""

import shutil
from pathlib import Path

import pytest

from app.cli import UNUSABLE
from tests.broker.crowd import proved
from tests.broker.hands import complete
from tests.broker.pods import Site, site
from tests.devkafka.support import until
from tests.faults.test_folders import disk
from tests.faults.test_states import states

pytestmark = pytest.mark.broker


def order(at: Site, name: str) -> None:
    """An order goes its whole way."""
    at.place(name)
    complete(at, name, "reservation", "payment")


def test_a_lost_or_old_disk_is_caught_up_with(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Removed under a running pod, gone at a start, or a snapshot from before much more was decided."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        home, snapshot = at.children.state_of("pod"), tmp_path / "snapshot"
        pod = at.running()
        order(at, "before")
        pod.stop()
        shutil.copytree(home, snapshot)
        pod = at.running()
        order(at, "known")
        shutil.rmtree(home / at.group)
        order(at, "without-a-disk")
        pod.kill()
        pod = at.running()
        order(at, "from-nothing")
        pod.stop()
        shutil.rmtree(home)
        shutil.copytree(snapshot, home)
        pod = at.running()
        order(at, "from-a-snapshot")
        assert pod.stop() == 0
        assert proved(at).totals.completed == 5
        assert list(states(at).wrong([home, snapshot])) == []


def test_a_full_disk_ends_a_pod_with_a_sentence_and_it_goes_on_when_there_is_room(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """What was committed when the disk was full is taken from the changelog."""
    with disk(tmp_path / "disk", "6m") as full, site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(state_dir=full)
        order(at, "with-room")
        room = shutil.disk_usage(full).free
        (full / "filler").write_bytes(bytes(room - 4096))
        for number in range(40):
            at.place(f"o-{number}")
        until(lambda: not pod.alive, "the pod to end")
        assert pod.exit_code == UNUSABLE
        said = [line for line in pod.said().splitlines() if not line.startswith("{")]
        assert len(said) == 1, said
        assert said[0].startswith(f"saga: the state in {full}")
        assert "can't be used (IO error: No space left on device" in said[0]
        (full / "filler").unlink()
        pod.start()
        pod.await_ready()
        for number in range(40):
            complete(at, f"o-{number}", "reservation", "payment")
        assert pod.stop() == 0
        assert proved(at).totals.completed == 41
        assert list(states(at).wrong([full])) == []
