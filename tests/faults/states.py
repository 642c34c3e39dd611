"""The state of a saga's partitions: warm on the pods' disks, and cold from the changelog alone, must be the same."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from confluent_kafka.admin import AdminClient

from app.audit.recording import Recording
from app.demo.stage import Stage
from app.engine.clients import Clients
from app.engine.offsets import bounds, identity, part_of
from app.engine.restore import Restore
from app.engine.store import PartitionStore
from app.saga.versions import Versions
from app.wire.topics import STATE
from tests.simulation.judge.stores import flaws

_SECONDS = 60.0
_LIMIT = 100_000
Documents = dict[bytes, bytes]


class States:
    """What the changelog of a recording holds, by partition; the audit has compared it with the fold of the events."""

    def __init__(self, stage: Stage, saga: Versions, recording: Recording) -> None:
        self._clients = Clients(str(stage.client["bootstrap.servers"]), stage.group, "judge", Path("unused"))
        self._changelog = stage.topics.full(STATE)
        self._steps = [step.name for step in saga.steps]
        admin = AdminClient(stage.client)
        self._id = identity(admin, self._changelog, _SECONDS)
        self._ends = bounds(admin, [(self._changelog, number) for number in range(recording.partitions)], _SECONDS)
        self.documents = _latest(recording)

    def wrong(self, homes: Iterable[Path]) -> Iterator[str]:
        """What differs from it: in a folder that is restored from nothing, and in those below the pods' homes, each
        brought up to date as at a start."""
        with tempfile.TemporaryDirectory(prefix="order-saga-cold-") as cold:
            for home in (Path(cold), *homes):
                for (_, number), end in self._ends.items():
                    folder = home / self._clients.group / str(number)
                    if folder.exists() or home == Path(cold):
                        yield from (f"{folder}: {each}" for each in self._differ(folder, number, end))

    def _differ(self, folder: Path, number: int, end: tuple[int, int]) -> Iterator[str]:
        folder.parent.mkdir(parents=True, exist_ok=True)
        store = PartitionStore(folder, part_of(self._id, number), 10, _LIMIT)
        try:
            restore = Restore(self._clients.reader(), self._changelog, {number: store}, {number: end}, _SECONDS)
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
