"""Rules for Python files, as functions from files to breaches, each breach one sentence."""

import ast
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from statistics import median

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(root: Path, *folders: str) -> list[Path]:
    """All Python files under these folders of the root, sorted."""
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def long_modules(files: Iterable[Path], limit: int) -> Iterator[str]:
    """Files of more than `limit` lines."""
    for file in files:
        lines = len(file.read_text("utf-8").splitlines())
        if lines > limit:
            yield f"{file} has {lines} lines; cut it by noun or phase, {limit} is the limit."


def long_functions(files: Iterable[Path], limit: int) -> Iterator[str]:
    """Functions and methods of more than `limit` lines, the `def` line and the docstring included."""
    for file in files:
        for function in _functions(file):
            if _length(function) > limit:
                yield f"{file}:{function.lineno} {function.name} has {_length(function)} lines; {limit} is the limit."


def median_function(files: Iterable[Path]) -> float:
    """The median length of all functions in lines; 0 without functions."""
    lengths = [_length(function) for file in files for function in _functions(file)]
    return median(lengths) if lengths else 0


def bare_modules(files: Iterable[Path]) -> Iterator[str]:
    """Files without a docstring."""
    for file in files:
        if not ast.get_docstring(_tree(file)):
            yield f"{file} has no docstring."


def bare_tests(files: Iterable[Path]) -> Iterator[str]:
    """Test functions without a docstring."""
    for file in files:
        for function in _functions(file):
            if function.name.startswith("test_") and not ast.get_docstring(function):
                yield f"{file}:{function.lineno} {function.name} doesn't say in a docstring what it shows."


def twin_modules(files: Iterable[Path], allowed: Container[str]) -> Iterator[str]:
    """Files whose name is the name of another file too, unless it is an allowed one."""
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    for name, twins in by_name.items():
        if len(twins) > 1 and name not in allowed:
            yield f"{', '.join(map(str, twins))} have the same name: find a name that tells them apart."


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def _functions(file: Path) -> list[Function]:
    return [node for node in ast.walk(_tree(file)) if isinstance(node, Function)]


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1
