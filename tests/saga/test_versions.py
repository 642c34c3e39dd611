"""Versions of a saga side by side: what is under way is never judged by rules that it did not start with."""

from dataclasses import replace

import orjson
import pytest

from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Succeeded, TimerDue
from app.saga.soundness import Unsound
from app.saga.state import UNKNOWN, Completed, RolledBack
from app.saga.versions import Versions
from app.wire import statedoc
from app.wire.reader import Reader
from tests.saga.given import WAITED, Crowded, Said, Story, given
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.words import ID, cancel, compensate, order_cancelled, order_rejected, placed

STOCK, PAY, MAIL = step("stock"), step("pay"), step("mail", ())
V1 = Saga("order", 1, (STOCK, PAY))
V2 = Saga("order", 2, (MAIL, PAY))
BOTH = Versions((V1, V2))


def handed_over(story: Story, versions: Versions) -> Story:
    """The same story in a process that has these versions, and read the saga's document."""
    progress = statedoc.decode(statedoc.encode(story.progress))
    return replace(story, saga=versions.of(progress.state), progress=progress)


# which one decides


@pytest.mark.parametrize("versions", (Versions((V1, V2)), Versions((V2, V1))))
def test_a_new_saga_starts_with_the_latest(versions: Versions) -> None:
    """The number decides, not the place in the list."""
    assert versions.latest is versions.of(UNKNOWN.state) is V2
    story = given(versions.of(UNKNOWN.state)).when(placed()).then(commands=[do("mail")])
    assert story.state.facts.version == 2


def test_one_under_way_keeps_its_version() -> None:
    """It was started by the first version, and ends by it, though a second one is there since."""
    story = handed_over(given(V1, placed()), BOTH)
    assert story.saga is V1
    story = handed_over(story.when(done("stock")).then(commands=[do("pay")]), BOTH)
    story.when(done("pay")).then(outcome=completed("stock", "pay"), state=Completed)


def test_one_that_goes_back_keeps_its_version() -> None:
    """What it undoes is what it did, not what another version would have done."""
    story = handed_over(given(V1, placed(), done("stock"), refused("pay")), BOTH)
    assert story.saga is V1
    story.when(undone("stock")).then(outcome=order_rejected("no pay", "pay"), state=RolledBack)


def test_both_versions_run_side_by_side() -> None:
    """Two orders in the same moment, each by the version that it started with."""
    old, new = handed_over(given(V1, placed()), BOTH), handed_over(given(V2, placed()), BOTH)
    old.when(done("stock")).then(commands=[do("pay")])
    new.when(done("mail")).then(commands=[do("pay")])
    new.when(cancel()).then(commands=[undo("mail")])


def test_a_step_that_a_version_does_not_have_answers_in_vain() -> None:
    """A reply of another version's step is recorded, and moves nothing."""
    handed_over(given(V1, placed()), BOTH).when(done("mail")).then_ignored()


@pytest.mark.parametrize(
    "history",
    (
        (placed(),),
        (Crowded(placed()),),
        (placed(), broke("stock")),
        (placed(), done("stock"), cancel()),
        (placed(), cancel(), broke("stock", "undo", for_good=True)),
    ),
)
def test_a_live_saga_of_a_missing_version_is_an_error(history: tuple[Said, ...]) -> None:
    """Nobody guesses how it would have gone on: running, going back, or stuck."""
    state = given(V1, *history).state
    with pytest.raises(KeyError, match="1"):
        Versions((V2,)).of(state)


# what has ended

ENDED = {
    "completed": given(V1, placed(), done("stock"), done("pay")),
    "rolled back": given(V1, placed(), cancel(), undone("stock")),
}


@pytest.mark.parametrize("end", ENDED)
def test_an_ended_saga_of_a_missing_version_is_judged_by_the_latest(end: str) -> None:
    """All that is left to say about it hangs on no step: it knows its order, and answers as it would have."""
    before = ENDED[end]
    story = handed_over(before, Versions((V2,)))
    assert story.saga is V2
    story.when(placed()).then_nothing()
    story.when(placed("bob")).then_unacceptable("conflict")
    story.when(done("pay")).then_ignored()
    for wish in (cancel(), compensate()):
        assert story.when(wish).events == before.when(wish).events
        assert story.when(wish).after.state == before.state
    story.when(TimerDue(before.state.forget_ms)).then_forgotten()


@pytest.mark.parametrize("end", ENDED)
def test_an_ended_saga_keeps_its_version_as_long_as_that_is_there(end: str) -> None:
    """Its own definition is the better judge."""
    assert BOTH.of(ENDED[end].state) is V1


