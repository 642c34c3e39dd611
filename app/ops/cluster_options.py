"""The options of every command that names the Kafka it talks to; without them the settings hold."""

from typing import Annotated

import typer

Bootstrap = Annotated[str | None, typer.Option(help="Bootstrap servers. Default: SAGA_KAFKA_BOOTSTRAP.")]
Prefix = Annotated[str | None, typer.Option(help="Prefix of every topic name. Default: SAGA_TOPIC_PREFIX.")]
