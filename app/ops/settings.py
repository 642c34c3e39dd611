"""All settings in one class, read from the environment (`SAGA_…`) and checked before anything starts."""

import re
import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from app.ops.kafka_settings import KafkaSettings, WrongSetting

__all__ = ["Settings", "WrongSetting", "load"]

PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
Compression = Annotated[str, Field(pattern="^(none|gzip|snappy|lz4|zstd)$")]


class Settings(KafkaSettings):
    """The settings of a pod. Times are in seconds."""

    topic_prefix: str = Field("", description="prefix of every topic name and of the group name")
    group: str = Field("saga-orchestrator", description="consumer group that all pods share")
    instance_id: str = Field(
        default_factory=socket.gethostname,
        description="name of this pod, unique and the same after a restart: transactional ids follow from it",
    )
    state_dir: Path = Field(
        Path(".state"), description="folder of the local state; rebuilt from the changelog when it is lost"
    )
    session_timeout: float = Field(
        45.0, ge=1, le=1800, description="seconds without a heartbeat after which a pod's partitions go to other pods"
    )
    transaction_timeout: float = Field(
        15.0, ge=1, le=900, description="seconds after which the broker aborts an open transaction"
    )
    poll_timeout: float = Field(
        120.0, ge=1, le=86400, description="seconds between two polls after which a pod loses its partitions"
    )
    step_timeout: float | None = Field(
        None, gt=0, le=86400 * 365, description="seconds until a command times out; overrides the saga's definition"
    )
    step_attempts: int | None = Field(
        None, ge=1, le=1000, description="attempts of each step; overrides the saga's definition"
    )
    definition: str = Field("order", description="saga to run, one of those in `topologies/`")
    step_limit: int = Field(
        100_000,
        ge=1,
        description="commands of a step that a partition may have in flight; further sagas are queued",
    )
    deadline: float | None = Field(
        None,
        gt=0,
        le=86400 * 3650,
        description="seconds after which an unfinished saga rolls back; overrides the saga's definition",
    )
    retention: float | None = Field(
        None,
        ge=0,
        le=86400 * 3650,
        description="seconds for which an ended saga is remembered; overrides the saga's definition",
    )
    leave_on_stop: bool = Field(
        False, description="whether a pod that is told to stop hands its partitions over at once, and not at its return"
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="port of the Prometheus endpoint; 0: no endpoint")
    metrics_host: str = Field("0.0.0.0", description="address that the Prometheus endpoint listens on")  # noqa: S104
    min_replication: int = Field(
        1, ge=1, le=100, description="replication factor that every topic must have at least; 3 in production"
    )
    compression: Compression = Field(
        "lz4", description="compression of produced records: none, gzip, snappy, lz4, zstd"
    )
    open_transactions: int = Field(2, ge=1, le=64, description="transactions that a pod may have open at the same time")
    batch_records: int = Field(4000, ge=1, le=100_000, description="most input records in one transaction")
    traces: bool = Field(
        False, description="give every command and outcome a traceparent that names its own span, for `saga traces`"
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severe log level that is written"
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
        """The name of the consumer group on the broker, with the prefix."""
        return self.topic_prefix + self.group


def load(**given: object) -> Settings:
    """The settings from the environment, overridden by `given` ones that are not None. Raises WrongSetting."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "SAGA_" + "_".join(str(part) for part in first["loc"]).upper()
        raise WrongSetting(f"{name} is wrong: {first['msg']}") from error
    if not settings.transaction_timeout < settings.session_timeout < settings.poll_timeout:
        raise WrongSetting(
            "set SAGA_TRANSACTION_TIMEOUT < SAGA_SESSION_TIMEOUT < SAGA_POLL_TIMEOUT, so that a lost pod's transaction "
            "ends before another pod takes over its partitions"
        )
    settings.refuse_contradictions()
    return settings


def changed_settings(settings: Settings) -> dict[str, str]:
    """The settings that are not the defaults, as text; of files only the names are in them, never the contents."""
    return {
        name: str(value)
        for name, field in Settings.model_fields.items()
        if (value := getattr(settings, name)) != field.default
    }
