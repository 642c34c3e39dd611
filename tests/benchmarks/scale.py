"""How the cost per saga changes with partitions, pods, active sagas, and lines per order; it should stay the same."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from tests.benchmarks.clients import MeasurementFailed
from tests.benchmarks.measurement import Bench, Say
from tests.benchmarks.peers import PRODUCT, Driver, Process
from tests.benchmarks.startup import LONG_TIMEOUTS, fill
from tests.benchmarks.stats import Run, load_figures
from tests.benchmarks.workspace import PARTITIONS, Workspace

_READY_SECONDS = 60.0
_WARM_UP, _ORDERS = 2_000, 12_000


@dataclass(frozen=True, slots=True)
class Size:
    """One size on an axis."""

    axis: str
    value: int
    partitions: int = PARTITIONS
    pods: int = 1
    live: int = 0
    lines: int = 2


def sizes(most_live: int) -> list[Size]:
    """All sizes, with at most `most_live` active sagas in the state."""
    return [
        *(Size("partitions", number, partitions=number) for number in (1, 4, 16, 64)),
        *(Size("pods", number, partitions=12, pods=number) for number in (1, 2, 3)),
        *(
            Size("live sagas", number, live=number)
            for number in (1_000, 10_000, 100_000, 1_000_000)
            if number <= most_live
        ),
        *(Size("lines of an order", number, lines=number) for number in (2, 10, 50, 200)),
    ]


def measure_sizes(driver: Driver, bench: Bench, most_live: int, say: Say) -> Iterator[Run]:
    """The runs of all sizes, once each."""
    for number, size in enumerate(sizes(most_live), 1):
        run = _measure(size, driver, bench.workspace(number, PRODUCT, "scale"))
        shown = ", ".join(f"{name} {value:.3g}" for name, value in run.figures.items())
        say(f"{size.value:,} {size.axis}: {shown}{''.join(run.errors)}")
        yield run


def _measure(size: Size, driver: Driver, workspace: Workspace) -> Run:
    """The cost per saga at that size: a drain, after another one as warm-up."""
    at = replace(workspace, partitions=size.partitions, settings={**workspace.settings, **LONG_TIMEOUTS})
    at.prepare()
    try:
        with _pods(at, size.pods) as pids:
            if size.live:
                fill(at, size.live)
            driver.measure("drain", at, pids, orders=_WARM_UP, lines=size.lines)
            done = driver.measure("drain", at, pids, orders=_ORDERS, lines=size.lines, freeze="true", timeout=150)
    except MeasurementFailed as error:
        return Run(1, PRODUCT.name, {}, [str(error)], size.axis, size.value)
    return Run(1, PRODUCT.name, load_figures(done), (), size.axis, size.value)


@contextmanager
def _pods(workspace: Workspace, count: int) -> Iterator[Sequence[int]]:
    """The process ids of this many pods, once each owns its share of the partitions."""
    workspaces = [
        replace(
            workspace,
            directory=_created(workspace.directory / f"pod-{number}"),
            settings={**workspace.settings, "SAGA_INSTANCE_ID": f"pod-{number}"},
        )
        for number in range(count)
    ]
    with ExitStack() as stopping:
        pods = [Process(PRODUCT, each) for each in workspaces]
        for pod in pods:
            stopping.callback(pod.stop)
        _await(lambda: _owned(workspaces) == workspace.partitions, pods)
        yield [pod.pid for pod in pods]


def _created(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _await(condition: Callable[[], bool], pods: Sequence[Process]) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not condition():
        for pod in pods:
            pod.check_alive()
        if time.monotonic() > end:
            raise MeasurementFailed(f"the pods did not own their partitions within {_READY_SECONDS:.0f} s")
        time.sleep(0.1)


def _owned(workspaces: Sequence[Workspace]) -> int:
    """How many partitions the pods own according to their logs; 0 while one owns none."""
    shares = [_last_assignment(each.log) for each in workspaces]
    return sum(shares) if all(shares) else 0


def _last_assignment(log: Path) -> int:
    assigned = [line for line in log.read_bytes().splitlines() if b'"event": "partitions assigned"' in line]
    return len(orjson.loads(assigned[-1])["partitions"]) if assigned else 0
