"""INV-17: the group's committed offsets, sampled while a run goes on."""

from app.audit.check import CommittedOffsets


def test_committed_offsets_go_forward() -> None:
    """An offset may stay or grow. One that falls or is missing breaks INV-17."""
    offsets = CommittedOffsets()
    assert offsets.see({("order.requests", 0): 5}) == []
    assert offsets.see({("order.requests", 0): 5, ("order.requests", 1): 1}) == []
    assert [violation.text for violation in offsets.see({("order.requests", 0): 4})] == [
        "order.requests/0: committed 5, later 4",
        "order.requests/1: committed 1, later none",
    ]
    assert offsets.see({("order.requests", 0): 6})[0].invariant == "INV-17"


def test_an_offset_that_fell_is_reported_once() -> None:
    """The next sample is compared with the lower offset."""
    offsets = CommittedOffsets()
    offsets.see({("order.requests", 0): 5})
    assert len(offsets.see({("order.requests", 0): 4})) == 1
    assert offsets.see({("order.requests", 0): 4}) == []
