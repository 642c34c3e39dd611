"""`make bench`: the product beside its peers, on one Kafka of its own."""

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
from tests.benchmarks.figures import Run
from tests.benchmarks.lives import starts
from tests.benchmarks.peers import PRODUCT, STOCK, TIMELESS, TUNED, Peer, driver, kafka_streams, own_driver
from tests.benchmarks.report import write
from tests.benchmarks.rounds import Ground, Plan, play
from tests.benchmarks.scale import scale
from tests.benchmarks.site import PARTITIONS
from tests.benchmarks.table import compared, grown, plain, verdict


class Part(StrEnum):
    """What can be measured alone."""

    DRAIN = "drain"
    CLOSED = "closed"
    LATENCY = "latency"
    STARTS = "starts"  # with many sagas in the state
    SCALE = "scale"  # of the product alone
    TIMERS = "timers"  # what it costs to watch the time: a drain with and without


_USUAL = (Part.DRAIN, Part.CLOSED, Part.LATENCY, Part.STARTS, Part.SCALE)


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each orchestrator is measured.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="One small round: shows that it works, no more.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="Measure this part alone; may be given again.")] = None,
    live: Annotated[int, typer.Option(min=1, help="Sagas in the state: at a start, and at the most.")] = 100_000,
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
    report: Annotated[Path | None, typer.Option(help="Write a report with a picture to this folder, too.")] = None,
) -> None:
    """Measure the product beside its peers, and how its costs grow."""
    parts = set(only or _USUAL)
    others = [PRODUCT, TIMELESS] if parts == {Part.TIMERS} else _peers(peers)
    plan = _plan(rounds, parts, quick=quick)
    try:
        runs, loader = _measure(plan, parts, others, peers, 3_000 if quick else live)
    except DevKafkaError as error:
        sys.exit(f"bench: {error}")
    names, circumstances = [peer.name for peer in others], _circumstances(loader)
    _show(runs, names, circumstances)
    if report is not None:
        write(report, circumstances, runs, names)
    if json_file is not None:
        about = {"circumstances": circumstances, "plan": asdict(plan)}
        json_file.write_text(json.dumps({**about, "runs": [asdict(run) for run in runs]}, indent=1) + "\n", "utf-8")
    sys.exit(any(run.wrong for run in runs))


def _measure(
    plan: Plan, parts: Set[Part], peers: Sequence[Peer], folder: Path | None, live: int
) -> tuple[Sequence[Run], str]:
    """All runs, and the name of the driver."""
    with LocalKafka(profile=Profile.BENCH, say=_say) as kafka, tempfile.TemporaryDirectory() as home:
        broker = kafka.brokers[0]
        ground = Ground(kafka.bootstrap, broker.directory / DATA, Path(home))
        loader = driver(folder, broker.pid)
        _say(_circumstances(loader.name))
        runs = list(play(plan, peers, loader, ground, _say)) if plan.steady else []
        if Part.STARTS in parts:
            runs += starts(plan.rounds, peers, ground, live, _say)
        if Part.SCALE in parts:
            runs += scale(own_driver(broker.pid), ground, live, _say)
        return runs, loader.name


def _plan(rounds: int, parts: Set[Part], *, quick: bool) -> Plan:
    rates = ((100, 3), (5, 4)) if quick else ((1_000, 10), (100, 10), (5, 16))
    count = 3_000 if quick else 12_000
    return Plan(
        rounds=1 if quick else rounds,
        warm_up_share=0.25 if quick else 1.0,
        drain=count if parts & {Part.DRAIN, Part.TIMERS} else 0,
        closed=count if Part.CLOSED in parts else 0,
        in_flight=500 if quick else 2_000,
        rates=rates if Part.LATENCY in parts else (),
    )


def _show(runs: Sequence[Run], peers: Sequence[str], circumstances: str) -> None:
    beside, sizes = [run for run in runs if not run.axis], [run for run in runs if run.axis]
    print(f"\n{circumstances}\n")
    if beside:
        print(plain(compared(beside, peers)), end="\n\n")
    if any("drain: sagas/s" in run.figures for run in beside):
        print(*(verdict(runs, peers[0], other, "drain: sagas/s") for other in peers[1:]), sep="\n", end="\n\n")
    if sizes:
        print(plain(grown(sizes)), end="\n\n")
    for run in runs:
        for what in run.wrong:
            print(f"WRONG, round {run.round}, {run.peer}: {what.splitlines()[0]}")


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
