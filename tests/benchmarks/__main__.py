"""`make bench`: measures the product beside its peers, on one Kafka of its own."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence, Set
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import confluent_kafka
import typer

from app.devkafka import DevKafkaError, LocalKafka, Profile
from app.devkafka.lock import KAFKA_VERSION
from app.devkafka.properties import DATA
from tests.benchmarks.measurement import Bench, Plan, measure_rounds
from tests.benchmarks.peers import (
    PRODUCT,
    SCRAPED,
    STOCK,
    TRACED,
    TUNED,
    WITHOUT_TIMERS,
    Peer,
    driver,
    kafka_streams,
    own_driver,
)
from tests.benchmarks.report import write
from tests.benchmarks.scale import measure_sizes
from tests.benchmarks.startup import measure_starts
from tests.benchmarks.stats import Run
from tests.benchmarks.table import comparison, growth, plain_text, ratio_sentence
from tests.benchmarks.workspace import PARTITIONS


class Part(StrEnum):
    """A part of the benchmark that can be measured alone."""

    DRAIN = "drain"
    CLOSED = "closed"
    LATENCY = "latency"
    STARTS = "starts"  # with many active sagas in the state
    SCALE = "scale"  # the product only
    TIMERS = "timers"  # the cost of timers: a drain with and without them
    TELEMETRY = "telemetry"  # the cost of being seen: a drain scraped each second, one with traces, one without


_OWN = {Part.TIMERS: [PRODUCT, WITHOUT_TIMERS], Part.TELEMETRY: [PRODUCT, SCRAPED, TRACED]}
_USUAL = (Part.DRAIN, Part.CLOSED, Part.LATENCY, Part.STARTS, Part.SCALE)


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each orchestrator is measured.")] = 2,
    quick: Annotated[
        bool, typer.Option("--quick", help="One small round: only shows that the benchmark works.")
    ] = False,
    only: Annotated[list[Part] | None, typer.Option(help="Measure only this part; may be repeated.")] = None,
    live: Annotated[
        int, typer.Option(min=1, help="Active sagas in the state: at the starts, and at the largest size.")
    ] = 100_000,
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
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with a chart to this folder.")] = None,
) -> None:
    """Measure the product beside its peers, and how its costs grow."""
    parts = set(only or _USUAL)
    others = _peers(parts, peers)
    plan = _plan(rounds, parts, quick=quick)
    try:
        runs, loader = _measure(plan, parts, others, peers, 3_000 if quick else live)
    except DevKafkaError as error:
        sys.exit(f"bench: {error}")
    names, setup = [peer.name for peer in others], _setup(loader)
    _show(runs, names, setup)
    if report is not None:
        write(report, setup, runs, names)
    if json_file is not None:
        about = {"setup": setup, "plan": asdict(plan)}
        json_file.write_text(json.dumps({**about, "runs": [asdict(run) for run in runs]}, indent=1) + "\n", "utf-8")
    sys.exit(any(run.errors for run in runs))


def _measure(
    plan: Plan, parts: Set[Part], peers: Sequence[Peer], folder: Path | None, live: int
) -> tuple[Sequence[Run], str]:
    """All runs, and the name of the driver."""
    with LocalKafka(profile=Profile.BENCH, say=_say) as kafka, tempfile.TemporaryDirectory() as home:
        broker = kafka.brokers[0]
        bench = Bench(kafka.bootstrap, broker.directory / DATA, Path(home))
        loader = driver(folder, broker.pid)
        _say(_setup(loader.name))
        runs = list(measure_rounds(plan, peers, loader, bench, _say)) if plan.steady else []
        if Part.STARTS in parts:
            runs += measure_starts(plan.rounds, peers, bench, live, _say)
        if Part.SCALE in parts:
            runs += measure_sizes(own_driver(broker.pid), bench, live, _say)
        return runs, loader.name


def _plan(rounds: int, parts: Set[Part], *, quick: bool) -> Plan:
    rates = ((100, 3), (5, 4)) if quick else ((1_000, 10), (100, 10), (5, 16))
    count = 3_000 if quick else 12_000
    return Plan(
        rounds=1 if quick else rounds,
        warm_up_share=0.25 if quick else 1.0,
        drain=count if parts & {Part.DRAIN, *_OWN} else 0,
        closed=count if Part.CLOSED in parts else 0,
        in_flight=500 if quick else 2_000,
        rates=rates if Part.LATENCY in parts else (),
    )


def _show(runs: Sequence[Run], peers: Sequence[str], setup: str) -> None:
    compared, sizes = [run for run in runs if not run.axis], [run for run in runs if run.axis]
    print(f"\n{setup}\n")
    if compared:
        print(plain_text(comparison(compared, peers)), end="\n\n")
    if any("drain: sagas/s" in run.figures for run in compared):
        print(*(ratio_sentence(runs, peers[0], other, "drain: sagas/s") for other in peers[1:]), sep="\n", end="\n\n")
    if sizes:
        print(plain_text(growth(sizes)), end="\n\n")
    for run in runs:
        for error in run.errors:
            print(f"ERROR, round {run.round}, {run.peer}: {error.splitlines()[0]}")


def _peers(parts: Set[Part], folder: Path | None) -> list[Peer]:
    for part, own in _OWN.items():
        if parts == {part}:
            return own
    java = kafka_streams(folder) if folder else None
    if folder and java is None:
        _say(f"Kafka Streams is not measured: build it in {folder} with `mvn -q package`")
    return [PRODUCT, STOCK, TUNED, *([java] if java else [])]


def _setup(driver_name: str) -> str:
    clients = f"quixstreams {version('quixstreams')}, librdkafka {confluent_kafka.libversion()[0]}"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    load = f"{PARTITIONS} partitions, exactly-once, 10 % declined, {driver_name}"
    return f"Kafka {KAFKA_VERSION}, one broker; {clients}; {machine}; {load}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
