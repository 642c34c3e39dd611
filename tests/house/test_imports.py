"""Imports between the rooms point one way."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("audit", "demo", "devkafka", "engine", "operators", "ops", "reach", "saga", "samples", "wire")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Checks the import contracts of the folder's pyproject on the folder's packages."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def skeleton(root: Path, tmp_path: Path) -> Path:
    """All rooms with nothing in them but the imports that the contracts speak of."""
    (tmp_path / "pyproject.toml").write_bytes((root / "pyproject.toml").read_bytes())
    for package in ("app", "topologies", *(f"app/{room}" for room in ROOMS)):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "app/cli.py").write_text("import app.demo, app.runner\n", "utf-8")
    (tmp_path / "app/runner.py").write_text("import app.engine, app.figures, app.ops\n", "utf-8")
    (tmp_path / "app/audit/cli.py").write_text("import app.ops, app.reach\n", "utf-8")
    (tmp_path / "app/ops/site.py").write_text("import app.reach\n", "utf-8")
    (tmp_path / "app/figures.py").write_text("import app.engine, app.ops\n", "utf-8")
    (tmp_path / "app/engine/store.py").write_text("import quixstreams, rocksdict, app.wire\n", "utf-8")
    (tmp_path / "topologies/order.py").write_text("import quixstreams, app.engine\n", "utf-8")
    return tmp_path


def test_imports_point_one_way(root: Path) -> None:
    """Every contract holds."""
    result = lint(root)
    assert result.returncode == 0, result.stdout + result.stderr


def test_allowed_imports_pass(skeleton: Path) -> None:
    """The contracts leave room for what the design allows."""
    result = lint(skeleton)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("room", "imported"),
    (
        ("saga", "app.wire"),
        ("saga", "orjson"),
        ("wire", "app.ops"),
        ("wire", "quixstreams"),
        ("engine", "app.audit"),
        ("engine", "app.figures"),
        ("engine", "app.ops"),
        ("engine", "app.samples"),
        ("engine", "topologies.order"),
        ("audit", "app.ops"),
        ("audit", "app.engine"),
        ("audit", "rocksdict"),
        ("devkafka", "app.saga"),
        ("devkafka", "app.ops"),
        ("ops", "app.saga"),
        ("reach", "app.ops"),
        ("reach", "app.saga"),
        ("samples", "app.devkafka"),
        ("operators", "app.engine"),
        ("operators", "app.samples"),
        ("demo", "quixstreams"),
        ("demo", "topologies"),
    ),
)
def test_a_forbidden_import_is_found(skeleton: Path, room: str, imported: str) -> None:
    """One import the wrong way breaks a contract that names both ends."""
    (skeleton / "app" / room / "wrong.py").write_text(f"import {imported}\n", "utf-8")
    result = lint(skeleton)
    assert result.returncode == 1
    assert f"app.{room}.wrong -> {imported}" in result.stdout


def test_a_room_nobody_agreed_on_is_found(skeleton: Path) -> None:
    """A new room must be given its place among the others."""
    (skeleton / "app/attic.py").touch()
    result = lint(skeleton)
    assert result.returncode == 1
    assert "app.attic" in result.stdout
