"""CPU time and memory of the processes under test, and a pause of them (Linux's /proc)."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_USER_TICKS, _SYSTEM_TICKS = 11, 12  # fields of /proc/…/stat after the name, from 0


class Processes:
    """Processes that are measured together."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids

    def cpu_seconds(self) -> float:
        """CPU time used so far, in steps of 10 ms; 0 where /proc doesn't have it."""
        return sum(_cpu_seconds(id) for id in self._ids)

    def peak_mib(self) -> float:
        """The sum of their peak memory in MiB; 0 where /proc doesn't have it."""
        return sum(_peak_kib(id) for id in self._ids) / 1024

    def gone(self) -> bool:
        """Whether one of them has ended, as far as /proc shows it."""
        return any(_read(id, "stat").rpartition(")")[2].split()[:1] == ["Z"] for id in self._ids)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops them (SIGSTOP) while the block runs."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        for id in self._ids:
            os.kill(id, which)


class Usage:
    """What the orchestrator and the broker use from the creation of this object on."""

    def __init__(self, tested: Processes, broker: Processes) -> None:
        self._tested, self._broker = tested, broker
        self._before = tested.cpu_seconds(), broker.cpu_seconds()

    def per_saga(self, sagas: int) -> dict[str, float]:
        """CPU seconds per thousand of this many sagas, by the names of a driver's result; and peak memory."""
        tested, broker = self._before
        return {
            "cpu_s_per_1000": (self._tested.cpu_seconds() - tested) * 1_000 / sagas,
            "broker_cpu_s_per_1000": (self._broker.cpu_seconds() - broker) * 1_000 / sagas,
            "peak_mib": self._tested.peak_mib(),
        }


def _cpu_seconds(id: int) -> float:
    fields = _read(id, "stat").rpartition(")")[2].split()
    if not fields:
        return 0.0
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")


def _peak_kib(id: int) -> int:
    peaks = (line.split()[1] for line in _read(id, "status").splitlines() if line.startswith("VmHWM:"))
    return int(next(peaks, 0))


def _read(id: int, name: str) -> str:
    try:
        return Path(f"/proc/{id}/{name}").read_text("utf-8")
    except OSError:
        return ""
