"""What a saga costs inside the pod, counted instead of timed: the same on every computer with that Python version.

`python -m tests.benchmarks.counts` prints the counts beside the baseline; with --write they become the baseline.
"""

import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from tests.benchmarks.in_process_pod import Written, in_process_pod, load
from tests.benchmarks.workspace import ROOT

BASELINES = Path(__file__).with_name("baselines.json")
TOLERANCE = 0.02
_WARM_UP, _SAGAS = 50, 200
_COUNTED = (str(ROOT / "app"), str(ROOT / "topologies"), "quixstreams")
Counts = dict[str, float]


class Counter:
    """Counts executed byte code instructions and calls of C functions in the pod's own code."""

    def __init__(self) -> None:
        self.instructions = self.calls = 0
        self._known: dict[str, bool] = {}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Counts while the block runs; debuggers and coverage don't work inside it."""
        tracing, profiling = sys.gettrace(), sys.getprofile()
        sys.settrace(self._enter)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(profiling)
            sys.settrace(tracing)

    def _enter(self, frame: FrameType, _: str, __: Any) -> Any:
        if not self._is_ours(frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, _: FrameType, event: str, __: Any) -> Any:
        if event == "opcode":
            self.instructions += 1
        return self._step

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call" and self._is_ours(frame.f_code.co_filename):
            self.calls += 1

    def _is_ours(self, file: str) -> bool:
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = any(part in file for part in _COUNTED)
        return known


def counts() -> Counts:
    """Counts by name, per saga of the usual kind."""
    counter = Counter()
    with tempfile.TemporaryDirectory() as folder, in_process_pod(Path(folder)) as pod:
        for records in load("before", _WARM_UP):
            pod.feed(records)
            pod.drain()
        pod.take_written()
        for records in load("counted", _SAGAS):
            pod.feed(records)
            with counter.counting():
                pod.drain()
        written = pod.take_written()
        return {
            "instructions": counter.instructions / _SAGAS,
            "calls": counter.calls / _SAGAS,
            "records": len(written) / _SAGAS,
            "bytes": sum(map(_size, written)) / _SAGAS,
        }


def _size(written: Written) -> int:
    _, key, value, headers = written
    return len(key) + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers)


def baseline() -> Counts | None:
    """The agreed counts; None for a Python version without a baseline."""
    known: Counts | None = json.loads(BASELINES.read_text("utf-8")).get(_python())
    return known


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def main(*, write: Annotated[bool, typer.Option("--write", help="Make these counts the baseline.")] = False) -> None:
    """Count what a saga costs inside the pod."""
    agreed, found = baseline() or {}, counts()
    for name, count in found.items():
        print(f"{name:14}{count:10,.1f}   baseline {agreed.get(name, float('nan')):10,.1f}")
    if write:
        known = json.loads(BASELINES.read_text("utf-8"))
        known[_python()] = {name: round(count, 1) for name, count in found.items()}
        BASELINES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
