"""A pod that has nothing to do stops to commit."""

import time
from contextlib import closing

import pytest

from tests.broker.order_load import say
from tests.witnesses.offsets_topic import Commits, partition_of_group
from tests.witnesses.scene import IDLE, PARTITIONS, Scene

pytestmark = [pytest.mark.broker, pytest.mark.alone]
_SETTLING = 5  # seconds after the last write in which a pod may still commit
_SILENCE = 3  # seconds


def test_an_idle_pod_soon_commits_nothing(scene: Scene) -> None:
    """Behind a marker at most one commit for each partition and second, and after 5 s none at all."""
    scene.late_reply(IDLE)
    with closing(Commits(scene.at.client, scene.at.group)) as commits:
        scene.stranger.commit()
        time.sleep(_SETTLING)
        settled, extra = commits.end(), commits.transactions()
        time.sleep(_SILENCE)
        assert commits.end() == settled
    say(f"{extra} commits in {_SETTLING} s of idleness, then none in {_SILENCE} s")
    assert 1 <= extra <= PARTITIONS * _SETTLING


def test_a_commit_is_counted(scene: Scene) -> None:
    """An order in work makes commits: the count is no constant 0."""
    with closing(Commits(scene.at.client, scene.at.group)) as commits:
        scene.complete(IDLE)
        assert commits.transactions() >= 3  # the order and two replies


@pytest.mark.parametrize(
    ("group", "hashed"), (("a", 97), ("saga-orchestrator", 1_101_596_303), ("polygenelubricants", 0))
)
def test_a_groups_partition_is_javas(group: str, hashed: int) -> None:
    """The hash is that of Java's `String.hashCode`, the smallest number too."""
    assert partition_of_group(group, 1 << 31) == hashed
