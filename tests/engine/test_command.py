"""The commands as an operator meets them: a line for each result, and a sentence with an exit code for a refusal."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from app.engine.process_exit import NEEDS_OPERATOR, NEEDS_RESTART
from app.ops.settings import Settings
from app.saga.state import Progress, Queued, Running, SagaData
from app.wire.state_codec import encode
from tests.broker.pods import read_committed
from tests.devkafka.support import until
from tests.engine.sandbox import Sandbox

SAGA = (sys.executable, "-m", "topologies")


def saga(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs the command with these settings, and without those of the environment."""
    inherited = {name: value for name, value in os.environ.items() if name.removeprefix("SAGA_").lower() not in FIELDS}
    own = {f"SAGA_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.run(
        [*SAGA, *words], env={**inherited, **own}, capture_output=True, text=True, check=False, timeout=60
    )


FIELDS = frozenset(Settings.model_fields)


def settings_of(sandbox: Sandbox) -> dict[str, object]:
    """The settings that point a command at a sandbox."""
    bootstrap, prefix = sandbox.client["bootstrap.servers"], sandbox.topics.prefix
    return {"kafka_bootstrap": bootstrap, "topic_prefix": prefix, "state_dir": sandbox.folder / "state"}


def refusal(finished: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that refused to run: for `saga run` the last line of its JSON log, else plain."""
    assert finished.returncode == NEEDS_OPERATOR, finished.stderr
    assert "Traceback" not in finished.stderr
    *before, last = finished.stderr.splitlines()
    assert all(line.startswith("{") for line in before), finished.stderr
    if last.startswith("{"):
        line = orjson.loads(last)
        assert line["exit_code"] == NEEDS_OPERATOR
        return str(line["event"])
    assert last.startswith("saga: ")
    return last.removeprefix("saga: ")


@pytest.mark.broker
def test_topics_are_created_once(sandbox: Sandbox) -> None:
    """The second time they exist already; each topic has a line."""
    names = [sandbox.topics.full(topic) for topic in sandbox.topics.all]
    first = saga("topics", "create", "--partitions", "2", **settings_of(sandbox))
    second = saga("topics", "create", "--partitions", "2", **settings_of(sandbox))
    assert (first.returncode, first.stdout.splitlines()) == (0, [f"made   {name}" for name in names])
    assert (second.returncode, second.stdout.splitlines()) == (0, [f"there  {name}" for name in names])
    checked = saga("topics", "check", **settings_of(sandbox))
    assert checked.stdout == f"{len(names)} topics of 2 partitions are as they should be\n"


@pytest.mark.broker
def test_topics_never_get_another_partition_count(sandbox: Sandbox) -> None:
    """Neither fewer nor more partitions: an order's records would miss its state."""
    sandbox.create(2)
    for count in ("1", "3"):
        sentence = refusal(saga("topics", "create", "--partitions", count, **settings_of(sandbox)))
        assert sentence.startswith("some of the topics have 2 partitions already")
    assert saga("topics", "check", **settings_of(sandbox)).returncode == 0


@pytest.mark.broker
def test_a_pod_without_topics_says_how_to_create_them(sandbox: Sandbox) -> None:
    """It ends at once, and creates none itself."""
    sentence = refusal(saga("run", **settings_of(sandbox)))
    expected = f"every topic of the prefix {sandbox.topics.prefix!r}; create the topics with `saga topics create`"
    assert sentence == f"missing on the brokers: {expected}"
    assert not [name for name in sandbox.admin.list_topics().topics if name.startswith(sandbox.topics.prefix)]


@pytest.mark.broker
def test_a_pod_refuses_to_start_without_its_offsets(sandbox: Sandbox) -> None:
    """A problem that shows only when partitions are taken over is reported in the same way."""
    sandbox.create()
    sandbox.write("saga.state")
    assert "has state, but the group has no committed offset" in refusal(saga("run", **settings_of(sandbox)))


@pytest.mark.broker
@pytest.mark.parametrize("folder", ("file", "file/below"))
def test_a_state_folder_that_cannot_be_created_is_named(sandbox: Sandbox, tmp_path: Path, folder: str) -> None:
    """The sentence names the setting."""
    sandbox.create()
    (tmp_path / "file").write_text("no folder")
    sentence = refusal(saga("run", **{**settings_of(sandbox), "state_dir": tmp_path / folder}))
    assert "SAGA_STATE_DIR" in sentence


@pytest.mark.broker
def test_two_pods_on_one_folder_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """The second one leaves the state of the first one alone."""
    sandbox.create()
    with sandbox.member() as first:
        first.join()
        first.finish_restore()
        other = {**settings_of(sandbox), "topic_prefix": f"{sandbox.topics.prefix}b."}
        assert saga("topics", "create", "--partitions", "1", **other).returncode == 0
        link = tmp_path / "elsewhere"
        link.mkdir()
        (link / f"{sandbox.topics.prefix}b.saga-orchestrator").symlink_to(first.config.state_dir / sandbox.group)
        sentence = refusal(saga("run", **{**other, "state_dir": link}))
    assert "is another process using it?" in sentence


@pytest.mark.broker
def test_live_sagas_of_an_unknown_version_stop_the_start(sandbox: Sandbox) -> None:
    """The waiting order is left to a pod that knows the version."""
    sandbox.create()
    sandbox.commit()
    sandbox.write("order.requests", 1)
    data = SagaData("order", 9, "d" * 32, 0, {}, {})
    sandbox.write_one("saga.state", b"o", encode(Progress(1, Running(data, None, (Queued("reservation", 0, 1),)))))
    sentence = refusal(saga("run", **settings_of(sandbox)))
    assert sentence.startswith("1 sagas are live in order/9, but this process knows only order/1: ")
    assert read_committed(sandbox.client, sandbox.start_of("saga.dead-letters")) == []


@pytest.mark.broker
def test_a_port_in_use_stops_the_start(sandbox: Sandbox) -> None:
    """A pod without metrics doesn't run; the sentence names the setting."""
    sandbox.create()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refusal(saga("run", metrics_port=port, metrics_host="127.0.0.1", **settings_of(sandbox)))
    assert sentence == (
        f"metrics can't be served on port {port} of 127.0.0.1 (Address already in use): "
        "set SAGA_METRICS_PORT to a free port, or to 0 for no metrics"
    )


def test_a_wrong_setting_is_named() -> None:
    """Before any broker is asked."""
    assert refusal(saga("run", open_transactions=0)).startswith("SAGA_OPEN_TRANSACTIONS is wrong: ")
    assert refusal(saga("topics", "check", topic_prefix="a b")).startswith("SAGA_TOPIC_PREFIX is wrong: ")


@pytest.mark.parametrize("words", (("settings",), ("topics", "check"), ("run",)))
def test_an_unknown_saga_is_named(words: tuple[str, ...]) -> None:
    """By every command; the sentence lists the known ones."""
    sentence = refusal(saga(*words, definition="orders"))
    assert sentence == "SAGA_DEFINITION is wrong: there is no orders, but order or shipped-order"


def test_settings_are_shown() -> None:
    """Each with its description and its value."""
    shown = saga("settings", group="mine", instance_id="pod-1").stdout
    assert "SAGA_GROUP=mine\n    consumer group that all pods share\n" in shown
    assert shown.count("SAGA_") >= len(FIELDS)


def test_exit_codes_say_whether_a_restart_helps() -> None:
    """A supervisor can tell whether a restart helps."""
    assert (NEEDS_OPERATOR, NEEDS_RESTART) == (2, 1)


@pytest.mark.broker
def test_a_pod_ends_cleanly_on_sigterm(sandbox: Sandbox) -> None:
    """SIGTERM ends it within seconds, with exit code 0, and it prints nothing but its log."""
    sandbox.create()
    environment = {**os.environ, **{f"SAGA_{name.upper()}": str(value) for name, value in settings_of(sandbox).items()}}
    log = sandbox.folder / "log"
    with log.open("wb") as lines:
        pod = subprocess.Popen([*SAGA, "run"], env=environment, stderr=lines)
    until(lambda: '"state restored"' in log.read_text(), "the pod")
    pod.terminate()
    assert pod.wait(10) == 0
    assert all(line.startswith("{") for line in log.read_text().splitlines())
