"""Services whose process dies: whenever that is, every command is answered, and the books are right."""

import signal
from collections import Counter
from pathlib import Path
from random import Random
from subprocess import Popen

import pytest

from app.samples.behaviour import Behaviour
from app.samples.reservation import RESERVATION
from tests.samples.commands import Direction, Record, command
from tests.samples.wire import PATIENCE, Seen, Wire, ended, kept, start

pytestmark = pytest.mark.broker
SEED = 20_260_102
ORDERS = 600
WAYS: tuple[tuple[Direction, ...], ...] = (("do",), ("do",), ("do", "undo"), ("undo", "do"), ("undo",))


def stream(rng: Random) -> list[Record]:
    """Dos and undos of many orders, some undos before their dos or without one, and some commands a second time."""
    commands = [command(f"o-{number}", direction=way) for number in range(ORDERS) for way in rng.choice(WAYS)]
    for copy in rng.choices(commands, k=ORDERS // 5):
        commands.insert(rng.randrange(len(commands)), copy)
    return commands


def check(replies: list[Seen], commands: list[Record], ledger: Path) -> None:
    """Every copy of a command has a reply, all replies to one are equal, and the books hold what the replies say."""
    answered = Counter(reply.header("ce_causationid") for reply in replies)
    assert not Counter(each.id for each in commands) - answered
    contents = {(reply.header("ce_causationid"), reply.value, reply.headers) for reply in replies}
    assert len(contents) == len(answered)
    held = {reply.key for reply in replies if reply.header("ce_type") == RESERVATION.done}
    held -= {reply.key for reply in replies if reply.header("ce_type") == RESERVATION.undone}
    assert kept(ledger) == {"A": 5 * len(held), "B": len(held)}
    assert 0 < len(held) < ORDERS


def test_a_killed_service_loses_nothing(wire: Wire, tmp_path: Path) -> None:
    """SIGKILL in the middle of a stream, again and again, each time after a few more answers."""
    rng = Random(SEED)
    commands, ledger = stream(rng), tmp_path / "r"
    print(f"seed {SEED}")  # noqa: T201 - pytest shows it with a failure
    wire.send("reservation.commands", commands)
    kills, total = 0, 0
    while kills < 4:
        with (
            ended(start(wire, RESERVATION, ledger, "--delay", "0-3000")) as process,
            wire.following("reservation.replies") as one,
        ):
            for _ in range(total + rng.randrange(1, 80)):
                one()
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE) == -signal.SIGKILL
        kills, total = kills + 1, len(wire.everything("reservation.replies"))
    assert wire.committed(RESERVATION) < len(commands)
    with ended(start(wire, RESERVATION, ledger)) as process:
        wire.read("reservation.replies", lambda seen: _all_answered(seen, commands))
        process.terminate()
        assert process.wait(PATIENCE) == 0
    check(wire.everything("reservation.replies"), commands, ledger)
    assert wire.committed(RESERVATION) == len(commands)


def test_a_service_that_crashes_by_chance_gets_on(wire: Wire, tmp_path: Path) -> None:
    """It ends as if killed, once for each command drawn for it; started again it gets past the place."""
    commands, ledger = stream(Random(SEED)), tmp_path / "r"
    whims = {each.id: Behaviour(seed=8, crash=0.004).whim(each.id, _way(each)) for each in commands}
    crashing = [id for id, whim in whims.items() if whim.crash is not None]
    assert len({whims[id].crash for id in crashing}) == 2
    wire.send("reservation.commands", commands)
    for _ in crashing:
        with ended(start(wire, RESERVATION, ledger, "--seed", "8", "--crash", "0.004")) as process:
            assert process.wait(PATIENCE) == 137
    with ended(start(wire, RESERVATION, ledger, "--seed", "8", "--crash", "0.004")) as process:
        wire.read("reservation.replies", lambda seen: _all_answered(seen, commands))
        process.terminate()
        assert process.wait(PATIENCE) == 0
    check(wire.everything("reservation.replies"), commands, ledger)


def test_two_processes_share_the_work(wire: Wire, tmp_path: Path) -> None:
    """A second process takes partitions over while the first is at work; they share one ledger, and it is right."""
    commands, ledger = stream(Random(SEED)), tmp_path / "r"
    options = ("--delay", "0-200")
    with ended(start(wire, RESERVATION, ledger, *options)) as first:
        wire.send("reservation.commands", commands[:300])
        wire.replies(RESERVATION, 100)
        with ended(start(wire, RESERVATION, ledger, *options, "--instance", "2")) as second:
            wire.handed_over(RESERVATION, "2")
            wire.send("reservation.commands", commands[300:])
            wire.read("reservation.replies", lambda seen: _all_answered(seen, commands))
            for process in (first, second):
                process.terminate()
                assert process.wait(PATIENCE) == 0
            assert all("Commands answered: 0\n" not in _said(process) for process in (first, second))
    check(wire.everything("reservation.replies"), commands, ledger)


def test_a_second_process_of_the_same_name_takes_the_place(wire: Wire, tmp_path: Path) -> None:
    """The first one ends, and says in a sentence why."""
    with ended(start(wire, RESERVATION, tmp_path / "r")) as first:
        wire.send("reservation.commands", [command("o-1")])
        wire.replies(RESERVATION, 1)
        with ended(start(wire, RESERVATION, tmp_path / "r")):
            said = first.communicate(timeout=PATIENCE)[1]
    assert first.returncode == 1
    assert "error: Kafka shut this process out (does another one run with its --instance?)" in said


def _all_answered(seen: list[Seen], commands: list[Record]) -> bool:
    if len(seen) < len(commands):
        return False
    return not Counter(each.id for each in commands) - Counter(reply.header("ce_causationid") for reply in seen)


def _said(process: "Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.read()


def _way(record: Record) -> Direction:
    return "undo" if ":undo:" in record.id else "do"
