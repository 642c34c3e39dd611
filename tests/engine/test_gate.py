"""Room at participants: how much, for whom, and what trouble does to it."""

from collections import Counter

from app.engine.gate import Gate

SECOND = 1_000


class Partition:
    """A gate, and who counts what it let through."""

    def __init__(self, limit: int) -> None:
        self.asked: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.gate = Gate(limit, self.asked, self.waiting)

    def ask(self, count: int) -> int:
        """So many sagas come to a step in one batch; those without room wait. Returns how many got some."""
        let_in = sum(self.gate.has_room("payment") for _ in range(count))
        self.asked["payment"] += let_in
        self.waiting["payment"] += count - let_in
        self.gate.counted()
        return let_in

    def answer(self, count: int) -> None:
        """So many are answered."""
        for _ in range(count):
            self.gate.answered("payment")
        self.asked["payment"] -= count

    def open(self, now_ms: int = 0) -> int:
        """For how many there is room."""
        return self.gate.open(now_ms).get("payment", 0)


def test_no_more_than_the_limit_is_outstanding() -> None:
    """Within one batch, and over several; another step has room of its own."""
    partition = Partition(3)
    assert partition.ask(2) == 2
    assert partition.ask(2) == 1
    assert partition.ask(2) == 0
    assert partition.gate.has_room("reservation")


def test_who_comes_later_waits_behind_those_who_wait() -> None:
    """Room that was made is for those who wait; a newcomer gets none of it."""
    partition = Partition(2)
    partition.ask(3)
    partition.answer(2)
    assert partition.ask(1) == 0
    assert partition.open() == 2
    assert partition.gate.next_ms() == 0


def test_who_is_turned_away_in_a_batch_is_not_overtaken_in_it() -> None:
    """Those who wait are counted at the end of the batch; until then nobody else gets in either."""
    partition = Partition(1)
    assert [partition.gate.has_room("payment") for _ in range(3)] == [True, False, False]
    partition.asked["payment"] = 0
    assert not partition.gate.has_room("payment")


def test_there_is_room_for_those_who_wait_only() -> None:
    """Nobody waits: nobody is let in, and nothing is due."""
    partition = Partition(5)
    partition.ask(3)
    assert (partition.open(), partition.gate.next_ms()) == (0, None)


def test_trouble_halves_the_room_once_in_a_second() -> None:
    """A swarm of time-outs is one trouble; the next one a second later is another."""
    partition = Partition(100)
    for now in (0, 1, 999, SECOND, 1_500, 2 * SECOND):
        partition.gate.troubled("payment", 10**12 + now)
    assert partition.gate.sizes() == {"payment": 12}


def test_answers_widen_the_room_up_to_the_limit() -> None:
    """By one each, so that the room doubles while as many are answered as fit in it."""
    partition = Partition(4)
    partition.gate.troubled("payment", 10**12)
    for _ in range(10):
        partition.gate.answered("payment")
    assert partition.gate.sizes() == {"payment": 4}


def down(partition: Partition, now_ms: int = 10**12) -> int:
    """Trouble until only one command may be outstanding; returns when that was."""
    while partition.gate.sizes().get("payment") != 1:
        partition.gate.troubled("payment", now_ms)
        now_ms += SECOND
    return now_ms - SECOND


def test_a_participant_that_is_down_is_asked_less_and_less_often() -> None:
    """One command at a time, after 1, 2, 4, ... and at most 30 seconds: some 120 in an hour, however many wait."""
    partition = Partition(1000)
    partition.waiting["payment"] = 10_000
    now, probes, waits = down(partition), 0, []
    end = now + 3600 * SECOND
    while now < end:
        due = partition.gate.next_ms()
        assert due is not None
        assert partition.open(due - 1) == 0
        assert partition.open(due) == 1
        waits.append(due - now)
        now, probes = due, probes + 1
        partition.gate.troubled("payment", now)
    assert waits[:7] == [SECOND * seconds for seconds in (1, 2, 4, 8, 16, 30, 30)]
    assert probes < 130


def test_only_a_probe_that_fails_makes_the_next_one_later() -> None:
    """Commands from before that time out with it are the same trouble: who is back after a second is found soon."""
    partition = Partition(1000)
    partition.waiting["payment"] = 10_000
    now = down(partition)
    for late in range(1, 50):
        partition.gate.troubled("payment", now + late)
    assert partition.gate.next_ms() == now + SECOND
    partition.gate.troubled("payment", now + SECOND + 5)
    assert partition.gate.next_ms() == now + 3 * SECOND + 5


def test_the_first_answer_opens_the_gate_again() -> None:
    """At once for as many as were answered, and twice as many after each round."""
    partition = Partition(1000)
    partition.waiting["payment"] = 10_000
    now, rounds = down(partition) + SECOND, []
    for _ in range(8):
        rounds.append(partition.open(now))
        partition.asked["payment"] = rounds[-1]
        partition.answer(rounds[-1])
    assert rounds == [1, 2, 4, 8, 16, 32, 64, 128]


def test_who_fails_keeps_its_room_as_long_as_there_is_enough() -> None:
    """In a participant that is in trouble it waits its turn again, instead of coming back after a pause."""
    partition = Partition(8)
    partition.ask(3)
    assert partition.gate.bears("payment")
    partition.gate.troubled("payment", 10**12)
    assert partition.gate.bears("payment")
    partition.gate.troubled("payment", 10**12 + SECOND)
    assert not partition.gate.bears("payment")
    down(partition, 10**12 + 2 * SECOND)
    partition.asked["payment"] = 1
    assert not partition.gate.bears("payment")  # the one probe goes round among all who wait
