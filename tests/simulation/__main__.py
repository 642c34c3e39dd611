"""Runs worlds from the command line: `python -m tests.simulation --seed 7 --sagas 1000 --story`."""

import argparse
import sys
from time import perf_counter

from tests.simulation.run import run


def main() -> int:
    """Runs them one by one, and ends with 1 at the first that is wrong."""
    wanted = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    wanted.add_argument("--seed", type=int, default=1, help="of the first world")
    wanted.add_argument("--sagas", type=int, default=1000, help="in each world")
    wanted.add_argument("--worlds", type=int, default=1, help="with the seeds that follow")
    wanted.add_argument("--story", action="store_true", help="tell the story of sagas that something is wrong with")
    asked = wanted.parse_args()
    for seed in range(asked.seed, asked.seed + asked.worlds):
        start = perf_counter()
        verdict = run(seed, asked.sagas)
        _say(
            f"seed {seed}: {verdict.sagas} sagas, {verdict.decisions} decisions, {verdict.commits} commits, "
            f"{verdict.crashes} crashes, {verdict.ticks} ticks, {perf_counter() - start:.2f} s"
        )
        if verdict.violations:
            _say(verdict.says(), *(verdict.stories if asked.story else ()))
            return 1
    return 0


def _say(*texts: str) -> None:
    sys.stdout.write("\n\n".join(texts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
