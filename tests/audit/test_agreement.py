"""The checker and the product agree: whatever happens, what the product writes breaks no invariant."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.audit.archive import save
from app.audit.cli import app
from app.audit.invariants import check
from app.audit.refold import refold
from app.saga.versions import Versions
from tests.audit.sagas import BOTH, PACKED_ORDER
from tests.audit.stage import Play, told
from topologies.order import ORDER

OLD, NEW = Versions((ORDER,)), Versions((PACKED_ORDER,))


@pytest.mark.parametrize("versions", ((OLD,), (NEW,), (OLD, BOTH)), ids=("old", "new", "old, then both"))
@given(seed=st.integers(0, 2**32))
def test_the_products_turns_keep_every_invariant(versions: tuple[Versions, ...], seed: int) -> None:
    """Orders, cancels, operators, failures, losses, repetitions, nonsense and time in any order: nothing to find."""
    play = Play(seed, versions)
    recording = play.perform(acts=250)
    report = check(recording, play.terms, fold=refold(versions[-1]))
    assert report.violations == (), told(recording)


def test_the_play_goes_every_way() -> None:
    """Together, some seeds show every end, and stuck and forgotten sagas, second attempts, waiting and dead letters."""
    plays = [Play(seed, (OLD, BOTH)) for seed in range(20)]
    recordings = [play.perform(acts=250) for play in plays]
    totals = [check(recording, play.terms).totals for play, recording in zip(plays, recordings, strict=True)]
    for name in ("completed", "rejected", "cancelled", "stuck", "commands_again", "replies_ignored", "orders_repeated"):
        assert sum(getattr(one, name) for one in totals) > 0, name
    reasons = {reason for one in totals for reason in one.dead_letters}
    assert {"malformed", "conflict", "unknown_order"} <= reasons
    assert any(account.by_hand for one in totals for account in one.accounts.values())
    assert all(account.balanced for one in totals for account in one.accounts.values())
    written = b"".join(r.value or b"-" for recording in recordings for r in recording.records)
    operations = b"".join(r.value or b"" for one in recordings for r in one.records if r.topic == "saga.operations")
    assert b'"step":' in operations
    for words in (
        b"-step to be stuck",
        b':room"',
        b':pause"',
        b'"timer":"deadline"',
        b'"operation":"saga.skip"',
        b'"version":2',
    ):
        assert words in written, words
    assert any(r.topic == "saga.state" and r.value is None for recording in recordings for r in recording.records)


def test_the_command_folds_with_the_versions_that_it_is_given(tmp_path: Path) -> None:
    """As part of the `saga` command, the audit compares each state byte for byte with what the events fold to."""
    good = Play(1, (OLD,)).perform(acts=100)
    last = next(record for record in reversed(good.records) if record.topic == "saga.state")
    padded = replace(last, value=(last.value or b"") + b" ")
    save(good, tmp_path / "good")
    save(replace(good, records=tuple(padded if r is last else r for r in good.records)), tmp_path / "padded")
    runs = [CliRunner().invoke(app, ["check", "--file", str(tmp_path / name)], obj=OLD) for name in ("good", "padded")]
    assert [run.exit_code for run in runs] == [0, 1]
