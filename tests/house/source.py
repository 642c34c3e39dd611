"""Rules for single Python files, as functions from files to breaches, each one sentence."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(root: Path, *folders: str) -> list[Path]:
    """All Python files under the folders of the root, in order."""
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def long_modules(files: Iterable[Path], limit: int) -> Iterator[str]:
    """Files of more than limit lines."""
    for file in files:
        lines = len(file.read_text("utf-8").splitlines())
        if lines > limit:
            yield f"{file} has {lines} lines; cut it by noun or phase, {limit} is the limit."


def long_functions(files: Iterable[Path], limit: int) -> Iterator[str]:
    """Functions and methods of more than limit lines, the `def` line and the docstring included."""
    for file in files:
        for function in _functions(file):
            if _length(function) > limit:
                yield f"{file}:{function.lineno} {function.name} has {_length(function)} lines; {limit} is the limit."


def median_function(files: Iterable[Path]) -> float:
    """Lines of the median function; 0 where there is none."""
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


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def _functions(file: Path) -> list[Function]:
    return [node for node in ast.walk(_tree(file)) if isinstance(node, Function)]


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1
