"""The checker and the product agree: whatever happens, what the product writes breaks no invariant."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.audit.archive import save
from app.audit.cli import app
from app.audit.invariants import check
from app.audit.refold import refold
from tests.audit.stage import Play, told
from topologies.order import ORDER


@given(st.integers(0, 2**32))
def test_the_products_turns_keep_every_invariant(seed: int) -> None:
    """Orders, cancels, operators, failures, losses, repetitions, nonsense and time in any order: nothing to find."""
    recording = Play(seed).perform(acts=250)
    report = check(recording, fold=refold(ORDER))
    assert report.violations == (), told(recording)


def test_the_play_goes_every_way() -> None:
    """Together, some seeds show every end, and stuck sagas, second attempts and dead letters."""
    totals = [check(Play(seed).perform(acts=250)).totals for seed in range(20)]
    for name in ("completed", "rejected", "cancelled", "stuck", "commands_again", "replies_ignored", "orders_repeated"):
        assert sum(getattr(one, name) for one in totals) > 0, name
    reasons = {reason for one in totals for reason in one.dead_letters}
    assert {"malformed", "conflict", "unknown_order"} <= reasons
    assert any(one.items.by_hand for one in totals)
    assert all(one.money.balanced and one.items.balanced for one in totals)


def test_the_command_folds_with_the_saga_that_it_is_given(tmp_path: Path) -> None:
    """As part of the `saga` command, the audit compares each state byte for byte with what the events fold to."""
    good = Play(1).perform(acts=100)
    last = next(record for record in reversed(good.records) if record.topic == "saga.state")
    padded = replace(last, value=(last.value or b"") + b" ")
    save(good, tmp_path / "good")
    save(replace(good, records=tuple(padded if r is last else r for r in good.records)), tmp_path / "padded")
    codes = [
        CliRunner().invoke(app, ["check", "--file", str(tmp_path / name)], obj=saga).exit_code
        for name, saga in (("good", ORDER), ("padded", ORDER), ("padded", None))
    ]
    assert codes == [0, 1, 0]
