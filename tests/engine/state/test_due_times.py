"""The timers that are due soon, kept in memory."""

import random

from app.engine.state.due_times import DueTimes, bucket

FAR_FUTURE = 10**15


def empty_due_times() -> DueTimes:
    """No timer yet; every later one is in range."""
    due_times = DueTimes()
    due_times.extend((), FAR_FUTURE)
    return due_times


def take_due(due_times: DueTimes, until_ms: int, most: int = 10) -> list[tuple[int, bytes]]:
    """Takes at most so many that are due by then."""
    taken: list[tuple[int, bytes]] = []
    while len(taken) < most and (entry := due_times.take(until_ms)) is not None:
        taken.append(entry)
    return taken


def soonest(due_times: DueTimes) -> int | None:
    """The earliest due time."""
    due_times.settle(FAR_FUTURE)
    return due_times.next_ms()


def due_times_of(**due: int) -> DueTimes:
    """Keys by name, each with its due time."""
    due_times = empty_due_times()
    for key, due_ms in due.items():
        due_times.note(key.encode(), due_ms)
    return due_times


def test_there_is_no_timer_at_first() -> None:
    """There is no next time, and nothing to take."""
    due_times = empty_due_times()
    assert (len(due_times), soonest(due_times), take_due(due_times, FAR_FUTURE)) == (0, None, [])


def test_the_earliest_come_first() -> None:
    """By due time, in whatever order they were noted."""
    due_times = due_times_of(c=30, a=10, b=20)
    assert soonest(due_times) == 10
    assert take_due(due_times, 25, 10) == [(10, b"a"), (20, b"b")]
    assert soonest(due_times) == 30


def test_the_due_time_itself_is_due() -> None:
    """A key is due at its time, not a millisecond before."""
    due_times = due_times_of(a=10)
    assert take_due(due_times, 9, 10) == []
    assert take_due(due_times, 10, 10) == [(10, b"a")]


def test_a_bounded_take_leaves_the_rest() -> None:
    """A bounded take loses none."""
    due_times = due_times_of(a=1, b=2, c=3)
    assert take_due(due_times, 5, 2) == [(1, b"a"), (2, b"b")]
    assert take_due(due_times, 5, 2) == [(3, b"c")]
    assert len(due_times) == 0


def test_only_the_last_due_time_of_a_key_counts() -> None:
    """After a timer has moved, the key is not due at its former time."""
    due_times = due_times_of(a=10)
    due_times.note(b"a", 50)
    assert soonest(due_times) == 50
    assert take_due(due_times, 49, 10) == []
    due_times.note(b"a", 20)
    assert take_due(due_times, 60, 10) == [(20, b"a")]
    assert take_due(due_times, 60, 10) == []


def test_a_removed_key_is_never_due() -> None:
    """An ended saga wakes nobody."""
    due_times = due_times_of(a=10, b=20)
    due_times.note(b"a", None)
    due_times.note(b"never seen", None)
    assert soonest(due_times) == 20
    assert take_due(due_times, 100, 10) == [(20, b"b")]


def test_a_due_time_that_comes_back_is_due_once() -> None:
    """Noted, moved and noted again, a timer counts once."""
    due_times = due_times_of(a=10)
    due_times.note(b"a", 20)
    due_times.note(b"a", 10)
    assert take_due(due_times, 100, 10) == [(10, b"a")]
    assert take_due(due_times, 100, 10) == []


def test_ended_sagas_leave_nothing_in_memory() -> None:
    """However long the timeouts are, memory follows the waiting sagas, not all that ever were."""
    due_times = empty_due_times()
    for index in range(20_000):
        due_times.note(b"%d" % index, 10**13 + index)
        due_times.note(b"%d" % index, None)
    assert len(due_times) == 0
    assert len(due_times._heap) < 2_000


def test_it_agrees_with_a_plain_table() -> None:
    """Random notes and takes agree with a scan of a plain table."""
    chance, due_times, table = random.Random(5), empty_due_times(), dict[bytes, int]()
    for now in range(3_000):
        key = b"%d" % chance.randrange(200)
        due = chance.choice((None, now + chance.randrange(300)))
        due_times.note(key, due)
        table.pop(key, None)
        if due is not None:
            table[key] = due
        if now % 7 == 0:
            taken = take_due(due_times, now, 3)
            expected = sorted((due, key) for key, due in table.items() if due <= now)[:3]
            assert taken == expected
            for _, key in taken:
                del table[key]
        assert soonest(due_times) == min(table.values(), default=None)
        assert len(due_times) == len(table)


def test_a_timer_far_away_is_not_kept() -> None:
    """It takes no memory until it comes near; a timer that moves far away is dropped."""
    due_times = DueTimes()
    due_times.extend((), 100_000)
    due_times.note(b"far", bucket(300_000))
    due_times.note(b"near", 90_000)
    assert len(due_times) == 1
    due_times.note(b"near", bucket(300_000))
    assert (len(due_times), soonest(due_times)) == (0, None)


def test_a_timer_that_moves_within_a_loaded_bucket_stays() -> None:
    """Its entry in the index is behind the range: nothing would load it again."""
    due_times = DueTimes()
    due_times.extend([(90_000, b"a")], 100_000)
    due_times.note(b"a", 110_000)
    assert take_due(due_times, 120_000) == [(110_000, b"a")]


def test_a_noted_timer_is_not_replaced_by_a_stale_entry() -> None:
    """Index entries may be stale; the timer in memory is authoritative."""
    due_times = DueTimes()
    due_times.extend((), 100_000)
    due_times.note(b"a", 70_000)
    due_times.extend([(150_000, b"a"), (160_000, b"b")], 200_000)
    assert take_due(due_times, 200_000) == [(70_000, b"a"), (160_000, b"b")]


def test_a_timer_that_moved_is_not_due() -> None:
    """Until `settle`, an old time may be returned; after it, it is gone, however often the timer has moved."""
    due_times = due_times_of(a=10)
    for due in (50, 30, 40, 20):
        due_times.note(b"a", due)
    assert due_times.next_ms() == 10
    due_times.settle(9)
    assert due_times.next_ms() == 10
    due_times.settle(15)
    assert due_times.next_ms() == 20
    assert take_due(due_times, 100) == [(20, b"a")]
    assert (len(due_times), soonest(due_times)) == (0, None)
