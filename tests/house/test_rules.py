"""The repository keeps its own rules; each rule is also shown a breach that it finds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import source, tree
from tests.house.purity import impurities

PRODUCT = ("app", "topologies")
SHARED_NAMES = frozenset("__init__.py __main__.py cli.py errors.py".split())
FUNCTION_LINES, MEDIAN_LINES, MODULE_LINES, TEST_MODULE_LINES = 40, 10, 300, 500

Sample = Callable[[str], Path]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Writes a Python file with this text."""

    def write(text: str) -> Path:
        file = tmp_path / "sample.py"
        file.write_text(text, "utf-8")
        return file

    return write


@pytest.fixture
def listed(root: Path) -> list[Path]:
    """The files of the repository that git tracks, or would track."""
    if not (root / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of its files")
    return tree.files(root)


def function(lines: int) -> str:
    """The source of a function with so many lines."""
    return "def long():\n" + "    pass\n" * (lines - 1)


def test_modules_are_short(root: Path) -> None:
    """No module exceeds its limit."""
    assert list(source.long_modules(source.python_files(root, *PRODUCT), MODULE_LINES)) == []
    assert list(source.long_modules(source.python_files(root, "tests"), TEST_MODULE_LINES)) == []


def test_a_long_module_is_found(sample: Sample) -> None:
    """One line more than the limit is a breach; the limit itself is none."""
    assert list(source.long_modules([sample("x = 1\n" * 300)], 300)) == []
    assert len(list(source.long_modules([sample("x = 1\n" * 301)], 300))) == 1


def test_functions_are_short(root: Path) -> None:
    """No function exceeds its limit, and the median is much shorter."""
    files = source.python_files(root, *PRODUCT, "tests")
    assert list(source.long_functions(files, FUNCTION_LINES)) == []
    assert source.median_function(files) <= MEDIAN_LINES


def test_a_long_function_is_found(sample: Sample) -> None:
    """A function counts from its `def` to its last line, a nested or asynchronous one too."""
    assert list(source.long_functions([sample(function(40))], 40)) == []
    assert len(list(source.long_functions([sample(function(41))], 40))) == 1
    nested = "class A:\n    async " + function(41).replace("\n", "\n    ").rstrip()
    assert len(list(source.long_functions([sample(nested)], 40))) == 1


def test_the_median_is_measured(sample: Sample) -> None:
    """The median is that of all functions of all files."""
    assert source.median_function([sample(function(3) + function(11) + function(12))]) == 11
    assert source.median_function([sample("x = 1\n")]) == 0


def test_module_names_are_unique(root: Path) -> None:
    """A module can be named without its package, except for the usual ones that several packages have."""
    assert list(source.twin_modules(source.python_files(root, "app"), SHARED_NAMES)) == []


def test_a_twin_module_is_found() -> None:
    """Two modules of one name in different packages are a breach, unless the name is an allowed one."""
    names = ("a/store.py", "b/c/store.py", "a/cli.py", "b/cli.py", "a/other.py")
    (breach,) = source.twin_modules([Path(name) for name in names], SHARED_NAMES)
    assert breach.startswith("a/store.py, b/c/store.py ")


def test_modules_and_tests_have_docstrings(root: Path) -> None:
    """Every module and every test function."""
    files = source.python_files(root, *PRODUCT, "tests")
    assert list(source.bare_modules(files)) == []
    assert list(source.bare_tests(files)) == []


def test_a_missing_docstring_is_found(sample: Sample) -> None:
    """An empty docstring or a comment is none."""
    assert len(list(source.bare_modules([sample("# about\nx = 1\n")]))) == 1
    assert len(list(source.bare_modules([sample('""" """\n')]))) == 1
    assert list(source.bare_modules([sample('"""Said."""\n')])) == []
    assert len(list(source.bare_tests([sample("def test_it():\n    pass\n\n\ndef other():\n    pass\n")]))) == 1
    assert list(source.bare_tests([sample('async def test_it():\n    """Said."""\n')])) == []


def test_the_core_is_pure(root: Path) -> None:
    """Nothing in the core reads a clock, draws a random number, does I/O or logs."""
    assert list(impurities(source.python_files(root, "app/saga"), "app.saga")) == []


@pytest.mark.parametrize(
    "line",
    (
        "import time",
        "import random as r",
        "import os.path",
        "import app.wire",
        "import app.sagas",
        "from logging import getLogger",
        "from uuid import uuid4",
        "from .. import wire",
        "from app import wire",
        "print(1)",
        "open('x')",
        "order = hash('x')",
        "at = datetime.now(UTC)",
        "clock = datetime.datetime.utcnow",
        "def inner():\n    import socket",
    ),
)
def test_an_impurity_is_found(sample: Sample, line: str) -> None:
    """Each way out of the core is found, at module level or inside a function."""
    assert len(list(impurities([sample(line + "\n")], "app.saga"))) == 1


def test_pure_code_is_left_alone(sample: Sample) -> None:
    """The core's own modules, the allowed standard ones, and names that only look similar are no breach."""
    lines = (
        "import json",
        "from app.saga.state import State",
        "from .state import S",
        "a = s.now",
        "t = datetime(1, 2, 3)",
    )
    assert list(impurities([sample("\n".join(lines))], "app.saga")) == []


def test_the_top_has_only_agreed_names(root: Path, listed: list[Path]) -> None:
    """A new file or folder at the top must be added to the list."""
    assert tree.strangers(root, listed) == []


def test_a_stranger_at_the_top_is_found(tmp_path: Path) -> None:
    """A file or folder that is not on the list is named once; an agreed name further down doesn't count."""
    paths = [
        tmp_path / "notes" / "a.md",
        tmp_path / "notes" / "README.md",
        tmp_path / "app" / "x.py",
        tmp_path / ".env",
    ]
    assert tree.strangers(tmp_path, paths) == [".env", "notes"]


def test_no_file_names_a_registry_or_a_machine(listed: list[Path]) -> None:
    """Tools know their registries, and nothing depends on the path of the checkout."""
    assert list(tree.addresses(listed)) == []


@pytest.mark.parametrize(
    "text",
    (
        "https://py" + "pi.org/simple",
        "see files.python" + "hosted.org",
        "https://repo.ma" + "ven.apache.org/x",
        "http://deb.deb" + "ian.org",
        "registry=https://registry.np" + "mjs.org/",
        "GOPROXY=proxy.go" + "lang.org",
        "cd /ro" + "ot/x",
        "'/ho" + "me/ann/x'",
        "file:/wo" + "rk/x",
    ),
)
def test_an_address_is_found(tmp_path: Path, text: str) -> None:
    """Each kind of address is found, with its line number."""
    file = tmp_path / "notes.md"
    file.write_text(f"one\nbefore {text}\n", "utf-8")
    (breach,) = tree.addresses([file])
    assert breach.startswith(f"{file}:2 ")


def test_harmless_addresses_are_left_alone(tmp_path: Path) -> None:
    """Project pages, XML namespaces, relative paths and binary files are no breach."""
    text, binary = tmp_path / "a.xml", tmp_path / "b.bin"
    text.write_text(
        "http://maven.apache.org/POM/4.0.0 https://kafka.apache.org/home/x ./home/x ${TOP}/home/x\n", "utf-8"
    )
    binary.write_bytes(b"\0" + b"/ro" + b"ot/x")
    assert list(tree.addresses([text, binary])) == []
