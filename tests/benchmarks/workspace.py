"""The workspace of an orchestrator in a round: topics under a prefix of its own, and a directory of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.wire.topics import Topics
from tests.benchmarks.clients import MeasurementFailed
from topologies.order import ORDER

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
_READY_SECONDS = 30.0
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Workspace:
    """An orchestrator's brokers, topic prefix, directory, and settings."""

    bootstrap: str
    prefix: str
    directory: Path
    partitions: int = PARTITIONS
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a pod: this process's, and the settings."""
        return {
            **os.environ,
            "SAGA_KAFKA_BOOTSTRAP": self.bootstrap,
            "SAGA_TOPIC_PREFIX": self.prefix,
            "SAGA_INSTANCE_ID": "benchmark",
            "SAGA_STATE_DIR": str(self.state),
            **self.settings,
        }

    @property
    def state(self) -> Path:
        """The orchestrator's state directory."""
        return self.directory / "state"

    @property
    def log(self) -> Path:
        """The orchestrator's log file."""
        return self.directory / "orchestrator.log"

    def prepare(self) -> None:
        """Creates the directory and the topics, and waits until every partition serves. Raises MeasurementFailed."""
        self.directory.mkdir(parents=True)
        create = [sys.executable, "-m", "topologies", "topics", "create", "--partitions", str(self.partitions)]
        subprocess.run(create, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._serves():
            if time.monotonic() > deadline:
                raise MeasurementFailed(
                    f"not all partitions of {self.prefix}* serve {_READY_SECONDS:.0f} s after they were created"
                )
            time.sleep(_PAUSE_SECONDS)

    def _serves(self) -> bool:
        topics = Topics(ORDER, self.prefix)
        partitions = [
            TopicPartition(topics.full(topic), number) for topic in topics.all for number in range(self.partitions)
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        ends = admin.list_offsets(
            {partition: OffsetSpec.latest() for partition in partitions}, request_timeout=_READY_SECONDS
        )
        try:
            return all(end.result() for end in ends.values())
        except KafkaException:
            return False
