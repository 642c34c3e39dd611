"""Rules for the repository as a whole: the names at its top, and addresses that no text file may have."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

TOP = frozenset(
    ".ci .dockerignore .editorconfig .gitattributes .github .gitignore CHANGELOG.md Dockerfile LICENSE Makefile "
    "README.md app helm pyproject.toml requirements-runtime.lock requirements.lock tests topologies".split()
)

# Each word has a class of one letter, so that this file doesn't break its own rule.
REGISTRY = re.compile(
    r"""https?://[^\s"'<>]*(?:p[y]pi|pythonh[o]sted|m[a]ven|n[p]mjs|g[o]lang|d[e]bian|cr[a]tes)[^\s"'<>]*"""
    r"|\b(?:files\.pythonh[o]sted|p[y]pi|registry\.n[p]mjs|repo1?\.m[a]ven|proxy\.g[o]lang|deb\.d[e]bian"
    r"|static\.cr[a]tes)\.[a-z]+"
)
NAMESPACE = re.compile(r"https?://m[a]ven\.apache\.org/(?:POM|xsd)/")
MACHINE = re.compile(r"(?<![\w.$}/-])/(?:w[o]rk|r[o]ot|h[o]me|Us[e]rs|opt/wh[e]els)/")


def files(root: Path) -> list[Path]:
    """Every file that git tracks, or would track unless it is ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return [root / name for name in names if name and (root / name).is_file()]


def strangers(root: Path, paths: Iterable[Path]) -> list[str]:
    """Names at the top of the repository that are not in TOP."""
    return sorted({path.relative_to(root).parts[0] for path in paths} - TOP)


def addresses(paths: Iterable[Path]) -> Iterator[str]:
    """Addresses of package registries, and absolute paths of one machine, in text files."""
    for path in paths:
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            yield from (f"{path}:{number} names {found}" for found in _found(line))


def _found(line: str) -> Iterator[str]:
    for pattern in (REGISTRY, MACHINE):
        yield from (hit.group() for hit in pattern.finditer(line) if not NAMESPACE.match(hit.group()))
