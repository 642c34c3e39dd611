"""Compares the state of each partition as stored on the pods' disks, as restored from nothing, and in the changelog."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from confluent_kafka.admin import AdminClient

from app.audit.recording.recording import Recording
from app.demo.stage import Stage
from app.engine.assignment.start_offsets import log_bounds, partition_identity, topic_id
from app.engine.kafka.client_config import ClientConfig
from app.engine.state.changelog_reader import ChangelogReader
from app.engine.state.store import PartitionStore
from app.saga.versions import Versions
from app.wire.topics import STATE
from tests.simulation.judge.stores import flaws

_SECONDS = 60.0
_LIMIT = 100_000
Documents = dict[bytes, bytes]


class StateCheck:
    """`documents`: the latest state document of each saga in the recorded changelog, by partition.

    The audit compares these documents with the fold of the events.
    """

    def __init__(self, stage: Stage, saga: Versions, recording: Recording) -> None:
        self._clients = ClientConfig(str(stage.client["bootstrap.servers"]), stage.group, "judge", Path("unused"))
        self._changelog = stage.topics.full(STATE)
        self._steps = [step.name for step in saga.steps]
        admin = AdminClient(stage.client)
        self._id = topic_id(admin, self._changelog, _SECONDS)
        self._ends = log_bounds(admin, [(self._changelog, number) for number in range(recording.partitions)], _SECONDS)
        self.documents = _latest(recording)

    def differences(self, state_dirs: Iterable[Path]) -> Iterator[str]:
        """Differences from the changelog, of a new store and of those below the pods' state directories.

        Each store is first brought up to date from the changelog, as at a start.
        """
        with tempfile.TemporaryDirectory(prefix="order-saga-cold-") as new:
            for state_dir in (Path(new), *state_dirs):
                for (_, number), end in self._ends.items():
                    folder = state_dir / self._clients.group / str(number)
                    if folder.exists() or state_dir == Path(new):
                        yield from (f"{folder}: {each}" for each in self._compare(folder, number, end))

    def _compare(self, folder: Path, number: int, end: tuple[int, int]) -> Iterator[str]:
        folder.parent.mkdir(parents=True, exist_ok=True)
        store = PartitionStore(folder, partition_identity(self._id, number), 10, _LIMIT)
        try:
            restore = ChangelogReader(
                self._clients.standalone_consumer(), self._changelog, {number: store}, {number: end}, _SECONDS
            )
            while not restore.step():
                pass
            restore.close()
            for flaw in flaws(store, self.documents[number], self._steps):
                yield str(flaw)
        finally:
            store.close()


def _latest(recording: Recording) -> dict[int, Documents]:
    found: dict[int, Documents] = defaultdict(dict)
    for record in recording.records:
        if record.topic == STATE.name and record.key is not None:
            found[record.partition].pop(record.key, None)
            if record.value is not None:
                found[record.partition][record.key] = record.value
    return found
