"""Runs simulated worlds from the command line: `python -m tests.simulation --seed 7 --sagas 1000 --story`."""

import argparse
import sys
from time import perf_counter

from tests.simulation.run import run


def main() -> int:
    """Runs the worlds one by one; returns 1 at the first violated invariant."""
    wanted = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    wanted.add_argument("--seed", type=int, default=1, help="seed of the first world")
    wanted.add_argument("--sagas", type=int, default=1000, help="sagas in each world")
    wanted.add_argument("--worlds", type=int, default=1, help="number of worlds, with consecutive seeds")
    wanted.add_argument("--story", action="store_true", help="print all records of sagas with violations")
    asked = wanted.parse_args()
    for seed in range(asked.seed, asked.seed + asked.worlds):
        start = perf_counter()
        verdict = run(seed, asked.sagas)
        _say(
            f"seed {seed}: {verdict.sagas} sagas, {verdict.decisions} decisions, {verdict.commits} commits, "
            f"{verdict.crashes} crashes, {verdict.ticks} ticks, {perf_counter() - start:.2f} s"
        )
        if verdict.violations:
            _say(verdict.report(), *(verdict.stories if asked.story else ()))
            return 1
    return 0


def _say(*texts: str) -> None:
    sys.stdout.write("\n\n".join(texts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
