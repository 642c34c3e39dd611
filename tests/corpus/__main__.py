"""`python -m tests.corpus` records the corpus anew; `--seed N` prints the records of one simulated world."""

import argparse
import sys
from collections.abc import Iterable

import orjson

from tests.corpus.recorded import STORIES, WORLD_DIGESTS
from tests.corpus.records import WORLDS, Record, story_records, world_digest, world_records


def lines(records: Iterable[Record]) -> bytes:
    """The records, one per line."""
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def main() -> None:
    """Records the corpus, or prints a part of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--seed", type=int, help="print the records of this simulated world, to compare them")
    seed = parser.parse_args().seed
    if seed is not None:
        sys.stdout.buffer.write(lines(world_records(seed)))
        return
    STORIES.write_bytes(lines(story_records()))
    WORLD_DIGESTS.write_bytes(b"".join(f"{seed} {world_digest(seed)}\n".encode() for seed in range(WORLDS)))


if __name__ == "__main__":
    main()
