"""`make faults`: injects faults of every kind into a real cluster of three brokers for a given time."""

import itertools
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.faults import brokers, kills, pauses
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.fault_rounds import Expired, broker_round, kill_round, pause_round, timer_round
from tests.faults.results import Results

_LONGEST_SECONDS = 300.0  # of one round, so that its topics stay small enough for one audit
_SHARES = {"kills": 0.45, "pauses": 0.25, "brokers": 0.3}
Round = Callable[[Cluster, Path, int, Expired], Results]


def main(
    seconds: Annotated[float, typer.Option(min=60, help="Duration; the last audit may take a minute more.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders and the same faults.")] = 1,
    only: Annotated[str, typer.Option(help=f"Only this kind of fault: {', '.join(_SHARES)}.")] = "",
) -> None:
    """Injects faults, audits every order, and prints the faults, the recovery times, and the violations."""
    console, total = Console(), Results()
    shares = {only: 1.0} if only else _SHARES
    begun = time.monotonic()
    with cluster_of(3, seed) as cluster:
        for number in itertools.count():
            left = seconds - (time.monotonic() - begun)
            if number and left < 60:
                break
            for kind, share in shares.items():
                length = min(_LONGEST_SECONDS, share * min(left, 3 * _LONGEST_SECONDS))
                results = _run_rounds(cluster, kind, seed + 10 * number, length)
                console.print(
                    f"{time.monotonic() - begun:6.0f} s  {kind}: {results.summary()}", highlight=False, soft_wrap=True
                )
                for line in results.violations:
                    console.print(f"VIOLATION {line}", markup=False, highlight=False, soft_wrap=True)
                total.add(results)
    console.print(total.table())
    console.print(f"seed {seed}: {total.summary()}", highlight=False)
    raise typer.Exit(1 if total.violations else 0)


def _run_rounds(cluster: Cluster, kind: str, seed: int, seconds: float) -> Results:
    """Runs the rounds of a kind side by side, for this long."""
    end = time.monotonic() + seconds
    rounds = _ROUNDS[kind]
    total = Results()
    with ThreadPoolExecutor(len(rounds)) as pool:
        for results in pool.map(
            lambda one: _run_round(one[1], cluster, seed + one[0], lambda: time.monotonic() > end), enumerate(rounds)
        ):
            total.add(results)
    return total


def _run_round(run: Round, cluster: Cluster, seed: int, expired: Expired) -> Results:
    """Runs one round; an exception in it counts as a violation."""
    with tempfile.TemporaryDirectory(prefix="order-saga-faults-") as folder:
        try:
            return run(cluster, Path(folder), seed, expired)
        except Exception as error:  # noqa: BLE001 - any error is a finding, and the other rounds go on
            return Results(rounds=1, violations=[f"seed {seed}: {type(error).__name__}: {error}"])


def _kills(cluster: Cluster, folder: Path, seed: int, expired: Expired) -> Results:
    wanted = Counter(dict.fromkeys(kills.ALL, 3)) | Counter(dict.fromkeys(kills.REPRESENTATIVE, 1000))
    return kill_round(cluster, folder, seed, wanted, expired)


def _pauses(cluster: Cluster, folder: Path, seed: int, expired: Expired) -> Results:
    return pause_round(cluster, folder, seed, _shuffled(pauses.UNDER_LOAD, seed), expired)


def _timers(cluster: Cluster, folder: Path, seed: int, expired: Expired) -> Results:
    return timer_round(cluster, folder, seed, 1000, expired)


def _brokers(cluster: Cluster, folder: Path, seed: int, expired: Expired) -> Results:
    return broker_round(cluster, folder, seed, _shuffled(brokers.FAULTS, seed), expired)


def _shuffled(kinds: Iterable[str], seed: int) -> Iterator[str]:
    """All kinds in random order, again and again."""
    rng, every = random.Random(f"{seed} order"), list(kinds)
    while True:
        yield from rng.sample(every, len(every))


_ROUNDS: dict[str, tuple[Round, ...]] = {
    "kills": (_kills,),
    "pauses": (_pauses, _pauses, _timers),
    "brokers": (_brokers,),
}

if __name__ == "__main__":
    typer.run(main)
