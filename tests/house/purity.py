"""Impure code in the core, found in its source: the same inputs must give the same bytes on every machine."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

MODULES = frozenset(
    "__future__ abc bisect collections dataclasses datetime decimal enum fractions functools hashlib heapq itertools "
    "json math operator re string struct types typing zlib".split()
)
CALLS = frozenset("__import__ breakpoint compile eval exec globals hash id input open print".split())
CLOCKS = frozenset("now today utcnow".split())


def impurities(files: Iterable[Path], room: str) -> Iterator[str]:
    """Imports other than the room and the allowed standard modules, clock readings, and built-ins that are impure."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
            yield from (f"{file}:{getattr(node, 'lineno', 0)} {breach}" for breach in _breaches(node, room))


def _breaches(node: ast.AST, room: str) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (f"imports {name.name}." for name in names if not _allowed(name.name, room))
        case ast.ImportFrom(module=str(module), level=0) if not _allowed(module, room):
            yield f"imports {module}."
        case ast.ImportFrom(level=level) if level > 1:
            yield "imports from above the room."
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield f"calls {name}()."
        case ast.Attribute(
            value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"), attr=name
        ) if name in CLOCKS:
            yield f"reads the clock with {name}."


def _allowed(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.") or module.partition(".")[0] in MODULES
