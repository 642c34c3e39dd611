"""Facts are plain dataclasses at run time, so it is the type checker that keeps everybody from changing them."""

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType

from app.saga import effects, messages, state, turn, verdict


def facts(module: ModuleType) -> list[str]:
    """The fields of a module's own facts, each as `Fact.field`."""
    own = [kind for kind in vars(module).values() if is_dataclass(kind) and kind.__module__ == module.__name__]
    return [f"{kind.__qualname__}.{field.name}" for kind in own if isinstance(kind, type) for field in fields(kind)]


def test_no_field_of_a_fact_can_be_assigned(root: Path, tmp_path: Path) -> None:
    """The type checker refuses each such line, and lets each line pass that only reads."""
    found = [(module.__name__, fact) for module in (effects, messages, state, turn, verdict) for fact in facts(module)]
    lines = [f"import {module}" for module in sorted({module for module, _ in found})]
    for index, (module, fact) in enumerate(found):
        name, _, field = fact.partition(".")
        lines += [f"def f{index}(it: {module}.{name}) -> None:", f"    it.{field}", f"    it.{field} = it.{field}"]
    probe = tmp_path / "probe.py"
    probe.write_text("\n".join(lines), "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(probe)]
    said = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=120).stdout
    refused = {int(line.split(":")[1]) for line in said.splitlines() if "read-only" in line}
    assert refused == {number for number, line in enumerate(lines, start=1) if " = " in line}, said
    assert said.count("error:") == len(found) > 50
