"""The judge finds out what is wrong: each bug that is put into what takes records breaks the law that it should."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.engine.turn import KeyState, Record, Turns
from app.wire.writer import ERRORS, Out
from tests.fuzz.conftest import Court
from tests.fuzz.judge import Judge, Kind
from tests.fuzz.sagas import record
from tests.fuzz.world import NOBODY, World
from topologies.order import ORDER

Outs = list[Out]
Spoil = Callable[[Outs, KeyState], Outs]


def spoiled(spoil: Spoil) -> type[Turns]:
    """Turns of which the result is spoiled."""

    class Spoiled(Turns):
        """Sound but for the result."""

        def take(self, topic: str, record: Record, state: KeyState, at_ms: int) -> Outs:
            """All that a record leads to, or more, or less."""
            return spoil(super().take(topic, record, state, at_ms), state)

    return Spoiled


def on(topic: str, change: Callable[[Out], Out]) -> Spoil:
    """Changes each record for a topic."""
    return lambda outs, _: [change(out) if out.topic == topic else out for out in outs]


def is_letter(outs: Outs) -> bool:
    """Whether this is a dead letter."""
    return bool(outs) and outs[0].topic == "saga.dead-letters"


def touching(outs: Outs, state: KeyState) -> Outs:
    """Writes the state whatever came of the record."""
    before = state.get()
    if before is not None:
        state.set(before)
    return outs


def letters_touching(outs: Outs, state: KeyState) -> Outs:
    """Writes the state before it finds that the record is bad."""
    return touching(outs, state) if is_letter(outs) else outs


def duplicates_touching(outs: Outs, state: KeyState) -> Outs:
    """Writes the state of what leaves no record."""
    return outs or touching(outs, state)


def greedy(outs: Outs, state: KeyState) -> Outs:
    """Takes room for a command before it finds that the record is bad."""
    if is_letter(outs):
        state.gate.has_room("payment")
    return outs


def forgetful(outs: Outs, state: KeyState) -> Outs:
    """Deletes what it decided on."""
    if outs and outs[0].topic == "saga.events":
        state.forget()
    return outs


CUT = ((f"{ERRORS}truncated", b"true"), (f"{ERRORS}sha256", b"0"))
LETTERS, STRAYS, COMMANDS = "saga.dead-letters", "order.requests", "payment.commands"
BUGS: tuple[tuple[str, Spoil], ...] = (
    ("a dead letter changes no state", letters_touching),
    ("a dead letter takes no room", greedy),
    ("what leaves no record changes no state", duplicates_touching),
    ("the state is the fold of the events, and written once", forgetful),
    ("one record leads to one, and to nothing beside it", lambda outs, _: outs * 2 if is_letter(outs) else outs),
    ("a dead letter is the record as it came", on(LETTERS, lambda out: out._replace(value=b""))),
    ("so are its headers", on(LETTERS, lambda out: out._replace(headers=[("x", b""), *out.headers]))),
    ("a dead letter stays in its partition", on(LETTERS, lambda out: out._replace(partition=None))),
    ("it says if it was cut, and only then", on(LETTERS, lambda out: out._replace(headers=[*out.headers, *CUT]))),
    ("a stray is sent to its own partition", on(STRAYS, lambda out: out._replace(partition=5))),
    ("a stray is sent on as it is", on(STRAYS, lambda out: out._replace(headers=()))),
    ("a decision begins with its events", lambda outs, _: outs if is_letter(outs) else outs[1:] + outs[:1]),
    ("all of it is of one order", on(COMMANDS, lambda out: out._replace(key=b"x"))),
    ("payment.charge is as its schema says", on(COMMANDS, lambda out: out._replace(value=b"{}"))),
    (
        "the headers of payment.charge are as",
        on(COMMANDS, lambda out: out._replace(headers=[*out.headers[:4], out.headers[2]])),
    ),
    ("too large to be sent", on(COMMANDS, lambda out: out._replace(value=b" " * 1_000_000))),
)


def trials(world: World) -> Iterator[tuple[str, Record]]:
    """All good messages, the first of them in a wrong partition too, and each again with its end cut off."""
    for order_id in (NOBODY, *world.sagas):
        for said in world.told(order_id):
            one = record(order_id, said)
            yield said.topic, one
            yield said.topic, replace(one, value=(one.value or b"")[:-1])
            if order_id == NOBODY:
                yield said.topic, replace(one, origin=replace(one.origin, partition=1 - one.origin.partition))


def judged(world: World, judge: Judge, *, by_schema: bool) -> set[Kind]:
    """What came of all trials; each finds the sagas as they were first."""
    seen: set[Kind] = set()
    for topic, one in trials(world):
        seen.add(judge.judge(world.take(topic, one), by_schema=by_schema))
        world.reset()
    return seen


def test_good_messages_break_no_law(courts: tuple[Court, ...]) -> None:
    """Whatever a saga can be told, wherever it is: every kind of result comes up, and none is wrong."""
    for world, judge in courts:
        assert judged(world, judge, by_schema=False) == {"dead letter", "sent on", "nothing", "decided"}


@pytest.mark.parametrize(("law", "bug"), BUGS)
def test_a_bug_is_found_out(tmp_path: Path, law: str, bug: Spoil) -> None:
    """With it, some good or damaged message breaks just that law."""
    with World(ORDER, tmp_path, spoiled(bug)) as world, pytest.raises(AssertionError, match=law):
        judged(world, Judge(ORDER), by_schema=True)
