"""A definition that can't work is refused at the start, with one sentence per flaw; any other is accepted."""

import ast
import inspect
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast, get_args

import pytest

from app.saga import soundness
from app.saga.definition import DAY_MS, Command, Kind, Retry, Saga, Step, with_policy
from app.saga.messages import Order
from app.saga.soundness import KINDS, LONGEST_MS, Unsound
from tests.saga.random_sagas import PLACE_ORDER, intent, random_runs, run_saga
from tests.saga.reference_model import check_run
from tests.saga.steps import step
from topologies.order import ORDER, PAYMENT, RESERVATION

STOCK, PAY, SHIP = step("stock"), step("pay", kind="pivot"), step("ship", kind="retriable")


def paying(**changes: Any) -> tuple[Step, ...]:
    """Reservation and payment, with changes to the payment."""
    return (RESERVATION, replace(PAYMENT, **changes))


def doing(**changes: Any) -> tuple[Step, ...]:
    """Reservation and payment, with changes to the charge."""
    return paying(do=replace(PAYMENT.do, **changes))


def undoing(**changes: Any) -> tuple[Step, ...]:
    """Reservation and payment, with changes to the refund."""
    return paying(undo=replace(PAYMENT.undo, **changes))  # type: ignore[type-var]


NAMELESS = "has no name, or one of more than 128 characters"
NAMES = (
    ((), "it has no step"),
    ((PAYMENT, PAYMENT), "two steps are called payment"),
    ((step(""),), "a step can't be called '': its name is part of its topics' names"),
    ((step("pay it"),), "a step can't be called 'pay it': its name is part of its topics' names"),
    ((step("p:do"),), "a step can't be called 'p:do': its name is part of its topics' names"),
    ((step("p" * 65),), f"a step can't be called '{'p' * 65}': its name is part of its topics' names"),
    (paying(result="reservation_id"), "the result of payment needs a name of its own, not reservation_id"),
    ((replace(STOCK, result="total"),), "the result of stock needs a name of its own, not total"),
    ((replace(STOCK, result="order_id"),), "the result of stock needs a name of its own, not order_id"),
    (paying(refused="payment.failed"), "two replies of payment have the same type"),
    (paying(undone="payment.charged"), "two replies of payment have the same type"),
    (undoing(type="payment.charge"), "the undo of payment has the type of its do: nobody could tell them apart"),
    (doing(type=""), f"a command, a reply or the result of payment {NAMELESS}"),
    (undoing(type=""), f"a command, a reply or the result of payment {NAMELESS}"),
    (paying(failed=""), f"a command, a reply or the result of payment {NAMELESS}"),
    (paying(result=""), f"a command, a reply or the result of payment {NAMELESS}"),
    (paying(result="r" * 129), f"a command, a reply or the result of payment {NAMELESS}"),
    (undoing(type="u" * 129), f"a command, a reply or the result of payment {NAMELESS}"),
    (
        tuple(step(f"s{n}") for n in range(51)),
        "it has more than 50 steps: its state could become too large to be written",
    ),
)
ORDER_OF_STEPS = (
    ((STOCK, step("pay", ("shipping",))), "pay comes after shipping, which is not written before it"),
    ((step("stock", ("pay",)), step("pay", ())), "stock comes after pay, which is not written before it"),
    ((step("stock", ("stock",)),), "stock comes after stock, which is not written before it"),
)
KIND_FLAWS = (
    ((replace(STOCK, undone=None),), "stock needs both an undo and the reply to it, or neither"),
    ((replace(PAY, undone="pay.undone"),), "pay needs both an undo and the reply to it, or neither"),
    ((replace(STOCK, undo=None, undone=None),), "stock has no undo: give it one, or make it the pivot"),
    (
        (STOCK, PAY, step("ship", kind="retriable", undo=True)),
        "ship is retriable and is never undone: leave out its undo",
    ),
    (
        (STOCK, PAY, replace(SHIP, refused="ship.no")),
        "ship is retriable and can't be refused: leave out that reply, or do it before the pivot",
    ),
    ((replace(STOCK, refused=None),), "stock needs the type of the reply that refuses it"),
    ((replace(PAY, refused=None),), "pay needs the type of the reply that refuses it"),
    (
        (replace(STOCK, kind=cast("Kind", "compensable"), undo=None, undone=None),),
        "stock is compensable, which is none of compensatable, pivot, retriable",
    ),
)
ATTEMPTS = "needs at least one attempt, and a time-out of at least 1 ms"
POLICIES = (
    (doing(timeout_ms=0), f"payment.charge {ATTEMPTS}"),
    (doing(retry=Retry(0)), f"payment.charge {ATTEMPTS}"),
    (undoing(retry=Retry(0)), f"payment.refund {ATTEMPTS}"),
    (undoing(timeout_ms=-1), f"payment.refund {ATTEMPTS}"),
    (doing(retry=Retry(5, first_pause_ms=-2)), "payment.charge needs pauses of at least 0 ms"),
    (undoing(retry=Retry(longest_pause_ms=-2)), "payment.refund needs pauses of at least 0 ms"),
    (doing(timeout_ms=LONGEST_MS + 1), "payment.charge has a time-out or a pause of more than a hundred years"),
    (
        undoing(retry=Retry(longest_pause_ms=2**64)),
        "payment.refund has a time-out or a pause of more than a hundred years",
    ),
)
PIVOTS = (
    (
        (PAY, step("sign", kind="pivot")),
        "it has the pivots pay and sign: only one step can be the point of no return",
    ),
    (
        (STOCK, step("ship", kind="retriable")),
        "ship is retriable, so it must come after a pivot: what comes before must be able to go back",
    ),
    (
        (STOCK, SHIP, PAY),
        "ship is retriable, so it must come after a pivot: what comes before must be able to go back",
    ),
    (
        (STOCK, PAY, step("ship", ("stock",), kind="retriable")),
        "ship is retriable, so it must come after a pivot: what comes before must be able to go back",
    ),
    ((PAY, STOCK), "stock can fail after the pivot pay: make it retriable, or do it before"),
    (
        (step("coupon"), STOCK, step("pay", ("stock",), kind="pivot"), step("note", ("coupon",))),
        "note may still run when the pivot pay is done: make the pivot come after it",
    ),
    (
        (STOCK, step("pay", (), kind="pivot")),
        "stock may still run when the pivot pay is done: make the pivot come after it",
    ),
)
FIELDS = (
    (doing(order_fields=("colour",)), "payment.charge cannot carry colour, which is not known by then"),
    (undoing(order_fields=("order_id",)), "payment.refund cannot carry order_id, which is not known by then"),
    (doing(result_fields=("payment_id",)), "payment.charge cannot carry payment_id, which is not known by then"),
    (
        (step("stock", result_fields=("pay_id",)), step("pay")),
        "stock.do cannot carry pay_id, which is not known by then",
    ),
    (
        (step("stock"), step("pay", (), result_fields=("stock_id",))),
        "pay.do cannot carry stock_id, which is not known by then",
    ),
    (
        (STOCK, replace(step("pay", ()), undo=Command("pay.undo", result_fields=("stock_id",)))),
        "pay.undo cannot carry stock_id, which is not known by then",
    ),
)
TIMES = (
    ({"deadline_ms": 0}, "its deadline must be between 1 ms and a hundred years after its start"),
    ({"deadline_ms": LONGEST_MS + 1}, "its deadline must be between 1 ms and a hundred years after its start"),
    (
        {"retention_ms": -1},
        "its retention must be between 0 ms and a hundred years",
    ),
    (
        {"retention_ms": 2**63},
        "its retention must be between 0 ms and a hundred years",
    ),
)
VERSION = "its version must be a whole number from 1 to 2147483647"
NAME = "its name must match [A-Za-z0-9._-]{1,64}"
VERSIONS: tuple[object, ...] = (0, -1, 2**31, True, "1", 1.0, None)
UNSOUND = (*NAMES, *ORDER_OF_STEPS, *KIND_FLAWS, *POLICIES, *PIVOTS, *FIELDS)


