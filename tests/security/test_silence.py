"""Objects with secrets don't print them, and unexpected errors are reported without their texts."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.application import SagaApplication
from app.engine.kafka.client_config import ClientConfig
from app.kafka_access.security import Security
from app.ops import logs
from app.ops.kafka_cluster import KafkaCluster
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.engine.group_member import POLICY
from topologies.order import ORDER

PASSWORD, KEY_PASSWORD, VALUE = "canary-Pa55word", "canary-Keypa55word", "canary-value-4"
SETTINGS: dict[str, Any] = {
    "security.protocol": "sasl_ssl",
    "enable.ssl.certificate.verification": True,
    "ssl.endpoint.identification.algorithm": "https",
    "ssl.ca.location": "ca.pem",
    "ssl.certificate.location": "own.pem",
    "ssl.key.location": "key.pem",
    "ssl.key.password": KEY_PASSWORD,
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "saga",
    "sasl.password": PASSWORD,
}
ACCESS = Security(SETTINGS)


def pod(folder: Path) -> ClientConfig:
    """The client configuration of a pod with secrets."""
    return ClientConfig("127.0.0.1:1", "group", "pod", folder, security=ACCESS)


def security_of(config: dict[str, Any]) -> dict[str, Any]:
    """The security settings in a client's configuration; `sasl.mechanisms` is an alias of `sasl.mechanism`."""
    aliases = {"sasl.mechanisms": "sasl.mechanism"}
    found = {aliases.get(name, name): value for name, value in config.items()}
    return {name: found.get(name) for name in SETTINGS}


def test_nothing_that_holds_a_secret_shows_it(tmp_path: Path) -> None:
    """By `str` or by `repr`."""
    for holder in (ACCESS, pod(tmp_path), KafkaCluster("127.0.0.1:1", "p.", ACCESS)):
        assert "canary" not in f"{holder} {holder!r}"


def test_every_client_gets_the_security_settings(tmp_path: Path) -> None:
    """Those of the engine, and those of the programs around it."""
    clients = pod(tmp_path)
    all_of_them = [clients.common(), clients.standalone_consumer(), clients.consumer(), *clients.producers()]
    all_of_them += [KafkaCluster("127.0.0.1:1", "", ACCESS).client()]
    assert [security_of(config) for config in all_of_them] == [SETTINGS] * len(all_of_them)


def test_quixstreams_clients_get_the_security_settings_and_do_not_print_them(tmp_path: Path) -> None:
    """Its consumer and its admin client; the printed configuration has no secret."""
    app = SagaApplication(pod(tmp_path), Topics(Versions((ORDER,)), "p."), POLICY)
    inner: Any = app
    assert security_of(inner._consumer._consumer_config) == SETTINGS
    assert security_of(inner._topic_manager._admin._config) == SETTINGS
    assert security_of(inner._topic_manager._admin._config)["sasl.password"] == PASSWORD
    assert "canary" not in f"{inner._config} {inner._config!r} {inner._config.broker_address}"


def test_an_unexpected_error_is_reported_without_its_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its class, its frames, and the same of the error that led to it."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # restored after the test
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    with pytest.raises(SystemExit) as end, logs.redact_exceptions():
        fail(VALUE)
    printed = capsys.readouterr().err
    assert end.value.code == 1
    assert printed.startswith("saga: unexpected error; ")
    assert "KeyError\nwhich led to:\n" in printed
    assert printed.endswith("ValueError\n")
    assert "in fail\n" in printed
    assert "canary" not in printed


def fail(value: str) -> None:
    """Raises an error whose text repeats the value, and whose cause does too."""
    try:
        dict[str, str]()[value]
    except KeyError as error:
        raise ValueError(f"{value} is no number") from error


@pytest.fixture
def configured() -> Iterator[None]:
    """Logging as in a pod; pytest's own is restored after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure("DEBUG")
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)


def test_a_logged_error_is_reported_without_its_text(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    """By any logger."""
    root = logging.getLogger()
    root.handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
    try:
        fail(VALUE)
    except ValueError:
        logging.getLogger("any").exception("it failed")
    printed = capsys.readouterr().err
    assert "it failed" in printed
    assert "ValueError" in printed
    assert "in fail" in printed
    assert "canary" not in printed


def test_quixstreams_settings_are_not_logged(configured: None) -> None:
    """It logs them at level INFO when it starts."""
    assert not logging.getLogger("quixstreams.app").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("where", ("thread", "main"))
def test_the_command_ends_without_the_text_of_an_unexpected_error(where: str) -> None:
    """On the main thread and on any other."""
    start = "Thread(target=lambda: int('canary')).start()" if where == "thread" else "int('canary')"
    program = (
        "from threading import Thread\nfrom topologies import __main__ as top\n"
        f"top.command = lambda *_: lambda: {start}\ntop.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == (1 if where == "main" else 0)
    assert "ValueError" in ended.stderr
    assert "invalid literal" not in ended.stderr
