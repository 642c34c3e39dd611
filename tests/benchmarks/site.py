"""Where an orchestrator works in a round: topics under a prefix of their own, and a directory of its own."""

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
from tests.benchmarks.clients import Trouble
from topologies.order import ORDER

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
_READY_SECONDS = 30.0
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Site:
    """An orchestrator's brokers, its topics, its directory, and settings of its own."""

    bootstrap: str
    prefix: str
    directory: Path
    partitions: int = PARTITIONS
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a pod; others may be in this process's environment."""
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
        """Where the orchestrator keeps its state."""
        return self.directory / "state"

    @property
    def log(self) -> Path:
        """What the orchestrator says."""
        return self.directory / "orchestrator.log"

    def prepare(self) -> None:
        """Makes the directory and the topics, and returns when every partition serves."""
        self.directory.mkdir(parents=True)
        create = [sys.executable, "-m", "topologies", "topics", "create", "--partitions", str(self.partitions)]
        subprocess.run(create, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._serves():
            if time.monotonic() > deadline:
                raise Trouble(f"not all partitions of {self.prefix}* serve {_READY_SECONDS:.0f} s after they were made")
            time.sleep(_PAUSE_SECONDS)

    def _serves(self) -> bool:
        topics = Topics(ORDER, self.prefix)
        places = [
            TopicPartition(topics.full(topic), number) for topic in topics.all for number in range(self.partitions)
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        asked = admin.list_offsets({place: OffsetSpec.latest() for place in places}, request_timeout=_READY_SECONDS)
        try:
            return all(answer.result() for answer in asked.values())
        except KafkaException:
            return False
