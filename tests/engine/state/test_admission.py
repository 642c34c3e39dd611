"""Admission control: how many commands may be in flight, the order of admission, what failures change."""

from collections import Counter

from app.engine.state.admission import AdmissionControl

SECOND = 1_000


class PaymentStep:
    """The payment step in one partition: admission control, and the counts that it reads."""

    def __init__(self, limit: int) -> None:
        self.in_flight: Counter[str] = Counter()
        self.queued: Counter[str] = Counter()
        self.admission = AdmissionControl(limit, self.in_flight, self.queued)

    def request(self, count: int) -> int:
        """So many sagas reach the step in one batch; returns how many get a slot, the others are queued."""
        admitted = sum(self.admission.try_acquire("payment") for _ in range(count))
        self.in_flight["payment"] += admitted
        self.queued["payment"] += count - admitted
        self.admission.reset_batch()
        return admitted

    def succeed(self, count: int) -> None:
        """So many commands in flight get a final reply."""
        for _ in range(count):
            self.admission.on_success("payment")
        self.in_flight["payment"] -= count

    def admissible(self, now_ms: int = 0) -> int:
        """How many queued sagas can be admitted."""
        return self.admission.admissible(now_ms).get("payment", 0)


def test_no_more_than_the_limit_is_in_flight() -> None:
    """Within one batch and over several; another step has slots of its own."""
    payment = PaymentStep(3)
    assert payment.request(2) == 2
    assert payment.request(2) == 1
    assert payment.request(2) == 0
    assert payment.admission.try_acquire("reservation")


def test_a_new_saga_comes_behind_the_queued_ones() -> None:
    """A free slot belongs to a queued saga, not to a new one."""
    payment = PaymentStep(2)
    payment.request(3)
    payment.succeed(2)
    assert payment.request(1) == 0
    assert payment.admissible() == 2
    assert payment.admission.next_ms() == 0


def test_a_refused_saga_is_not_overtaken_in_its_batch() -> None:
    """A refused saga counts as queued only when the batch ends; until then no other is admitted."""
    payment = PaymentStep(1)
    assert [payment.admission.try_acquire("payment") for _ in range(3)] == [True, False, False]
    payment.in_flight["payment"] = 0
    assert not payment.admission.try_acquire("payment")


def test_only_queued_sagas_are_admissible() -> None:
    """Without queued sagas nothing is admissible or due."""
    payment = PaymentStep(5)
    payment.request(3)
    assert (payment.admissible(), payment.admission.next_ms()) == (0, None)


def test_failures_halve_the_window_once_a_second() -> None:
    """A swarm of timeouts counts once; a failure a second later counts again."""
    payment = PaymentStep(100)
    for now in (0, 1, 999, SECOND, 1_500, 2 * SECOND):
        payment.admission.on_failure("payment", 10**12 + now)
    assert payment.admission.windows() == {"payment": 12}


def test_replies_grow_the_window_up_to_the_limit() -> None:
    """By one each: the window doubles while a full window is answered."""
    payment = PaymentStep(4)
    payment.admission.on_failure("payment", 10**12)
    for _ in range(10):
        payment.admission.on_success("payment")
    assert payment.admission.windows() == {"payment": 4}


def fail_until_down(payment: PaymentStep, now_ms: int = 10**12) -> int:
    """Fails until the window is 1; returns the time (ms) of the last failure."""
    while payment.admission.windows().get("payment") != 1:
        payment.admission.on_failure("payment", now_ms)
        now_ms += SECOND
    return now_ms - SECOND


def test_a_participant_that_is_down_is_probed_less_and_less_often() -> None:
    """One probe at a time, after 1, 2, 4, ... and at most 30 s: about 120 in an hour, however many are queued."""
    payment = PaymentStep(1000)
    payment.queued["payment"] = 10_000
    now, probes, backoffs = fail_until_down(payment), 0, []
    end = now + 3600 * SECOND
    while now < end:
        due = payment.admission.next_ms()
        assert due is not None
        assert payment.admissible(due - 1) == 0
        assert payment.admissible(due) == 1
        backoffs.append(due - now)
        now, probes = due, probes + 1
        payment.admission.on_failure("payment", now)
    assert backoffs[:7] == [SECOND * seconds for seconds in (1, 2, 4, 8, 16, 30, 30)]
    assert probes < 130


def test_only_a_failed_probe_doubles_the_backoff() -> None:
    """Older commands that time out with it do not count: a participant that is back after a second is found soon."""
    payment = PaymentStep(1000)
    payment.queued["payment"] = 10_000
    now = fail_until_down(payment)
    for late in range(1, 50):
        payment.admission.on_failure("payment", now + late)
    assert payment.admission.next_ms() == now + SECOND
    payment.admission.on_failure("payment", now + SECOND + 5)
    assert payment.admission.next_ms() == now + 3 * SECOND + 5


def test_the_first_reply_opens_the_window_again() -> None:
    """At once the window is as large as what was answered, and it doubles in each round."""
    payment = PaymentStep(1000)
    payment.queued["payment"] = 10_000
    now, rounds = fail_until_down(payment) + SECOND, []
    for _ in range(8):
        rounds.append(payment.admissible(now))
        payment.in_flight["payment"] = rounds[-1]
        payment.succeed(rounds[-1])
    assert rounds == [1, 2, 4, 8, 16, 32, 64, 128]


def test_a_failed_command_keeps_its_slot_while_there_are_enough() -> None:
    """After failures the saga queues again instead of keeping its slot during the backoff."""
    payment = PaymentStep(8)
    payment.request(3)
    assert payment.admission.keeps_slot("payment")
    payment.admission.on_failure("payment", 10**12)
    assert payment.admission.keeps_slot("payment")
    payment.admission.on_failure("payment", 10**12 + SECOND)
    assert not payment.admission.keeps_slot("payment")
    fail_until_down(payment, 10**12 + 2 * SECOND)
    payment.in_flight["payment"] = 1
    assert not payment.admission.keeps_slot("payment")  # the only slot goes round among all queued sagas
