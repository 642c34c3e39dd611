"""`saga dead-letters`: list, show and replay."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.operators.brokers import Brokers, Deadline
from app.operators.dead_letters import letter_output, letter_reader
from app.operators.dead_letters.letter import DeadLetter
from app.operators.dead_letters.redrive import Redrive
from app.operators.dead_letters.replay_plan import Plan, plan
from app.operators.dead_letters.selection import Filters, headers_named, position_of, time_of
from app.operators.options import (
    FAILED,
    AsJson,
    Operator,
    ProgressWait,
    load_cluster,
    login,
    plain_errors,
    saga_of,
    say,
)
from app.ops.cluster_options import Bootstrap, Prefix
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.invalid_record import InvalidRecord
from app.wire.topics import Topics

app = typer.Typer(no_args_is_help=True, help="Records that no saga could take in: list them, show one, replay them.")

_LIST, _REPLAY = 100, 1_000
Reason = Annotated[str | None, typer.Option(help="The code: malformed, conflict, unknown_order, ...")]
Origin = Annotated[str | None, typer.Option("--topic", help="The topic that they came from.")]
Since = Annotated[str | None, typer.Option(help="Dead since this time: RFC 3339, or so long ago, like 2h.")]
Until = Annotated[str | None, typer.Option(help="Dead before this time.")]
Header = Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a header of the record; may be repeated.")]
Order = Annotated[str | None, typer.Option(help="Order id: the record's key.")]


@app.command("list")
def list_letters(
    reason: Reason = None,
    topic: Origin = None,
    since: Since = None,
    until: Until = None,
    header: Header = None,
    order: Order = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = _LIST,
    as_json: AsJson = False,
    wait: ProgressWait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """List dead letters, the oldest first, without their contents."""
    with plain_errors():
        cluster = load_cluster(bootstrap, prefix)
        filters = _filters(cluster, reason, topic, (since, until), header, order)
        found = letter_reader.matching(cluster, filters, limit, wait, values=False)
    _list(found.letters, as_json=as_json)
    hidden = found.matched - len(found.letters)
    say(f"dead letters: {found.matched:,}" + (f", {hidden:,} older ones not shown: see --limit" if hidden else ""))
    if found.unread:
        say(f"error: {_unread(found.unread)}: try again")
    raise typer.Exit(FAILED if found.unread else 0)


@app.command("show")
def show_letter(
    position: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as listed.")],
    raw: Annotated[Path | None, typer.Option(help="Save the value as it came to this file, which must be new.")] = None,
    wait: ProgressWait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show a dead letter with its headers and its value, made safe for a terminal."""
    with plain_errors():
        (letter,) = letter_reader.at(load_cluster(bootstrap, prefix), [position_of(position)], wait)
        if raw is not None:
            _save(letter, raw)
    if raw is None:
        for line in letter_output.whole(letter):
            typer.echo(line)
    else:
        say(f"{letter.size} bytes saved to {raw}" + (": only the beginning" if letter.truncated else ""))


