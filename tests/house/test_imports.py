"""Imports point one way: the contracts of pyproject.toml hold, and find imports in the wrong direction."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import python_files

ALLOWED = {
    "app/cli.py": "app.demo, app.runner",
    "app/runner.py": "app.engine, app.saga_metrics, app.ops",
    "app/saga_metrics.py": "app.engine, app.ops",
    "app/audit/cli.py": "app.ops, app.kafka_access",
    "app/ops/kafka_cluster.py": "app.kafka_access",
    "app/engine/state/store.py": "quixstreams, rocksdict, app.wire",
    "app/saga/soundness.py": "app.saga.definition",  # the one import that a contract ignores
    "topologies/order.py": "quixstreams, app.engine",
}
"""Imports of modules that the contracts name, by the importing file."""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Checks the import contracts in the folder's pyproject.toml on the folder's packages."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def skeleton(root: Path, tmp_path: Path) -> Path:
    """All modules of the product, empty but for imports that are allowed."""
    (tmp_path / "pyproject.toml").write_bytes((root / "pyproject.toml").read_bytes())
    for file in python_files(root, "app", "topologies"):
        empty = tmp_path / file.relative_to(root)
        empty.parent.mkdir(parents=True, exist_ok=True)
        empty.touch()
    for name, modules in ALLOWED.items():
        (tmp_path / name).write_text(f"import {modules}\n", "utf-8")
    return tmp_path


def test_imports_point_one_way(root: Path) -> None:
    """Every contract holds."""
    result = lint(root)
    assert result.returncode == 0, result.stdout + result.stderr


def test_allowed_imports_pass(skeleton: Path) -> None:
    """The contracts don't refuse imports that the design allows."""
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
        ("engine", "app.saga_metrics"),
        ("engine", "app.ops"),
        ("engine", "app.samples"),
        ("engine", "topologies.order"),
        ("audit", "app.ops"),
        ("audit", "app.engine"),
        ("audit", "rocksdict"),
        ("devkafka", "app.saga"),
        ("devkafka", "app.ops"),
        ("ops", "app.saga"),
        ("kafka_access", "app.ops"),
        ("kafka_access", "app.saga"),
        ("samples", "app.devkafka"),
        ("operators", "app.engine"),
        ("operators", "app.samples"),
        ("demo", "quixstreams"),
        ("demo", "topologies"),
    ),
)
def test_a_forbidden_import_is_found(skeleton: Path, room: str, imported: str) -> None:
    """One import in the wrong direction breaks a contract, whose report names both modules."""
    (skeleton / "app" / room / "wrong.py").write_text(f"import {imported}\n", "utf-8")
    result = lint(skeleton)
    assert result.returncode == 1
    assert f"app.{room}.wrong -> {imported}" in result.stdout


def test_a_new_module_without_a_layer_is_found(skeleton: Path) -> None:
    """A new room must be added to the layers."""
    (skeleton / "app/attic.py").touch()
    result = lint(skeleton)
    assert result.returncode == 1
    assert "app.attic" in result.stdout
