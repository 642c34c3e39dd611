"""The index of who waits for the time."""

import random

from app.engine.timers import Timers, bucket

EVER = 10**15


def watching() -> Timers:
    """Nobody waits yet, and everybody who will is watched."""
    timers = Timers()
    timers.extend((), EVER)
    return timers


def take(timers: Timers, until_ms: int, most: int = 10) -> list[tuple[int, bytes]]:
    """Up to so many that are due by then."""
    taken: list[tuple[int, bytes]] = []
    while len(taken) < most and (one := timers.take(until_ms)) is not None:
        taken.append(one)
    return taken


def soonest(timers: Timers) -> int | None:
    """When the first one is due."""
    timers.settle(EVER)
    return timers.next_ms()


def waiting(**due: int) -> Timers:
    """Keys by name, each with its due time."""
    timers = watching()
    for key, due_ms in due.items():
        timers.note(key.encode(), due_ms)
    return timers


def test_nothing_waits_at_first() -> None:
    """There is no next time, and nothing to take."""
    timers = watching()
    assert (len(timers), soonest(timers), take(timers, EVER)) == (0, None, [])


def test_the_earliest_come_first() -> None:
    """They are taken by due time, whatever the order in which they were noted."""
    timers = waiting(c=30, a=10, b=20)
    assert soonest(timers) == 10
    assert take(timers, 25, 10) == [(10, b"a"), (20, b"b")]
    assert soonest(timers) == 30


def test_the_due_time_itself_is_due() -> None:
    """A key is due at its time, not a millisecond before."""
    timers = waiting(a=10)
    assert take(timers, 9, 10) == []
    assert take(timers, 10, 10) == [(10, b"a")]


def test_so_many_are_taken_and_the_rest_stays() -> None:
    """A bound on how many are taken loses none."""
    timers = waiting(a=1, b=2, c=3)
    assert take(timers, 5, 2) == [(1, b"a"), (2, b"b")]
    assert take(timers, 5, 2) == [(3, b"c")]
    assert len(timers) == 0


def test_only_the_last_time_of_a_key_counts() -> None:
    """A key that waits for another time now is not due at the former one."""
    timers = waiting(a=10)
    timers.note(b"a", 50)
    assert soonest(timers) == 50
    assert take(timers, 49, 10) == []
    timers.note(b"a", 20)
    assert take(timers, 60, 10) == [(20, b"a")]
    assert take(timers, 60, 10) == []


def test_a_key_that_waits_no_more_is_never_due() -> None:
    """A finished saga wakes nobody."""
    timers = waiting(a=10, b=20)
    timers.note(b"a", None)
    timers.note(b"never seen", None)
    assert soonest(timers) == 20
    assert take(timers, 100, 10) == [(20, b"b")]


def test_a_time_that_comes_back_is_due_once() -> None:
    """Noted, overtaken and noted again, a time counts as one."""
    timers = waiting(a=10)
    timers.note(b"a", 20)
    timers.note(b"a", 10)
    assert take(timers, 100, 10) == [(10, b"a")]
    assert take(timers, 100, 10) == []


def test_finished_sagas_leave_nothing_in_memory() -> None:
    """However long the time-outs are, memory follows the sagas that wait, not all there ever were."""
    timers = watching()
    for index in range(20_000):
        timers.note(b"%d" % index, 10**13 + index)
        timers.note(b"%d" % index, None)
    assert len(timers) == 0
    assert len(timers._heap) < 2_000


def test_it_agrees_with_a_plain_table() -> None:
    """Random notes and takes give what a look through all of them would."""
    chance, timers, table = random.Random(5), watching(), dict[bytes, int]()
    for now in range(3_000):
        key = b"%d" % chance.randrange(200)
        due = chance.choice((None, now + chance.randrange(300)))
        timers.note(key, due)
        table.pop(key, None)
        if due is not None:
            table[key] = due
        if now % 7 == 0:
            taken = take(timers, now, 3)
            expected = sorted((due, key) for key, due in table.items() if due <= now)[:3]
            assert taken == expected
            for _, key in taken:
                del table[key]
        assert soonest(timers) == min(table.values(), default=None)
        assert len(timers) == len(table)


def test_what_is_far_away_is_not_watched() -> None:
    """It costs no memory until it comes near; what moves away from near is let go."""
    timers = Timers()
    timers.extend((), 100_000)
    timers.note(b"far", bucket(300_000))
    timers.note(b"near", 90_000)
    assert len(timers) == 1
    timers.note(b"near", bucket(300_000))
    assert (len(timers), soonest(timers)) == (0, None)


def test_what_moves_within_a_bucket_that_was_looked_at_stays() -> None:
    """Its entry in the index lies behind: nobody would look for it again."""
    timers = Timers()
    timers.extend([(90_000, b"a")], 100_000)
    timers.note(b"a", 110_000)
    assert take(timers, 120_000) == [(110_000, b"a")]


def test_what_was_noted_is_not_overtaken_by_an_older_entry() -> None:
    """The index has hints of times that have moved since; the one in memory is what is so."""
    timers = Timers()
    timers.extend((), 100_000)
    timers.note(b"a", 70_000)
    timers.extend([(150_000, b"a"), (160_000, b"b")], 200_000)
    assert take(timers, 200_000) == [(70_000, b"a"), (160_000, b"b")]


def test_a_time_that_moved_is_not_taken_for_due() -> None:
    """Until it is settled an old time may be named; then it is known to be none, however often it has moved."""
    timers = waiting(a=10)
    for due in (50, 30, 40, 20):
        timers.note(b"a", due)
    assert timers.next_ms() == 10
    timers.settle(9)
    assert timers.next_ms() == 10
    timers.settle(15)
    assert timers.next_ms() == 20
    assert take(timers, 100) == [(20, b"a")]
    assert (len(timers), soonest(timers)) == (0, None)
