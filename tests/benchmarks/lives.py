"""Starts of an orchestrator: of its first life, after a kill, and with many sagas in its state, on disk or not."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from tests.benchmarks.clients import Cluster, Sender, Trouble, header, reader, waiting
from tests.benchmarks.figures import Run
from tests.benchmarks.messages import RESERVATION_COMMANDS, Orders
from tests.benchmarks.peers import Peer, Process
from tests.benchmarks.processes import Processes
from tests.benchmarks.rounds import Ground, Say, turned
from tests.benchmarks.site import Site

_FIRST_SECONDS = 120.0
_FILL_SECONDS = 600.0
_AT_ONCE = 20_000  # orders that are on their way while state is filled
PATIENT = {"SAGA_STEP_TIMEOUT": "40000", "SAGA_DEADLINE": "80000", "SAGA_STEP_LIMIT": "10000000"}


class Lives:
    """The lives of one orchestrator, with so many sagas in its state that all wait for their first reply."""

    def __init__(self, peer: Peer, site: Site, live: int) -> None:
        self._peer = peer
        self._site = replace(site, settings=PATIENT)
        self._cluster = Cluster(site.bootstrap, site.prefix, site.partitions)
        self._live = live
        self._placed = 0
        self.figures: dict[str, float] = {}

    def run(self) -> None:
        """Lives all of them. Raises Trouble."""
        name = f"{self._live:,} live"
        self._site.prepare()
        with self._born("start to first output: s") as process:
            fill(self._site, self._live)
            process.kill()
        with self._born(f"{name}, kill -9 to next output: s"):
            pass
        with self._born(f"{name}, warm start to first output: s") as process:
            self._weigh(f"{name}, warm start: peak memory MiB", process)
        shutil.rmtree(self._site.state)
        with self._born(f"{name}, cold start to first output: s") as process:
            self._weigh(f"{name}, cold start: peak memory MiB", process)

    @contextmanager
    def _born(self, figure: str) -> Iterator[Process]:
        """A process, with the seconds until it wrote something, for which an order waits; stopped at the end."""
        orders = Orders(f"first{self._placed}", 0)
        self._placed += 1
        output = reader(self._cluster, (RESERVATION_COMMANDS,), "end")
        sender = Sender(self._cluster, linger_ms=0)
        sender.send(orders.place(0))
        sender.flush()
        started = time.monotonic()
        process = Process(self._peer, self._site)
        try:
            while not waiting(output, 0.05):
                process.check_alive()
                if time.monotonic() - started > _FIRST_SECONDS:
                    raise Trouble(f"no output within {_FIRST_SECONDS:.0f} s after the start")
            self.figures[figure] = time.monotonic() - started
            output.close()
            yield process
        finally:
            process.stop()

    def _weigh(self, figure: str, process: Process) -> None:
        self.figures[figure] = Processes([process.pid]).peak_mib()


def fill(site: Site, count: int) -> None:
    """Places so many orders, and waits until each has sent its first command. Raises Trouble."""
    cluster, orders = Cluster(site.bootstrap, site.prefix, site.partitions), Orders("fill", 0)
    output, sender = reader(cluster, (RESERVATION_COMMANDS,), "end"), Sender(cluster, linger_ms=20)
    placed = asked = 0
    end = time.monotonic() + _FILL_SECONDS
    while asked < count:
        until = min(count, asked + _AT_ONCE)
        for number in range(placed, until):
            sender.send(orders.place(number))
        placed = max(placed, until)
        asked += sum(header(message, "ce_type") == "reservation.reserve" for message in waiting(output, 0.1))
        if time.monotonic() > end:
            raise Trouble(f"only {asked} of {count} orders were begun within {_FILL_SECONDS:.0f} s")
    output.close()


def starts(rounds: int, peers: Sequence[Peer], ground: Ground, live: int, say: Say) -> Iterator[Run]:
    """The runs of some rounds, in each of which every orchestrator starts with so many sagas in its state."""
    for number in range(1, rounds + 1):
        for peer in turned(peers, number):
            lives = Lives(peer, ground.site(number, peer, "starts"), live)
            wrong = []
            try:
                lives.run()
            except Trouble as trouble:
                wrong = [str(trouble)]
            shown = ", ".join(f"{name} {value:.1f}" for name, value in lives.figures.items())
            say(f"round {number}, {peer.name}: {shown}{''.join(wrong)}")
            yield Run(number, peer.name, lives.figures, wrong)