@pytest.mark.parametrize(("steps", "flaw"), UNSOUND)
def test_steps_that_cannot_work_are_refused(steps: tuple[Step, ...], flaw: str) -> None:
    """One sentence says what is wrong."""
    with pytest.raises(Unsound) as caught:
        Saga("odd", 1, steps)
    assert str(caught.value) == f"the saga odd can't work: {flaw}"


@pytest.mark.parametrize(("times", "flaw"), TIMES)
def test_times_that_cannot_work_are_refused(times: dict[str, int], flaw: str) -> None:
    """The same, for times of the whole saga."""
    with pytest.raises(Unsound) as caught:
        replace(ORDER, **times)  # type: ignore[arg-type]
    assert str(caught.value) == f"the saga order can't work: {flaw}"


@pytest.mark.parametrize("name", ("", "my saga", "order/1", "s" * 65, "saga\n"))
def test_a_saga_has_a_name_that_goes_on_the_wire(name: str) -> None:
    """It is part of every record, and of metrics' labels."""
    with pytest.raises(Unsound) as caught:
        replace(ORDER, name=name)
    assert str(caught.value) == f"the saga {name} can't work: {NAME}"


@pytest.mark.parametrize("version", VERSIONS, ids=repr)
def test_a_version_is_a_number_that_goes_on_the_wire(version: object) -> None:
    """It counts from 1, and fits into an integer of any reader."""
    with pytest.raises(Unsound) as caught:
        replace(ORDER, version=version)  # type: ignore[arg-type]
    assert str(caught.value) == f"the saga order can't work: {VERSION}"


def test_a_policy_is_checked_as_well() -> None:
    """A policy from outside can be as wrong as a definition."""
    with pytest.raises(Unsound, match="at least one attempt"):
        with_policy(ORDER, attempts=0)
    with pytest.raises(Unsound, match="its deadline must be"):
        with_policy(ORDER, deadline_ms=-5)


