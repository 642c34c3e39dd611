"""The core's values are plain dataclasses at run time; the type checker refuses every assignment to a field."""

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType

from app.saga import messages, outputs, state, transition, verdict


def value_fields(module: ModuleType) -> list[str]:
    """The fields of the dataclasses that a module defines, each as `Class.field`."""
    own = [kind for kind in vars(module).values() if is_dataclass(kind) and kind.__module__ == module.__name__]
    return [f"{kind.__qualname__}.{field.name}" for kind in own if isinstance(kind, type) for field in fields(kind)]


def test_no_field_of_a_value_can_be_assigned(root: Path, tmp_path: Path) -> None:
    """The type checker refuses each assignment, and accepts each read."""
    modules = (outputs, messages, state, transition, verdict)
    found = [(module.__name__, each) for module in modules for each in value_fields(module)]
    lines = [f"import {module}" for module in sorted({module for module, _ in found})]
    for index, (module, each) in enumerate(found):
        name, _, field = each.partition(".")
        lines += [f"def f{index}(it: {module}.{name}) -> None:", f"    it.{field}", f"    it.{field} = it.{field}"]
    probe = tmp_path / "probe.py"
    probe.write_text("\n".join(lines), "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(probe)]
    printed = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=120).stdout
    refused = {int(line.split(":")[1]) for line in printed.splitlines() if "read-only" in line}
    assert refused == {number for number, line in enumerate(lines, start=1) if " = " in line}, printed
    assert printed.count("error:") == len(found) > 50
