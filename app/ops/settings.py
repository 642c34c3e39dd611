"""Settings: one table, read from the environment (`SAGA_…`), each checked before anything starts."""

import re
import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from app.ops.kafka import KafkaSettings, WrongSetting

__all__ = ["Settings", "WrongSetting", "load"]

PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
Compression = Annotated[str, Field(pattern="^(none|gzip|snappy|lz4|zstd)$")]


class Settings(KafkaSettings):
    """Everything a pod of the orchestrator can be told. Times are in seconds."""

    topic_prefix: str = Field("", description="put before every topic's name, and before the group's")
    group: str = Field("saga-orchestrator", description="consumer group that the pods share")
    instance_id: str = Field(
        default_factory=socket.gethostname,
        description="name of this pod, kept over restarts, never that of another: it fences the transactions",
    )
    state_dir: Path = Field(Path(".state"), description="folder for the local copy of the state; may be lost")
    session_timeout: float = Field(
        45.0, ge=1, le=1800, description="after so long without a sign of life a pod's partitions go to others"
    )
    transaction_timeout: float = Field(
        15.0, ge=1, le=900, description="the broker ends a transaction that is open for longer"
    )
    poll_timeout: float = Field(
        120.0, ge=1, le=86400, description="a pod whose loop hangs for so long loses its partitions"
    )
    step_timeout: float | None = Field(
        None, gt=0, le=86400 * 365, description="how long each step's answer is awaited, instead of what the saga says"
    )
    step_attempts: int | None = Field(
        None, ge=1, le=1000, description="how often each step is asked for, instead of what the saga says"
    )
    definition: str = Field("order", description="which saga is run, of those in `topologies/`")
    step_limit: int = Field(
        100_000, ge=1, description="commands of a step that a partition may have outstanding; more sagas wait in order"
    )
    deadline: float | None = Field(
        None, gt=0, le=86400 * 3650, description="how long after its start a saga goes back, instead of what it says"
    )
    remember: float | None = Field(
        None, ge=0, le=86400 * 3650, description="how long an ended saga is known, instead of what it says"
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="port for Prometheus to scrape; 0: none")
    metrics_host: str = Field("0.0.0.0", description="address on which it is scraped")  # noqa: S104
    min_replication: int = Field(1, ge=1, le=100, description="every topic must have so many replicas; 3 in production")
    compression: Compression = Field("lz4", description="of what is written: none, gzip, snappy, lz4 or zstd")
    lanes: int = Field(2, ge=1, le=64, description="transactions that may be open at a time")
    batch_records: int = Field(4000, ge=1, le=100_000, description="records in one transaction at most")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severe log line that is written"
    )

    @field_validator("topic_prefix", "group", "instance_id")
    @classmethod
    def _named(cls, value: str, info: ValidationInfo) -> str:
        allowed = PREFIX if info.field_name == "topic_prefix" else NAME
        if allowed.fullmatch(value) is None:
            raise ValueError(f"must match {allowed.pattern}")
        return value

    @property
    def group_id(self) -> str:
        """The consumer group's name on the broker."""
        return self.topic_prefix + self.group


def load(**given: object) -> Settings:
    """The settings of this process, `given` ones first. Raises WrongSetting, with one sentence."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "SAGA_" + "_".join(str(part) for part in first["loc"]).upper()
        raise WrongSetting(f"{name} is wrong: {first['msg']}") from error
    if not settings.transaction_timeout < settings.session_timeout < settings.poll_timeout:
        raise WrongSetting(
            "set SAGA_TRANSACTION_TIMEOUT < SAGA_SESSION_TIMEOUT < SAGA_POLL_TIMEOUT, so that a lost pod's transaction "
            "ends before another takes its partitions over"
        )
    settings.refuse_nonsense()
    return settings
