"""`make faults`: faults of every kind on a real cluster of three brokers for a given time, and what came of them."""

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

from tests.faults import brokers, kills, zombies
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.rounds import Expired, broker_round, kill_round, timer_round, zombie_round
from tests.faults.tally import Tally

_LONGEST_SECONDS = 300.0  # of one round, so that its logs stay small enough to be judged at once
_SHARES = {"kills": 0.45, "pauses": 0.25, "brokers": 0.3}
Round = Callable[[Cluster, Path, int, Expired], Tally]


def main(
    seconds: Annotated[float, typer.Option(min=60, help="For how long; the last proof may take a minute more.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders and the same faults.")] = 1,
    only: Annotated[str, typer.Option(help=f"One kind alone: {', '.join(_SHARES)}.")] = "",
) -> None:
    """Injects faults, proves every order, and prints what was injected, how soon all went on, and what broke."""
    console, total = Console(), Tally()
    shares = {only: 1.0} if only else _SHARES
    begun = time.monotonic()
    with cluster_of(3, seed) as at:
        for number in itertools.count():
            left = seconds - (time.monotonic() - begun)
            if number and left < 60:
                break
            for kind, share in shares.items():
                length = min(_LONGEST_SECONDS, share * min(left, 3 * _LONGEST_SECONDS))
                tally = _play(at, kind, seed + 10 * number, length)
                console.print(
                    f"{time.monotonic() - begun:6.0f} s  {kind}: {tally.verdict()}", highlight=False, soft_wrap=True
                )
                for line in tally.broken:
                    console.print(f"BROKEN {line}", markup=False, highlight=False, soft_wrap=True)
                total.add(tally)
    console.print(total.table())
    console.print(f"seed {seed}: {total.verdict()}", highlight=False)
    raise typer.Exit(1 if total.broken else 0)


def _play(at: Cluster, kind: str, seed: int, seconds: float) -> Tally:
    """Plays one round of a kind, or some at once, for so many seconds."""
    end = time.monotonic() + seconds
    rounds = _ROUNDS[kind]
    total = Tally()
    with ThreadPoolExecutor(len(rounds)) as pool:
        for tally in pool.map(
            lambda one: _judged(one[1], at, seed + one[0], lambda: time.monotonic() > end), enumerate(rounds)
        ):
            total.add(tally)
    return total


def _judged(play: Round, at: Cluster, seed: int, expired: Expired) -> Tally:
    """A round that fails is broken too."""
    with tempfile.TemporaryDirectory(prefix="order-saga-faults-") as folder:
        try:
            return play(at, Path(folder), seed, expired)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding, and the other rounds go on
            return Tally(rounds=1, broken=[f"seed {seed}: {type(error).__name__}: {error}"])


def _kills(at: Cluster, folder: Path, seed: int, expired: Expired) -> Tally:
    wanted = Counter(dict.fromkeys(kills.ALL, 3)) | Counter(dict.fromkeys(kills.BETWEEN, 1000))
    return kill_round(at, folder, seed, wanted, expired)


def _pauses(at: Cluster, folder: Path, seed: int, expired: Expired) -> Tally:
    return zombie_round(at, folder, seed, _shuffled(zombies.UNDER_LOAD, seed), expired)


def _timers(at: Cluster, folder: Path, seed: int, expired: Expired) -> Tally:
    return timer_round(at, folder, seed, 1000, expired)


def _brokers(at: Cluster, folder: Path, seed: int, expired: Expired) -> Tally:
    return broker_round(at, folder, seed, _shuffled(brokers.FAULTS, seed), expired)


def _shuffled(kinds: Iterable[str], seed: int) -> Iterator[str]:
    """All of them in an order of chance, again and again."""
    chance, every = random.Random(f"{seed} order"), list(kinds)
    while True:
        yield from chance.sample(every, len(every))


_ROUNDS: dict[str, tuple[Round, ...]] = {
    "kills": (_kills,),
    "pauses": (_pauses, _pauses, _timers),
    "brokers": (_brokers,),
}

if __name__ == "__main__":
    typer.run(main)