def test_every_sentence_has_a_case() -> None:
    """UNSOUND and TIMES leave no rule out."""
    flaws = [flaw for _, flaw in (*UNSOUND, *TIMES)] + [VERSION, NAME]
    sentences = list(_sentences())
    assert len(sentences) > 20
    for sentence in sentences:
        assert any(re.fullmatch(sentence, flaw) for flaw in flaws), sentence


def _sentences() -> Iterator[str]:
    """The sentences of the rules, as patterns."""
    for node in ast.walk(ast.parse(inspect.getsource(soundness))):
        if isinstance(node, ast.Yield):
            parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
            yield "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)


SOUND = {
    "one step": (STOCK,),
    "one pivot": (PAY,),
    "a pivot that can be undone as long as it is in doubt": (STOCK, step("pay", kind="pivot", undo=True)),
    "one after the other": (STOCK, PAY, SHIP),
    "two at once": (STOCK, step("pay", ())),
    "two at once, then one": (STOCK, step("pay", ()), step("sign", ("stock", "pay"))),
    "all before the pivot at once": (STOCK, step("coupon", ()), step("pay", ("stock", "coupon"), kind="pivot")),
    "all after the pivot at once": (PAY, SHIP, step("mail", ("pay",), kind="retriable")),
    "after the same step twice": (STOCK, step("pay", ("stock", "stock"))),
    "after what is later anyway": (STOCK, step("coupon"), step("pay", ("stock", "coupon"))),
    "an earlier result": (STOCK, step("pay", order_fields=("total",), result_fields=("stock_id",))),
    "a result from far back": (STOCK, step("coupon"), step("pay", result_fields=("stock_id",))),
    "no pause at all": doing(retry=Retry(5, first_pause_ms=0, longest_pause_ms=0)),
    "every character that a name may have": (step("A-z_0.9"),),
    "as many steps as there may be": tuple(step(f"s{number}", ()) for number in range(50)),
    "a name as long as it may be": doing(type="c" * 128),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_definition_that_can_work_is_accepted(name: str) -> None:
    """The rules forbid no more than they must."""
    saga = Saga("fine", 1, SOUND[name])
    assert list(soundness.flaws(saga)) == []


def test_times_at_their_bounds_are_accepted() -> None:
    """A saga may expire at once, or after a hundred years."""
    for retention_ms, deadline_ms in ((0, 1), (LONGEST_MS, LONGEST_MS), (DAY_MS, None)):
        saga = replace(ORDER, retention_ms=retention_ms, deadline_ms=deadline_ms)
        assert list(soundness.flaws(saga)) == []


@pytest.mark.parametrize("version", (1, 2, 2**31 - 1))
def test_versions_within_their_bounds_are_accepted(version: int) -> None:
    """From the first one to the last."""
    assert list(soundness.flaws(replace(ORDER, version=version))) == []


def test_random_sagas_are_sound() -> None:
    """The sagas of the properties follow these rules, with every kind of step."""
    sagas = [saga for saga, _ in random_runs(200, 4)]
    assert {step.kind for saga in sagas for step in saga.steps} == set(KINDS)
    assert any(saga.pivot is not None and saga.pivot.undo is not None for saga in sagas)
    assert any(len(saga.roots) > 1 for saga in sagas)


def test_the_rules_know_the_fields_of_an_order() -> None:
    """A command can carry each field; the id is part of every command in any case."""
    fields = tuple(sorted(set(Order.__annotations__) - {"order_id"}))
    assert Saga("fine", 1, (step("stock", order_fields=fields),)).needed_after["stock"] == set()


def test_the_rules_know_the_kinds_of_steps() -> None:
    """They are those that a definition's type allows."""
    assert get_args(Kind) == KINDS


def test_every_accepted_definition_follows_the_reference_model() -> None:
    """Arbitrary definitions are refused, or no run of them breaks a rule of sagas."""
    chance = random.Random(5)
    accepted = 0
    for _ in range(12_000):
        try:
            saga = Saga("any", 1, _arbitrary_steps(chance), chance.choice((None, 30_000)))
        except Unsound:
            continue
        accepted += 1
        check_run(saga, run_saga(saga, [PLACE_ORDER, *(intent(chance.getrandbits(24)) for _ in range(30))]))
    assert 400 < accepted < 5_000


def _arbitrary_steps(chance: random.Random) -> tuple[Step, ...]:
    names = [f"s{index}" for index in range(chance.choice((1, 2, 2, 3, 3, 4)))]
    steps = []
    for index, name in enumerate(names):
        kind, undo = chance.choice(KINDS), chance.random() < 0.5
        after = chance.choice((None, None, (), tuple(chance.sample(names, chance.randint(0, index)))))
        one = step(name, after, kind=cast("Kind", kind), undo=undo, order_fields=("total",) if undo else ())
        steps.append(replace(one, refused=chance.choice((None, f"{name}.no", f"{name}.no"))))
    return tuple(steps)