def test_whoever_is_forgotten_starts_anew_with_the_latest() -> None:
    """Nothing of the old version is left in a saga that nobody knows any more."""
    story = handed_over(ENDED["completed"], BOTH)
    story = story.when(WAITED).then_forgotten()
    assert BOTH.of(story.state) is V2


# what they must agree on

AGAIN = "give the step of the new one another name"
RECEIPT = replace(PAY, result="receipt", undo=Command("pay.undo", result_fields=("receipt",)))


@pytest.mark.parametrize(
    ("sagas", "flaw"),
    (
        ((), "there is none"),
        ((V1, replace(V2, name="refund")), "they have different names"),
        ((V1, replace(V2, version=1)), "two of them have the same number"),
        (
            (V1, Saga("order", 2, (RECEIPT,))),
            f"pay is answered differently in the versions 1 and 2: {AGAIN}",
        ),
        (
            (V1, Saga("order", 2, (replace(STOCK, succeeded="stock.reserved"),))),
            f"stock is answered differently in the versions 1 and 2: {AGAIN}",
        ),
        (
            (V1, Saga("order", 3, (replace(STOCK, refused="stock.out"),))),
            f"stock is answered differently in the versions 1 and 3: {AGAIN}",
        ),
        (
            (V1, Saga("order", 2, (replace(STOCK, failed="stock.down"),))),
            f"stock is answered differently in the versions 1 and 2: {AGAIN}",
        ),
        (
            (V1, Saga("order", 2, (STOCK, step("pay", kind="pivot")))),
            f"pay is answered differently in the versions 1 and 2: {AGAIN}",
        ),
    ),
)
def test_versions_that_cannot_work_together_are_refused(sagas: tuple[Saga, ...], flaw: str) -> None:
    """A reply says neither its saga's version nor how it is to be read, so all versions must read it alike."""
    with pytest.raises(Unsound) as caught:
        Versions(sagas)
    assert str(caught.value) == f"the versions of a saga can't work together: {flaw}"


@pytest.mark.parametrize(
    "steps",
    (
        (PAY, replace(STOCK, after=())),
        (STOCK, step("pay", kind="pivot", undo=True)),
        (step("stock", attempts=9, timeout_ms=5), step("pay", order_fields=("total",))),
        (STOCK,),
        (STOCK, PAY, step("gift")),
    ),
)
def test_versions_may_differ_in_all_else(steps: tuple[Step, ...]) -> None:
    """Order, kinds, policies, fields and number of steps are each version's own."""
    assert Versions((V1, Saga("order", 2, steps))).latest.steps == steps


# what is made of all of them


def test_every_step_of_any_version_has_its_topics() -> None:
    """Each once, as the latest version that has it writes it; those of the latest come first."""
    paying = step("pay", timeout_ms=7)
    versions = Versions((V1, Saga("order", 2, (MAIL, paying))))
    assert versions.steps == (MAIL, paying, STOCK)
    assert versions.name == "order"


def test_each_definition_has_a_name() -> None:
    """By which those under way are told apart: that of the saga, and the version."""
    assert BOTH.definitions == {"order/1", "order/2"}
    assert given(V1, placed()).state.facts.definition == "order/1"
    assert Versions((Saga("parcels", 2, (STOCK,)),)).definitions == {"parcels/2"}


def test_replies_to_every_version_are_read() -> None:
    """Those of a step that only the old version has, too."""
    headers = [("ce_id", b"m"), ("ce_type", b"stock.yes"), ("ce_causationid", b"o-1:stock:do:1")]
    value = orjson.dumps({"order_id": ID, "stock_id": "stock-1"})
    received = Reader(BOTH).read("stock.replies", ID.encode(), value, headers)
    assert received.given == Succeeded("m", "stock.yes", "stock", "o-1:stock:do:1", "stock-1")


def test_a_policy_changes_every_version() -> None:
    """An operator's time-out holds for those under way as well."""
    hasty = BOTH.each(lambda saga: with_policy(saga, timeout_ms=5))
    assert {step.do.timeout_ms for saga in hasty.sagas for step in saga.steps} == {5}
    assert [saga.version for saga in hasty.sagas] == [1, 2]
    story = handed_over(given(V1, placed()), hasty)
    story = story.when(WAITED).then(commands=[do("stock", 2)])
    assert story.due == story.at - 1_000 + 5


def test_a_cancelled_order_of_an_old_version_is_told_of_as_ever() -> None:
    """The shop can't see which version it was."""
    story = handed_over(given(V1, placed(), cancel()), BOTH)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)
