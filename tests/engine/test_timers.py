"""The index of who waits for the time."""

import random

from app.engine.timers import Timers


def waiting(**due: int) -> Timers:
    """Keys by name, each with its due time."""
    timers = Timers()
    for key, due_ms in due.items():
        timers.note(key.encode(), due_ms)
    return timers


def test_nothing_waits_at_first() -> None:
    """There is no next time, and nothing to take."""
    timers = Timers()
    assert (len(timers), timers.next_ms(), timers.take(10**15, 10)) == (0, None, [])


def test_the_earliest_come_first() -> None:
    """They are taken by due time, whatever the order in which they were noted."""
    timers = waiting(c=30, a=10, b=20)
    assert timers.next_ms() == 10
    assert timers.take(25, 10) == [(10, b"a"), (20, b"b")]
    assert timers.next_ms() == 30


def test_the_due_time_itself_is_due() -> None:
    """A key is due at its time, not a millisecond before."""
    timers = waiting(a=10)
    assert timers.take(9, 10) == []
    assert timers.take(10, 10) == [(10, b"a")]


def test_so_many_are_taken_and_the_rest_stays() -> None:
    """A bound on how many are taken loses none."""
    timers = waiting(a=1, b=2, c=3)
    assert timers.take(5, 2) == [(1, b"a"), (2, b"b")]
    assert timers.take(5, 2) == [(3, b"c")]
    assert len(timers) == 0


def test_only_the_last_time_of_a_key_counts() -> None:
    """A key that waits for another time now is not due at the former one."""
    timers = waiting(a=10)
    timers.note(b"a", 50)
    assert timers.next_ms() == 50
    assert timers.take(49, 10) == []
    timers.note(b"a", 20)
    assert timers.take(60, 10) == [(20, b"a")]
    assert timers.take(60, 10) == []


def test_a_key_that_waits_no_more_is_never_due() -> None:
    """A finished saga wakes nobody."""
    timers = waiting(a=10, b=20)
    timers.note(b"a", None)
    timers.note(b"never seen", None)
    assert timers.next_ms() == 20
    assert timers.take(100, 10) == [(20, b"b")]


def test_a_time_that_comes_back_is_due_once() -> None:
    """Noted, overtaken and noted again, a time counts as one."""
    timers = waiting(a=10)
    timers.note(b"a", 20)
    timers.note(b"a", 10)
    assert timers.take(100, 10) == [(10, b"a")]
    assert timers.take(100, 10) == []


def test_finished_sagas_leave_nothing_in_memory() -> None:
    """However long the time-outs are, memory follows the sagas that wait, not all there ever were."""
    timers = Timers()
    for index in range(20_000):
        timers.note(b"%d" % index, 10**13 + index)
        timers.note(b"%d" % index, None)
    assert len(timers) == 0
    assert len(timers._heap) < 2_000


def test_it_agrees_with_a_plain_table() -> None:
    """Random notes and takes give what a look through all of them would."""
    chance, timers, table = random.Random(5), Timers(), dict[bytes, int]()
    for now in range(3_000):
        key = b"%d" % chance.randrange(200)
        due = chance.choice((None, now + chance.randrange(300)))
        timers.note(key, due)
        table.pop(key, None)
        if due is not None:
            table[key] = due
        if now % 7 == 0:
            taken = timers.take(now, 3)
            expected = sorted((due, key) for key, due in table.items() if due <= now)[:3]
            assert taken == expected
            for _, key in taken:
                del table[key]
        assert timers.next_ms() == min(table.values(), default=None)
        assert len(timers) == len(table)
