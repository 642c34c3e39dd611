"""`make bench`: the product beside its peers, on one Kafka of its own."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import confluent_kafka
import typer

from app.devkafka import DevKafkaError, LocalKafka, Profile
from app.devkafka.lock import KAFKA_VERSION
from tests.benchmarks.figures import Run
from tests.benchmarks.peers import PRODUCT, STOCK, TIMELESS, TUNED, Peer, driver, kafka_streams
from tests.benchmarks.rounds import Plan, play
from tests.benchmarks.site import PARTITIONS
from tests.benchmarks.table import table, verdict


class Part(StrEnum):
    """What can be measured alone."""

    DRAIN = "drain"
    LATENCY = "latency"
    TIMERS = "timers"  # what it costs to watch the time: a drain with and without


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each orchestrator is measured.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="One small round: shows that it works, no more.")] = False,
    only: Annotated[Part | None, typer.Option(help="Measure this part alone.")] = None,
    peers: Annotated[
        Path | None,
        typer.Option(
            envvar="SAGA_PEERS",
            exists=True,
            file_okay=False,
            resolve_path=True,
            help="Folder of built peers: a driver, and an orchestrator on Kafka Streams.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures there, too.")] = None,
) -> None:
    """Measure throughput and latency of the product beside its peers; about four minutes without Kafka Streams."""
    try:
        others = [PRODUCT, TIMELESS] if only is Part.TIMERS else _peers(peers)
        runs = _measure(_plan(rounds, only, quick=quick), others, peers, json_file)
    except DevKafkaError as error:
        sys.exit(f"bench: {error}")
    sys.exit(any(run.wrong for run in runs))


def _plan(rounds: int, only: Part | None, *, quick: bool) -> Plan:
    rates = ((100, 3), (5, 4)) if quick else ((100, 10), (5, 16))
    return Plan(
        rounds=1 if quick else rounds,
        warm_up_share=0.25 if quick else 1.0,
        drain=0 if only is Part.LATENCY else 3_000 if quick else 12_000,
        rates=() if only in (Part.DRAIN, Part.TIMERS) else rates,
    )


def _measure(plan: Plan, peers: Sequence[Peer], folder: Path | None, json_file: Path | None) -> Sequence[Run]:
    with LocalKafka(profile=Profile.BENCH, say=_say) as kafka, tempfile.TemporaryDirectory() as home:
        loader = driver(folder, kafka.bootstrap, kafka.brokers[0].pid)
        _say(_circumstances(loader.name))
        runs = list(play(plan, peers, loader, kafka.bootstrap, Path(home), _say))
    _report(runs, peers, loader.name)
    if json_file is not None:
        about = {"circumstances": _circumstances(loader.name), "plan": asdict(plan)}
        json_file.write_text(json.dumps({**about, "runs": [asdict(run) for run in runs]}, indent=1) + "\n", "utf-8")
    return runs


def _report(runs: Sequence[Run], peers: Sequence[Peer], loader: str) -> None:
    names = [peer.name for peer in peers]
    print(f"\n{_circumstances(loader)}\n\n{table(runs, names)}\n")
    if any("drain" in name for run in runs for name in run.figures):
        print(*(verdict(runs, names[0], other, "drain: sagas/s") for other in names[1:]), sep="\n")
    print(
        *(f"WRONG, round {run.round}, {run.peer}: {what.splitlines()[0]}" for run in runs for what in run.wrong),
        sep="\n",
    )


def _peers(folder: Path | None) -> list[Peer]:
    java = kafka_streams(folder) if folder else None
    if folder and java is None:
        _say(f"No Kafka Streams: build it in {folder} with `mvn -q package`")
    return [PRODUCT, STOCK, TUNED, *([java] if java else [])]


def _circumstances(driver_name: str) -> str:
    clients = f"quixstreams {version('quixstreams')}, librdkafka {confluent_kafka.libversion()[0]}"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    load = f"{PARTITIONS} partitions, exactly-once, 10 % declined, {driver_name}"
    return f"Kafka {KAFKA_VERSION}, one broker; {clients}; {machine}; {load}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
