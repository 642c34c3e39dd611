"""The command `saga audit check`: its exit codes, its output, and what it needs."""

from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner, Result

from app.audit.cli import app
from app.audit.recording.recording import Recording
from app.audit.recording.recording_file import load, save
from app.saga.versions import Versions
from tests.audit.mutation import without
from tests.audit.sagas import BOTH_VERSIONS, PACKED_ORDER
from tests.audit.simulation import Simulation
from topologies.order import ORDER

SIMULATED = Simulation(1, (BOTH_VERSIONS,)).run(actions=100)


def run(*arguments: object) -> Result:
    """Runs the command without any setting from the environment."""
    unset = dict.fromkeys(("SAGA_KAFKA_BOOTSTRAP", "SAGA_TOPIC_PREFIX", "SAGA_GROUP"))
    return CliRunner().invoke(app, ["check", *map(str, arguments)], env=unset, obj=BOTH_VERSIONS)


def without_outcome(recording: Recording) -> Recording:
    """One outcome is missing."""
    return without(recording, next(record for record in recording.records if record.topic == "order.outcomes"))


def test_the_command_passes_a_good_recording(tmp_path: Path) -> None:
    """Exit code 0, and the verdict as the last line."""
    save(SIMULATED, tmp_path / "good")
    result = run("--file", tmp_path / "good")
    assert result.exit_code == 0
    assert result.stdout.endswith("All 21 invariants hold.\n")


def test_the_command_fails_a_wrong_recording(tmp_path: Path) -> None:
    """Exit code 1, and the broken invariant."""
    save(without_outcome(SIMULATED), tmp_path / "wrong")
    result = run("--file", tmp_path / "wrong")
    assert result.exit_code == 1
    assert "INV-24 is broken 1 times" in result.stdout


def test_the_command_judges_a_run_that_goes_on(tmp_path: Path) -> None:
    """With --running, a missing record may still come."""
    save(without_outcome(SIMULATED), tmp_path / "wrong")
    assert run("--file", tmp_path / "wrong", "--running").exit_code == 0


def test_the_command_saves_the_recording(tmp_path: Path) -> None:
    """--save writes the recording that was checked."""
    save(SIMULATED, tmp_path / "good")
    assert run("--file", tmp_path / "good", "--save", tmp_path / "kept").exit_code == 0
    assert load(tmp_path / "kept") == SIMULATED


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    """Without brokers or a file, or with a file that does not exist: exit code 2 and one sentence."""
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Name the brokers with --bootstrap")
    missing = run("--file", tmp_path / "none")
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr


def test_a_command_without_a_saga_raises(tmp_path: Path) -> None:
    """The composition root must set the versions; a single definition stands for its only version."""
    save(SIMULATED, tmp_path / "good")
    arguments = ["check", "--file", str(tmp_path / "good")]
    assert isinstance(CliRunner().invoke(app, arguments).exception, LookupError)
    assert CliRunner().invoke(app, arguments, obj=PACKED_ORDER).exit_code == 0  # all sagas follow the latest version


def test_unreachable_brokers_give_one_sentence() -> None:
    """Exit code 2 and one sentence if no broker replies."""
    result = run("--bootstrap", "127.0.0.1:1", "--timeout", "1")
    assert result.exit_code == 2
    assert "Kafka cannot be read" in result.stderr


def test_the_command_folds_with_the_given_versions(tmp_path: Path) -> None:
    """The command compares each state byte for byte with the fold of its events."""
    versions = Versions((ORDER,))
    good = Simulation(1, (versions,)).run(actions=100)
    last = next(record for record in reversed(good.records) if record.topic == "saga.state")
    padded = replace(last, value=(last.value or b"") + b" ")
    save(good, tmp_path / "good")
    save(replace(good, records=tuple(padded if r is last else r for r in good.records)), tmp_path / "padded")
    arguments = [["check", "--file", str(tmp_path / name)] for name in ("good", "padded")]
    assert [CliRunner().invoke(app, one, obj=versions).exit_code for one in arguments] == [0, 1]
