"""Start times: of the first start, after a kill, and with many active sagas, on disk or only in the changelog."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from tests.benchmarks.clients import Cluster, MeasurementFailed, Sender, header, poll_batch, topic_reader
from tests.benchmarks.measurement import Bench, Say, peer_order
from tests.benchmarks.messages import RESERVATION_COMMANDS, Orders
from tests.benchmarks.peers import Peer, Process
from tests.benchmarks.processes import Processes
from tests.benchmarks.stats import Run
from tests.benchmarks.workspace import Workspace

_FIRST_SECONDS = 120.0
_FILL_SECONDS = 600.0
_IN_FLIGHT = 20_000  # orders without a command while the state is filled
LONG_TIMEOUTS = {"SAGA_STEP_TIMEOUT": "40000", "SAGA_DEADLINE": "80000", "SAGA_STEP_LIMIT": "10000000"}


class Startup:
    """Starts one orchestrator several times, with this many sagas in its state that wait for their first reply."""

    def __init__(self, peer: Peer, workspace: Workspace, live: int) -> None:
        self._peer = peer
        self._workspace = replace(workspace, settings={**workspace.settings, **LONG_TIMEOUTS})
        self._cluster = Cluster(workspace.bootstrap, workspace.prefix, workspace.partitions)
        self._live = live
        self._placed = 0
        self.figures: dict[str, float] = {}

    def run(self) -> None:
        """Measures all starts. Raises MeasurementFailed."""
        name = f"{self._live:,} live"
        self._workspace.prepare()
        with self._started("start to first output: s") as process:
            fill(self._workspace, self._live)
            process.kill()
        with self._started(f"{name}, kill -9 to next output: s"):
            pass
        with self._started(f"{name}, warm start to first output: s") as process:
            self._note_memory(f"{name}, warm start: peak memory MiB", process)
        shutil.rmtree(self._workspace.state)
        with self._started(f"{name}, cold start to first output: s") as process:
            self._note_memory(f"{name}, cold start: peak memory MiB", process)

    @contextmanager
    def _started(self, figure: str) -> Iterator[Process]:
        """A process, and the seconds until its first output, for an order that waits; stopped when the block ends."""
        orders = Orders(f"first{self._placed}", 0)
        self._placed += 1
        output = topic_reader(self._cluster, (RESERVATION_COMMANDS,), "end")
        sender = Sender(self._cluster, linger_ms=0)
        sender.send(orders.place(0))
        sender.flush()
        started = time.monotonic()
        process = Process(self._peer, self._workspace)
        try:
            while not poll_batch(output, 0.05):
                process.check_alive()
                if time.monotonic() - started > _FIRST_SECONDS:
                    raise MeasurementFailed(f"no output within {_FIRST_SECONDS:.0f} s after the start")
            self.figures[figure] = time.monotonic() - started
            output.close()
            yield process
        finally:
            process.stop()

    def _note_memory(self, figure: str, process: Process) -> None:
        self.figures[figure] = Processes([process.pid]).peak_mib()


def fill(workspace: Workspace, count: int) -> None:
    """Places this many orders, and waits until each has its first command. Raises MeasurementFailed."""
    cluster = Cluster(workspace.bootstrap, workspace.prefix, workspace.partitions)
    orders = Orders("fill", 0)
    output, sender = topic_reader(cluster, (RESERVATION_COMMANDS,), "end"), Sender(cluster, linger_ms=20)
    placed = commands = 0
    end = time.monotonic() + _FILL_SECONDS
    while commands < count:
        until = min(count, commands + _IN_FLIGHT)
        for number in range(placed, until):
            sender.send(orders.place(number))
        placed = max(placed, until)
        commands += sum(header(message, "ce_type") == "reservation.reserve" for message in poll_batch(output, 0.1))
        if time.monotonic() > end:
            raise MeasurementFailed(f"only {commands} of {count} orders had a command within {_FILL_SECONDS:.0f} s")
    output.close()


def measure_starts(rounds: int, peers: Sequence[Peer], bench: Bench, live: int, say: Say) -> Iterator[Run]:
    """Runs of some rounds, in each of which every orchestrator starts with this many sagas in its state."""
    for number in range(1, rounds + 1):
        for peer in peer_order(peers, number):
            startup = Startup(peer, bench.workspace(number, peer, "starts"), live)
            errors = []
            try:
                startup.run()
            except MeasurementFailed as error:
                errors = [str(error)]
            shown = ", ".join(f"{name} {value:.1f}" for name, value in startup.figures.items())
            say(f"round {number}, {peer.name}: {shown}{''.join(errors)}")
            yield Run(number, peer.name, startup.figures, errors)
