"""The commands as a person meets them: one line for each thing done, one sentence and an exit code for a refusal."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import ENDED, UNUSABLE
from app.ops.settings import Settings
from app.saga.state import Facts, Progress, Running, Waiting
from app.wire.statedoc import encode
from tests.broker.pods import read_committed
from tests.devkafka.support import until
from tests.engine.owner import Place

SAGA = (sys.executable, "-m", "topologies")


def saga(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs the command with these settings, and with none of those of whoever runs the tests."""
    others = {name: value for name, value in os.environ.items() if name.removeprefix("SAGA_").lower() not in FIELDS}
    given = {f"SAGA_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.run(
        [*SAGA, *words], env={**others, **given}, capture_output=True, text=True, check=False, timeout=60
    )


FIELDS = frozenset(Settings.model_fields)


def at(place: Place) -> dict[str, object]:
    """The settings of a place."""
    bootstrap, prefix = place.client["bootstrap.servers"], place.topics.prefix
    return {"kafka_bootstrap": bootstrap, "topic_prefix": prefix, "state_dir": place.folder / "state"}


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that refused; log lines may come before it."""
    assert ended.returncode == UNUSABLE, ended.stderr
    assert "Traceback" not in ended.stderr
    said = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1, ended.stderr
    assert said[0].startswith("saga: ")
    return said[0].removeprefix("saga: ")


@pytest.mark.broker
def test_topics_are_made_once(place: Place) -> None:
    """The second time they are there already; each is told in a line of its own."""
    names = [place.topics.full(topic) for topic in place.topics.all]
    first = saga("topics", "create", "--partitions", "2", **at(place))
    second = saga("topics", "create", "--partitions", "2", **at(place))
    assert (first.returncode, first.stdout.splitlines()) == (0, [f"made   {name}" for name in names])
    assert (second.returncode, second.stdout.splitlines()) == (0, [f"there  {name}" for name in names])
    assert saga("topics", "check", **at(place)).stdout == f"{len(names)} topics of 2 partitions are as they should be\n"


@pytest.mark.broker
def test_topics_never_get_another_size(place: Place) -> None:
    """Neither fewer nor more partitions: sagas would be looked for where they are not."""
    place.create(2)
    for wish in ("1", "3"):
        told = refusal(saga("topics", "create", "--partitions", wish, **at(place)))
        assert told.startswith("some of the topics have 2 partitions already")
    assert saga("topics", "check", **at(place)).returncode == 0


@pytest.mark.broker
def test_a_pod_without_topics_says_how_to_make_them(place: Place) -> None:
    """It ends at once, and makes none itself."""
    told = refusal(saga("run", **at(place)))
    expected = f"every topic of the prefix {place.topics.prefix!r}; create the topics with `saga topics create`"
    assert told == f"missing on the brokers: {expected}"
    assert not [name for name in place.admin.list_topics().topics if name.startswith(place.topics.prefix)]


@pytest.mark.broker
def test_a_pod_refuses_to_forget(place: Place) -> None:
    """What is found wrong only when partitions are taken over is told in the same way."""
    place.create()
    place.write("saga.state")
    assert "has state, but the group has no committed offset" in refusal(saga("run", **at(place)))


@pytest.mark.broker
@pytest.mark.parametrize("folder", ("file", "file/below"))
def test_a_folder_for_state_that_cannot_be_made_is_told(place: Place, tmp_path: Path, folder: str) -> None:
    """The sentence names the setting."""
    place.create()
    (tmp_path / "file").write_text("no folder")
    told = refusal(saga("run", **{**at(place), "state_dir": tmp_path / folder}))
    assert "SAGA_STATE_DIR" in told


@pytest.mark.broker
def test_two_pods_on_one_folder_are_refused(place: Place, tmp_path: Path) -> None:
    """The second one leaves the first one's state alone."""
    place.create()
    with place.owner() as first:
        first.start()
        first.restored()
        other = {**at(place), "topic_prefix": f"{place.topics.prefix}b."}
        assert saga("topics", "create", "--partitions", "1", **other).returncode == 0
        link = tmp_path / "elsewhere"
        link.mkdir()
        (link / f"{place.topics.prefix}b.saga-orchestrator").symlink_to(first.clients.state_dir / place.group)
        told = refusal(saga("run", **{**other, "state_dir": link}))
    assert "is another process using it?" in told


@pytest.mark.broker
def test_a_version_that_is_gone_stops_the_start(place: Place) -> None:
    """The order that waits is left to a pod that knows the version."""
    place.create()
    place.commit()
    place.write("order.requests", 1)
    facts = Facts("order", 9, "d" * 32, 0, {}, {})
    place.write_one("saga.state", b"o", encode(Progress(1, Running(facts, None, (Waiting("reservation", 0, 1),)))))
    told = refusal(saga("run", **at(place)))
    assert told.startswith("1 under way in order/9, but this process knows only order/1: ")
    assert read_committed(place.client, place.start_of("saga.dead-letters")) == []


@pytest.mark.broker
def test_a_port_that_is_taken_stops_the_start(place: Place) -> None:
    """A pod that nobody can watch doesn't run; the sentence names the setting."""
    place.create()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refusal(saga("run", metrics_port=port, metrics_host="127.0.0.1", **at(place)))
    assert told == (
        f"metrics can't be served on port {port} of 127.0.0.1 (Address already in use): "
        "set SAGA_METRICS_PORT to a free port, or to 0 for no metrics"
    )


def test_a_wrong_setting_is_told() -> None:
    """Before anything is asked of a broker."""
    assert refusal(saga("run", lanes=0)).startswith("SAGA_LANES is wrong: ")
    assert refusal(saga("topics", "check", topic_prefix="a b")).startswith("SAGA_TOPIC_PREFIX is wrong: ")


@pytest.mark.parametrize("words", (("settings",), ("topics", "check"), ("run",)))
def test_a_saga_that_is_not_there_is_told(words: tuple[str, ...]) -> None:
    """Whatever is asked of the command; those that are there are named."""
    told = refusal(saga(*words, definition="orders"))
    assert told == "SAGA_DEFINITION is wrong: there is no orders, but order or shipped-order"


def test_settings_are_shown() -> None:
    """Each with what it is for, and what it is now."""
    shown = saga("settings", group="mine", instance_id="pod-1").stdout
    assert "SAGA_GROUP=mine\n    consumer group that the pods share\n" in shown
    assert shown.count("SAGA_") >= len(FIELDS)


def test_exit_codes_tell_what_to_do() -> None:
    """Whoever restarts pods can tell what a restart mends from what it doesn't."""
    assert (UNUSABLE, ENDED) == (2, 1)


@pytest.mark.broker
def test_a_pod_ends_in_order_when_it_is_asked_to(place: Place) -> None:
    """SIGTERM ends it within seconds, with exit code 0 and not a word beside its log."""
    place.create()
    environment = {**os.environ, **{f"SAGA_{name.upper()}": str(value) for name, value in at(place).items()}}
    log = place.folder / "log"
    with log.open("wb") as lines:
        pod = subprocess.Popen([*SAGA, "run"], env=environment, stderr=lines)
    until(lambda: '"restored"' in log.read_text(), "the pod")
    pod.terminate()
    assert pod.wait(10) == 0
    assert all(line.startswith("{") for line in log.read_text().splitlines())
