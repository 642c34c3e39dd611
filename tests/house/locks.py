"""Lock files: every requirement is pinned to one version with hashes, and to a version that pyproject.toml allows."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Pins = dict[str, str]


def pins(lock: str) -> Pins:
    """The version of each package in a lock file."""
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", lock, re.MULTILINE))


def unhashed(lock: str) -> list[str]:
    """Requirements without a hash, or not pinned to one version."""
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in lock.splitlines() if not line.lstrip().startswith("#")))
    return [entry.split()[0] for entry in entries if entry.strip() and not _pinned(entry)]


def declared(project: Path) -> Iterator[Requirement]:
    """All requirements of a pyproject file, its extras and dependency groups included."""
    table = tomllib.loads(project.read_text("utf-8"))
    lists = [
        table["project"]["dependencies"],
        *table["project"]["optional-dependencies"].values(),
        *table["dependency-groups"].values(),
    ]
    return (Requirement(text) for requirements in lists for text in requirements)


def stale(requirements: Iterable[Requirement], locked: Pins) -> Iterator[str]:
    """Requirements that the lock doesn't pin, or pins to a version that they don't allow."""
    for requirement in requirements:
        version = locked.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement} is locked as {version}; run `make lock`."


def _pinned(entry: str) -> bool:
    return "==" in entry.split("--hash", maxsplit=1)[0] and re.search(r"--hash=sha256:[0-9a-f]{64}", entry) is not None
