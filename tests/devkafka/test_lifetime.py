"""A local Kafka ends with the process that started it, and leaves no process and no file."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.devkafka import DevKafkaError, LocalKafka
from app.devkafka.data_dirs import kept_directory, temporary_directory
from app.devkafka.launcher import Launcher, Process
from app.devkafka.ports import free_ports
from tests.devkafka.support import is_gone, processes_in, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc, and only Linux ties processes")

_ROOT = Path(__file__).parents[2]
_OWNER = """
import sys
from app.devkafka import LocalKafka
kafka = LocalKafka()
kafka.start()
print(kafka.brokers[0].pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def _running(arguments: list[str], temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python process whose temporary files are all below `temporary`."""
    environ = os.environ | {"TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=_ROOT, env=environ, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if line := process.stdout.readline().strip():
        return line
    _, errors = process.communicate()
    raise AssertionError(f"it ended with {process.returncode} and printed:\n{errors}")


@pytest.mark.broker
def test_no_broker_outlives_a_killed_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SIGKILL of the owner the kernel ends the broker, and the next start removes its files."""
    with _running(["-c", _OWNER], tmp_path) as owner:
        pid = int(_line(owner))
        assert processes_in(tmp_path) == [pid]
        owner.kill()
        until(lambda: is_gone(pid), "the end of the broker")
        assert list(tmp_path.iterdir()) != []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_directory() as home:
        assert list(tmp_path.iterdir()) == [home]


@pytest.mark.broker
def test_a_forgotten_stop_is_made_up_at_exit(tmp_path: Path) -> None:
    """An owner that ends without a stop leaves no process and no file."""
    with _running(["-c", _OWNER], tmp_path) as owner:
        pid = int(_line(owner))
        owner.communicate()
        assert is_gone(pid)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.broker
@pytest.mark.parametrize("ending", (signal.SIGTERM, signal.SIGINT))
def test_the_command_prints_an_address_and_ends_when_asked(tmp_path: Path, ending: signal.Signals) -> None:
    """Two lines, exit code 0, no process and no file left."""
    (port,) = free_ports(1)
    with _running(["-m", "app.devkafka", "start", "--port", str(port)], tmp_path) as command:
        assert _line(command) == f"127.0.0.1:{port}"
        assert _line(command) == f"export SAGA_KAFKA_BOOTSTRAP=127.0.0.1:{port}"
        (pid,) = processes_in(tmp_path)
        command.send_signal(ending)
        assert command.communicate()[0] == ""
        assert command.returncode == 0
        assert is_gone(pid)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.broker
def test_the_command_ends_when_its_broker_does(tmp_path: Path) -> None:
    """With an error that names the broker and its exit code."""
    with _running(["-m", "app.devkafka", "start", "--port", str(*free_ports(1))], tmp_path) as command:
        _line(command)
        (pid,) = processes_in(tmp_path)
        os.kill(pid, signal.SIGKILL)
        _, errors = command.communicate()
        assert command.returncode == 1
        assert "error: Kafka broker 1 has ended (exit code -9)" in errors


@pytest.mark.broker
def test_a_start_that_fails_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    """The error has the end of the broker's log."""
    (tmp_path / "node-1" / "data").mkdir(parents=True)  # never formatted
    kafka = LocalKafka(directory=tmp_path)
    with pytest.raises(DevKafkaError, match=r"(?s)broker 1 has ended \(exit code 1\).*meta\.properties"):
        kafka.start()
    assert processes_in(tmp_path) == []
    assert kafka.brokers == ()


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """A second Kafka in the directory of a running one is refused; a later one is not."""
    with kept_directory(tmp_path / "new"), pytest.raises(DevKafkaError, match="in use by another Kafka"):
        kept_directory(tmp_path / "new").__enter__()
    with kept_directory(tmp_path / "new") as home:
        assert home == tmp_path / "new"


def test_temporary_directories_in_use_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leftovers are removed, directories of running processes are not."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_directory() as one, temporary_directory() as other:
        assert set(tmp_path.iterdir()) == {one, other}
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    """A launcher that is closed after the test."""
    launcher = Launcher()
    yield launcher
    launcher.close()


def _answering(launcher: Launcher, directory: Path) -> Process:
    """A running process that creates the file `answer` once there is a file `question`."""
    script = "touch tied; until [ -e question ]; do sleep 0.02; done; touch answer"
    process = launcher.launch(["/bin/sh", "-c", script], directory, directory / "log")
    until((directory / "tied").exists, "the process")
    return process


def test_a_process_outlives_the_thread_that_asked_for_it(tmp_path: Path, launcher: Launcher) -> None:
    """A broker that was started by a short-lived thread must not die with that thread."""
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(_answering(launcher, tmp_path)))
    thread.start()
    thread.join()
    (tmp_path / "question").touch()
    assert started[0].wait(60) == 0
    assert (tmp_path / "answer").exists()


def test_a_missing_program_ends_at_once(tmp_path: Path, launcher: Launcher) -> None:
    """The process ends with an error, and its log says which program is missing."""
    process = launcher.launch([str(tmp_path / "missing")], tmp_path, tmp_path / "log")
    assert process.wait(60) != 0
    assert "No such file" in (tmp_path / "log").read_text()


def test_a_missing_directory_is_an_error_of_the_caller(tmp_path: Path, launcher: Launcher) -> None:
    """An error on the launcher's thread is raised on the caller's thread, and the launcher goes on."""
    with pytest.raises(FileNotFoundError):
        launcher.launch(["/bin/true"], tmp_path / "missing", tmp_path / "log")
    assert launcher.launch(["/bin/true"], tmp_path, tmp_path / "log").wait(60) == 0
