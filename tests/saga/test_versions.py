"""Versions of a saga side by side: an active saga is decided by the version that it started with."""

from dataclasses import replace

import orjson
import pytest

from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Succeeded, TimerDue
from app.saga.soundness import Unsound
from app.saga.state import NO_SAGA, Completed, RolledBack
from app.saga.versions import Versions
from app.wire import state_codec
from app.wire.reader import Reader
from tests.saga.order_messages import ID, cancel, compensate, order_cancelled, order_rejected, placed
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.story import NEXT_TIMER, AtCapacity, Story, StoryInput, given

STOCK, PAY, MAIL = step("stock"), step("pay"), step("mail", ())
V1 = Saga("order", 1, (STOCK, PAY))
V2 = Saga("order", 2, (MAIL, PAY))
BOTH = Versions((V1, V2))


def handed_over(story: Story, versions: Versions) -> Story:
    """The same story in a process with these versions, which has read the saga's state document."""
    progress = state_codec.decode(state_codec.encode(story.progress))
    return replace(story, saga=versions.of(progress.state), progress=progress)


# the version that decides


@pytest.mark.parametrize("versions", (Versions((V1, V2)), Versions((V2, V1))))
def test_a_new_saga_starts_with_the_latest(versions: Versions) -> None:
    """The version number decides, not the position in the list."""
    assert versions.latest is versions.of(NO_SAGA.state) is V2
    story = given(versions.of(NO_SAGA.state)).when(placed()).then(commands=[do("mail")])
    assert story.state.data.version == 2


def test_an_active_saga_keeps_its_version() -> None:
    """It ends by the first version, though a second one has come since."""
    story = handed_over(given(V1, placed()), BOTH)
    assert story.saga is V1
    story = handed_over(story.when(done("stock")).then(commands=[do("pay")]), BOTH)
    story.when(done("pay")).then(outcome=completed("stock", "pay"), state=Completed)


def test_a_saga_that_rolls_back_keeps_its_version() -> None:
    """It undoes the steps that it did, not those of another version."""
    story = handed_over(given(V1, placed(), done("stock"), refused("pay")), BOTH)
    assert story.saga is V1
    story.when(undone("stock")).then(outcome=order_rejected("no pay", "pay"), state=RolledBack)


def test_both_versions_run_side_by_side() -> None:
    """Two orders in the same moment, each by the version that it started with."""
    old, new = handed_over(given(V1, placed()), BOTH), handed_over(given(V2, placed()), BOTH)
    old.when(done("stock")).then(commands=[do("pay")])
    new.when(done("mail")).then(commands=[do("pay")])
    new.when(cancel()).then(commands=[undo("mail")])


def test_a_reply_of_a_step_of_another_version_is_ignored() -> None:
    """It is recorded, and changes nothing."""
    handed_over(given(V1, placed()), BOTH).when(done("mail")).then_ignored()


@pytest.mark.parametrize(
    "history",
    (
        (placed(),),
        (AtCapacity(placed()),),
        (placed(), broke("stock")),
        (placed(), done("stock"), cancel()),
        (placed(), cancel(), broke("stock", "undo", for_good=True)),
    ),
)
def test_an_active_saga_of_a_missing_version_is_an_error(history: tuple[StoryInput, ...]) -> None:
    """Whether it is running, rolling back or stuck: no other version can go on with it."""
    state = given(V1, *history).state
    with pytest.raises(KeyError, match="1"):
        Versions((V2,)).of(state)


# ended sagas

ENDED = {
    "completed": given(V1, placed(), done("stock"), done("pay")),
    "rolled back": given(V1, placed(), cancel(), undone("stock")),
}


@pytest.mark.parametrize("end", ENDED)
def test_an_ended_saga_of_a_missing_version_is_decided_by_the_latest(end: str) -> None:
    """No step matters any more: it knows its order's digest, and answers as by its own version."""
    before = ENDED[end]
    story = handed_over(before, Versions((V2,)))
    assert story.saga is V2
    story.when(placed()).then_no_change()
    story.when(placed("bob")).then_dead_lettered("conflict")
    story.when(done("pay")).then_ignored()
    for given_input in (cancel(), compensate()):
        assert story.when(given_input).events == before.when(given_input).events
        assert story.when(given_input).after.state == before.state
    story.when(TimerDue(before.state.forget_ms)).then_expired()


@pytest.mark.parametrize("end", ENDED)
def test_an_ended_saga_keeps_its_version_as_long_as_that_is_there(end: str) -> None:
    """The latest version decides only if its own is missing."""
    assert BOTH.of(ENDED[end].state) is V1


def test_an_expired_saga_starts_anew_with_the_latest() -> None:
    """Nothing of the old version is left."""
    story = handed_over(ENDED["completed"], BOTH)
    story = story.when(NEXT_TIMER).then_expired()
    assert BOTH.of(story.state) is V2


# rules for versions side by side

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
    """A reply doesn't name its saga's version, so all versions must read it alike."""
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
    """In the order, kinds, policies, fields and number of steps."""
    assert Versions((V1, Saga("order", 2, steps))).latest.steps == steps


# all versions together


def test_every_step_of_any_version_has_its_topics() -> None:
    """Each step once, as declared in its latest version; the steps of the latest version come first."""
    paying = step("pay", timeout_ms=7)
    versions = Versions((V1, Saga("order", 2, (MAIL, paying))))
    assert versions.steps == (MAIL, paying, STOCK)
    assert versions.name == "order"


def test_each_definition_has_a_name() -> None:
    """The saga's name and the version, which tell active sagas apart."""
    assert BOTH.definitions == {"order/1", "order/2"}
    assert given(V1, placed()).state.data.definition == "order/1"
    assert Versions((Saga("parcels", 2, (STOCK,)),)).definitions == {"parcels/2"}


def test_replies_to_every_version_are_read() -> None:
    """Also those of a step that only the old version has."""
    headers = [("ce_id", b"m"), ("ce_type", b"stock.yes"), ("ce_causationid", b"o-1:stock:do:1")]
    value = orjson.dumps({"order_id": ID, "stock_id": "stock-1"})
    received = Reader(BOTH).read("stock.replies", ID.encode(), value, headers)
    assert received.given == Succeeded("m", "stock.yes", "stock", "o-1:stock:do:1", "stock-1")


def test_a_policy_changes_every_version() -> None:
    """An operator's time-out applies to active sagas as well."""
    shortened = BOTH.each(lambda saga: with_policy(saga, timeout_ms=5))
    assert {step.do.timeout_ms for saga in shortened.sagas for step in saga.steps} == {5}
    assert [saga.version for saga in shortened.sagas] == [1, 2]
    story = handed_over(given(V1, placed()), shortened)
    story = story.when(NEXT_TIMER).then(commands=[do("stock", 2)])
    assert story.due == story.at - 1_000 + 5


def test_the_outcome_of_an_old_version_is_the_same() -> None:
    """The shop can't see which version decided."""
    story = handed_over(given(V1, placed(), cancel()), BOTH)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)