@app.command("replay")
def replay_letters(
    context: typer.Context,
    positions: Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET, as listed.")] = None,
    reason: Reason = None,
    topic: Origin = None,
    since: Since = None,
    until: Until = None,
    header: Header = None,
    order: Order = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Refuse to replay more than so many.")] = _REPLAY,
    everything: Annotated[bool, typer.Option("--all", help="Replay all, when there are no filters.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write the records; else only say what would be written.")] = False,
    operator: Operator = None,
    wait: ProgressWait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Write dead letters to the topics that they came from again, each at most once.

    Without --yes nothing is written.

    It may be repeated: those that were replayed are found, and not replayed twice.

    A replay that became a dead letter too is replayed only when its position is given.

    Needs the permissions of the role `redrive`.
    """
    with plain_errors():
        cluster = load_cluster(bootstrap, prefix)
        filters = _filters(cluster, reason, topic, (since, until), header, order)
        letters = _selected(cluster, positions or [], filters, limit, wait, everything=everything)
        redrive = Redrive(cluster, operator if operator is not None else login()) if yes and letters else None
        topics, again = Topics(saga_of(context), cluster.prefix), bool(positions)
        plans = _replay(cluster, topics, letters, redrive, wait, again=again) if letters else []
    _sum_up(plans, sent=yes)
    raise typer.Exit(FAILED if any(each.refusal for each in plans) else 0)


def _replay(
    cluster: KafkaCluster,
    topics: Topics,
    letters: Sequence[DeadLetter],
    redrive: Redrive | None,
    wait: float,
    *,
    again: bool,
) -> list[Plan]:
    """Prints what becomes of each dead letter, and writes the records if there is a producer."""
    if redrive is not None:
        redrive.begin()  # before the targets are read, so that no other run can write there afterwards
    plans = plan(cluster, Brokers(cluster, Deadline(wait)), topics.inputs, letters, wait, again=again)
    _print_plans([each for each in plans if redrive is None or not each.sends], "would send")
    if redrive is not None:
        redrive.send(plans, lambda sent: _print_plans(sent, "sent"))
    return plans


def _filters(
    cluster: KafkaCluster,
    reason: str | None,
    topic: str | None,
    times: tuple[str | None, str | None],
    header: list[str] | None,
    order: str | None,
) -> Filters:
    now_ms = time.time_ns() // 1_000_000
    since_ms, until_ms = (None if text is None else time_of(text, now_ms) for text in times)
    if topic is not None and not topic.startswith(cluster.prefix):
        topic = cluster.full(topic)
    return Filters(reason, topic, since_ms, until_ms, order, headers_named(header or ()))


def _selected(
    cluster: KafkaCluster, positions: Sequence[str], filters: Filters, limit: int, wait: float, *, everything: bool
) -> list[DeadLetter]:
    """Those at the positions that match the filters too; without positions, all that match."""
    if positions:
        found = letter_reader.at(cluster, [position_of(text) for text in positions], wait)
        return [letter for letter in found if filters.match(letter)]
    if not filters.any and not everything:
        raise InvalidRecord("invalid", "give positions or filters, or --all")
    matching = letter_reader.matching(cluster, filters, limit, wait, values=True)
    if matching.matched > limit:
        raise CommandFailed(f"{matching.matched:,} dead letters match: narrow the filters, or raise --limit")
    if matching.unread:
        raise CommandFailed(f"{_unread(matching.unread)}: nothing is replayed, try again")
    return matching.letters


def _list(letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    if letters and not as_json and sys.stdout.isatty():
        letter_output.table(letters, Console())
        return
    for letter in letters:
        typer.echo(letter_output.json_line(letter) if as_json else "\t".join(letter_output.cells(letter)))


def _print_plans(plans: Sequence[Plan], verb: str) -> None:
    for each in plans:
        typer.echo(letter_output.plan_line(each, verb))


def _sum_up(plans: Sequence[Plan], *, sent: bool) -> None:
    sends = sum(each.sends for each in plans)
    done, refused = sum(bool(each.done) for each in plans), sum(bool(each.refusal) for each in plans)
    verb = "replayed" if sent else "would be replayed (write them with --yes)"
    say(f"{verb}: {sends:,}, replayed already: {done:,}, refused: {refused:,}")


def _unread(partitions: Sequence[int]) -> str:
    numbers = ", ".join(map(str, partitions))
    return f"partition {numbers} of saga.dead-letters was not read to its end (open transaction?)"


def _save(letter: DeadLetter, file: Path) -> None:
    """Writes the value to a new file that only this user can read: it may hold personal data."""
    if letter.value is None:
        raise CommandFailed("this dead letter has no value")
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(letter.value)
    except OSError as error:
        raise CommandFailed(f"{file} can't be written: {error.strerror}") from error
