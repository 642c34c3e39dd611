"""How the cost of a saga changes with partitions, pods, sagas in the state, and the length of orders: it should not."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from tests.benchmarks.clients import Trouble
from tests.benchmarks.figures import Run, of_load
from tests.benchmarks.lives import PATIENT, fill
from tests.benchmarks.peers import PRODUCT, Driver, Process
from tests.benchmarks.rounds import Ground, Say
from tests.benchmarks.site import PARTITIONS, Site

_READY_SECONDS = 60.0
_WARM_UP, _ORDERS = 2_000, 12_000


@dataclass(frozen=True, slots=True)
class Size:
    """One of the sizes along an axis."""

    axis: str
    value: int
    partitions: int = PARTITIONS
    pods: int = 1
    live: int = 0
    lines: int = 2


def sizes(most_live: int) -> list[Size]:
    """All sizes; in the state up to so many sagas."""
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


def scale(driver: Driver, ground: Ground, most_live: int, say: Say) -> Iterator[Run]:
    """The runs of all sizes, once each."""
    for number, size in enumerate(sizes(most_live), 1):
        run = _measure(size, driver, ground.site(number, PRODUCT, "scale"))
        shown = ", ".join(f"{name} {value:.3g}" for name, value in run.figures.items())
        say(f"{size.value:,} {size.axis}: {shown}{''.join(run.wrong)}")
        yield run


def _measure(size: Size, driver: Driver, site: Site) -> Run:
    """What sagas cost at that size: a drain, after one that warms up."""
    at = replace(site, partitions=size.partitions, settings=PATIENT)
    at.prepare()
    try:
        with _pods(at, size.pods) as pids:
            if size.live:
                fill(at, size.live)
            driver.measure("drain", at, pids, orders=_WARM_UP, lines=size.lines)
            done = driver.measure("drain", at, pids, orders=_ORDERS, lines=size.lines, freeze="true", timeout=150)
    except Trouble as trouble:
        return Run(1, PRODUCT.name, {}, [str(trouble)], size.axis, size.value)
    return Run(1, PRODUCT.name, of_load(done), (), size.axis, size.value)


@contextmanager
def _pods(site: Site, count: int) -> Iterator[Sequence[int]]:
    """The process ids of so many pods, when each has its share of the partitions."""
    sites = [
        replace(
            site,
            directory=_made(site.directory / f"pod-{number}"),
            settings={**site.settings, "SAGA_INSTANCE_ID": f"pod-{number}"},
        )
        for number in range(count)
    ]
    with ExitStack() as stopping:
        pods = [Process(PRODUCT, each) for each in sites]
        for pod in pods:
            stopping.callback(pod.stop)
        _await(lambda: _shared(sites) == site.partitions, pods)
        yield [pod.pid for pod in pods]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _await(condition: Callable[[], bool], pods: Sequence[Process]) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not condition():
        for pod in pods:
            pod.check_alive()
        if time.monotonic() > end:
            raise Trouble(f"the pods did not have their partitions within {_READY_SECONDS:.0f} s")
        time.sleep(0.1)


def _shared(sites: Sequence[Site]) -> int:
    """How many partitions the pods have by their logs; 0 while one has none."""
    shares = [_last_share(site.log) for site in sites]
    return sum(shares) if all(shares) else 0


def _last_share(log: Path) -> int:
    assigned = [line for line in log.read_bytes().splitlines() if b'"event": "assigned"' in line]
    return len(orjson.loads(assigned[-1])["partitions"]) if assigned else 0
