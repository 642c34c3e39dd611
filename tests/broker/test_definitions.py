"""Sagas other than that of orders, and a saga whose definition changes while instances of it are active."""

import shutil
import sys
from pathlib import Path

import pytest

from app.demo.children import Child
from app.demo.plan import Plan
from tests.broker.deployments import DEPLOYMENTS
from tests.broker.order_load import check_invariants
from tests.broker.participant_replies import await_command, complete, succeed
from tests.broker.pods import QUICK, Site, site
from tests.broker.run import audit, running
from tests.devkafka.support import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]
COMMAND = (sys.executable, "-m", "tests.broker.deployments")
KILLS = 2
BOTH = ("reservation", "payment")


def test_a_saga_with_parallel_steps_and_a_pivot_survives_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Four faulty services, and a pod that is killed: each order is shipped and notified, or all of it is undone."""
    plan, kills = Plan(orders=300, rate=60, seed=51, partitions=4, declined=0.1, sold_out=0.05), 0
    with running(kafka_bootstrap, plan, tmp_path, definition="shipped-order") as run:
        pod = run.pod("only")
        for ended in run.progress():
            if pod.is_ready and kills < KILLS and ended > 0.2 * (kills + 1):
                pod.kill()
                if kills == 1:
                    shutil.rmtree(run.children.state_of("only"))
                pod.start()
                kills += 1
        totals = audit(run).totals
    assert kills == KILLS
    assert totals.rejected >= 45
    assert totals.completed > 220


def test_active_sagas_keep_their_version_across_deployments(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A saga with two steps ends with two, beside new ones with three; its version is needed until then."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = start_pod(at, "old")
        for order in ("ended", "under-way"):
            at.place(order)
        complete(at, "ended", *BOTH)
        await_command(at, "under-way", "reservation")
        assert pod.stop() == 0
        create_topics(at, "both")

        pod = start_pod(at, "both")
        at.place("new")
        succeed(at, "new", "reservation")
        await_command(at, "new", "payment")
        assert pod.stop() == 0

        assert "1 sagas are live in order/1, but this process knows only order/2" in refusal(at)

        pod = start_pod(at, "both")
        complete(at, "under-way", *BOTH)
        assert pod.stop() == 0

        start_pod(at, "new")
        at.place("newer")
        for order in ("new", "newer"):
            complete(at, order, *BOTH, "shipping")
        versions = {(one["saga_id"], one["version"]) for one in at.decisions()}
        assert versions == {("ended", 1), ("under-way", 1), ("new", 2), ("newer", 2)}
        assert check_invariants(at, saga=DEPLOYMENTS["both"]).totals.completed == 4


def pod_of(at: Site, deployment: str) -> Child:
    """A pod of a deployment that is not started yet; it uses the state of the deployment before."""
    return at.children.pod(COMMAND, "pod", {**QUICK, "SAGA_DEFINITION": deployment})


def start_pod(at: Site, deployment: str) -> Child:
    """Starts a pod of a deployment, and waits until it is ready."""
    pod = pod_of(at, deployment)
    pod.start()
    pod.await_ready()
    return pod


def create_topics(at: Site, deployment: str) -> None:
    """Creates the topics that a deployment needs and the one before did not."""
    made = at.children.add(
        "topics", [*COMMAND, "topics", "create", "--partitions", "1"], {"SAGA_DEFINITION": deployment}
    )
    made.start()
    until(lambda: not made.alive, "the topics to be made")
    assert made.said().count("made ") == 2, made.said()


def refusal(at: Site) -> str:
    """Starts a pod that knows only the new version, which refuses to start; returns its log."""
    pod = pod_of(at, "new")
    pod.start()
    until(lambda: not pod.alive, "the pod to refuse")
    assert pod.stop() == 2
    return pod.said()
