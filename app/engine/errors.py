"""Why the engine stops.

EngineStopped
├── NeedsOperator       it can't go on as things are: a person must change something; the message says what
│   └── UnsafeStart     going on from here could lose or repeat decisions
└── NeedsRestart        this process can't go on, its next life can: what was not committed is read again
    └── DecisionFailed  an unexpected error in a decision; the message has the coordinates of its cause
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException

log = logging.getLogger(__name__)


class EngineStopped(Exception):
    """The engine stopped by itself."""


class NeedsOperator(EngineStopped):
    """A person must change something first: a setting, a topic, a permission, the disk; the message says what."""


class UnsafeStart(NeedsOperator):
    """Going on from here could lose or repeat decisions; the message says what to look at."""


class NeedsRestart(EngineStopped):
    """This process must end; starting it again is safe, and enough unless the message says more."""


class DecisionFailed(NeedsRestart):
    """An unexpected error in a decision: a defect, or a definition that was edited in place."""


@contextmanager
def naming_failures(**coordinates: object) -> Iterator[None]:
    """Raises DecisionFailed with these coordinates of what was decided, in place of any unexpected error in the block.

    The log gets the error's class and frames, never its text: the text may repeat what is in a record.
    """
    try:
        yield
    except (EngineStopped, KafkaException):
        raise
    except Exception as error:
        raise decision_failed(error, **coordinates) from error


def decision_failed(error: Exception, **coordinates: object) -> DecisionFailed:
    """Logs an unexpected error of a decision; returns the error to raise."""
    log.error("decision failed", extra=coordinates, exc_info=error)
    named = ", ".join(f"{name} {value}" for name, value in coordinates.items())
    return DecisionFailed(f"a decision failed with {type(error).__name__} ({named}): see the log line before this one")
