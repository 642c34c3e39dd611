"""The corpus as recorded in this folder."""

from pathlib import Path

import orjson

from tests.corpus.records import Record

STORIES = Path(__file__).with_name("stories.ndjson")
"""Every record of every story, one per line."""
WORLD_DIGESTS = Path(__file__).with_name("worlds.txt")
"""For each seed of a simulated world, the digest of all its records."""


def recorded_stories() -> list[Record]:
    """The records of the stories, in order."""
    return [orjson.loads(line) for line in STORIES.read_bytes().splitlines()]


def recorded_worlds() -> dict[int, str]:
    """The digest of each simulated world, by its seed."""
    return {int(seed): digest for seed, digest in map(str.split, WORLD_DIGESTS.read_text().splitlines())}
