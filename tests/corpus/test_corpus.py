"""The records are those of the corpus, byte for byte."""

import pytest

from tests.corpus.recorded import recorded_stories, recorded_worlds
from tests.corpus.records import SAGAS, WORLDS, story_records, world_digest

RECORD_ANEW = "to change the wire on purpose: python -m tests.corpus"


def test_every_story_leads_to_the_recorded_bytes() -> None:
    """Commands, outcomes, events and states of all stories; the first record that differs is shown."""
    recorded, made = recorded_stories(), list(story_records())
    for before, now in zip(recorded, made, strict=False):
        assert now == before, RECORD_ANEW
    assert len(made) == len(recorded) > 400, RECORD_ANEW


@pytest.mark.parametrize("seed", range(WORLDS))
def test_a_simulated_world_leads_to_the_recorded_bytes(seed: int) -> None:
    """All topics of a thousand sagas: inputs, replies, commands, outcomes, events, dead letters, state, headers."""
    assert world_digest(seed) == recorded_worlds()[seed], f"to see the records: python -m tests.corpus --seed {seed}"


def test_the_corpus_is_large_enough() -> None:
    """At least a thousand simulated sagas, and every kind of topic in the stories."""
    assert len(recorded_worlds()) * SAGAS >= 1_000
    topics = {record["topic"] for record in recorded_stories()}
    assert topics >= {"saga.events", "saga.state", "order.outcomes", "reservation.commands", "payment.commands"}
