"""Other sagas than that of orders, and a saga that changes while some are under way."""

import shutil
import sys
from pathlib import Path

import pytest

from app.demo.children import Child
from app.demo.plan import Plan
from tests.broker.crowd import proved
from tests.broker.deploys import DEPLOYS
from tests.broker.hands import await_asked, complete, succeed
from tests.broker.pods import QUICK, Site, site
from tests.broker.run import prove, running
from tests.devkafka.support import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]
COMMAND = (sys.executable, "-m", "tests.broker.deploys")
KILLS = 2
BOTH = ("reservation", "payment")


def test_a_saga_with_parallel_steps_and_a_pivot_survives_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Four services with mishaps, and a pod that is killed: each order is shipped and told of, or all of it undone."""
    plan, kills = Plan(orders=300, rate=60, seed=51, partitions=4, declined=0.1, sold_out=0.05), 0
    with running(kafka_bootstrap, plan, tmp_path, definition="shipped-order") as run:
        pod = run.pod("only")
        for ended in run.going():
            if pod.is_ready and kills < KILLS and ended > 0.2 * (kills + 1):
                pod.kill()
                if kills == 1:
                    shutil.rmtree(run.children.state_of("only"))
                pod.start()
                kills += 1
        totals = prove(run).totals
    assert kills == KILLS
    assert totals.rejected >= 45
    assert totals.completed > 220


def test_sagas_under_way_keep_their_version_over_deploys(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Begun with two steps, ended with two, beside new ones with three; the old version must stay until then."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = deployed(at, "old")
        for order in ("ended", "under-way"):
            at.place(order)
        complete(at, "ended", *BOTH)
        await_asked(at, "under-way", "reservation")
        assert pod.stop() == 0
        make_topics(at, "both")

        pod = deployed(at, "both")
        at.place("new")
        succeed(at, "new", "reservation")
        await_asked(at, "new", "payment")
        assert pod.stop() == 0

        assert "saga: 1 under way in order/1, but this process knows only order/2" in refusal(at)

        pod = deployed(at, "both")
        complete(at, "under-way", *BOTH)
        assert pod.stop() == 0

        deployed(at, "new")
        at.place("newer")
        for order in ("new", "newer"):
            complete(at, order, *BOTH, "shipping")
        versions = {(one["saga_id"], one["version"]) for one in at.decisions()}
        assert versions == {("ended", 1), ("under-way", 1), ("new", 2), ("newer", 2)}
        assert proved(at, saga=DEPLOYS["both"]).totals.completed == 4


def a_pod(at: Site, deploy: str) -> Child:
    """The pod of a deploy, on the state of that before it."""
    return at.children.pod(COMMAND, "pod", {**QUICK, "SAGA_DEFINITION": deploy})


def deployed(at: Site, deploy: str) -> Child:
    """A pod that is ready."""
    pod = a_pod(at, deploy)
    pod.start()
    pod.await_ready()
    return pod


def make_topics(at: Site, deploy: str) -> None:
    """Makes the topics that a deploy needs and the one before it did not."""
    made = at.children.add("topics", [*COMMAND, "topics", "create", "--partitions", "1"], {"SAGA_DEFINITION": deploy})
    made.start()
    until(lambda: not made.alive, "the topics to be made")
    assert made.said().count("made ") == 2, made.said()


def refusal(at: Site) -> str:
    """What the pod that knows the new version alone says, when it refuses to start."""
    pod = a_pod(at, "new")
    pod.start()
    until(lambda: not pod.alive, "the pod to refuse")
    assert pod.stop() == 2
    return pod.said()
