"""What holds a secret doesn't show it, and what goes wrong unexpectedly is told without its words."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.application import SagaApplication
from app.engine.clients import Clients
from app.ops import logs
from app.ops.site import Site
from app.reach.access import Access
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.engine.owner import POLICY
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
ACCESS = Access(SETTINGS)


def pod(folder: Path) -> Clients:
    """The clients of a pod with secrets."""
    return Clients("127.0.0.1:1", "group", "pod", folder, access=ACCESS)


def told(config: dict[str, Any]) -> dict[str, Any]:
    """What a client's settings say of how to get in; the library may say it in capitals or not."""
    same = {"sasl.mechanisms": "sasl.mechanism"}
    found = {same.get(name, name): value for name, value in config.items()}
    return {name: found.get(name) for name in SETTINGS}


def test_nothing_that_holds_a_secret_shows_it(tmp_path: Path) -> None:
    """However it is printed."""
    for holder in (ACCESS, pod(tmp_path), Site("127.0.0.1:1", "p.", ACCESS)):
        assert "canary" not in f"{holder} {holder!r}"


def test_every_client_is_told_how_to_get_in(tmp_path: Path) -> None:
    """Those of the engine, and those of the programs around it."""
    clients = pod(tmp_path)
    all_of_them = [clients.plain(), clients.reader(), clients.consumer(), *clients.lanes()]
    all_of_them += [Site("127.0.0.1:1", "", ACCESS).client()]
    assert [told(config) for config in all_of_them] == [SETTINGS] * len(all_of_them)


def test_the_base_librarys_clients_are_told_and_keep_it_to_themselves(tmp_path: Path) -> None:
    """Its consumer, and the ones that would ask about topics; what it prints of its settings shows none of it."""
    app = SagaApplication(pod(tmp_path), Topics(Versions((ORDER,)), "p."), POLICY)
    inner: Any = app
    assert told(inner._consumer._consumer_config) == SETTINGS
    assert told(inner._topic_manager._admin._config) == SETTINGS
    assert told(inner._topic_manager._admin._config)["sasl.password"] == PASSWORD
    assert "canary" not in f"{inner._config} {inner._config!r} {inner._config.broker_address}"


def test_an_unexpected_error_is_told_without_its_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was raised, of which kind it is, and what led to it."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back at the end
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    with pytest.raises(SystemExit) as end, logs.wordless():
        fail(VALUE)
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith("saga: an error that nobody expected; ")
    assert "KeyError\nwhich led to:\n" in said
    assert said.endswith("ValueError\n")
    assert "in fail\n" in said
    assert "canary" not in said


def fail(value: str) -> None:
    """Raises an error that repeats a value, because of another that does."""
    try:
        dict[str, str]()[value]
    except KeyError as error:
        raise ValueError(f"{value} is no number") from error


@pytest.fixture
def configured() -> Iterator[None]:
    """Logs as a pod writes them; afterwards as pytest does."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure("DEBUG")
    yield
    root.handlers = handlers
    root.setLevel(level)


def test_a_logged_error_is_told_without_its_words(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever in the process it is logged."""
    root = logging.getLogger()
    root.handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
    try:
        fail(VALUE)
    except ValueError:
        logging.getLogger("any").exception("it failed")
    said = capsys.readouterr().err
    assert "it failed" in said
    assert "ValueError" in said
    assert "in fail" in said
    assert "canary" not in said


def test_the_base_librarys_settings_are_not_logged(configured: None) -> None:
    """It prints them when it starts, at every level but the quietest."""
    assert not logging.getLogger("quixstreams.app").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("where", ("thread", "main"))
def test_the_command_ends_without_words(where: str) -> None:
    """Also what fails on another thread."""
    start = "Thread(target=lambda: int('canary')).start()" if where == "thread" else "int('canary')"
    program = (
        "from threading import Thread\nfrom topologies import __main__ as top\n"
        f"top.command = lambda *_: lambda: {start}\ntop.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == (1 if where == "main" else 0)
    assert "ValueError" in ended.stderr
    assert "invalid literal" not in ended.stderr
