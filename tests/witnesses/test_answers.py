"""What witnesses answer is read right, and a witness that can't answer never passes for one that says 0."""

import sys
import time
from pathlib import Path

import pytest

from tests.witnesses import consumer_groups, go_programs
from tests.witnesses.cache import cached
from tests.witnesses.conversation import Conversation
from tests.witnesses.table import Table
from tests.witnesses.watching import await_more, await_zero
from tests.witnesses.witness import Lag, NoAnswer, Witness

_ECHO = "import sys\nfor line in sys.stdin:\n    print('a', 'b', 'end', sep='\\n', flush=True)"
_TOOL = """
GROUP  TOPIC       PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID  HOST        CLIENT-ID
g      t.requests  0          3               5               2    pod.1        /127.0.0.1  pod
g      t.replies   1          -               0               -    pod.1        /127.0.0.1  pod
"""


def test_the_tools_table_is_read_by_its_header() -> None:
    """A partition without a committed offset has no lag, and is left out."""
    assert consumer_groups.lag_of(_TOOL.splitlines()) == {("t.requests", 0): 2}


def test_a_tool_without_a_table_has_no_answer() -> None:
    """An error of the tool is passed on."""
    with pytest.raises(NoAnswer, match="Consumer group 'g' does not exist"):
        consumer_groups.lag_of(["Error: Consumer group 'g' does not exist."])


def test_a_go_programs_answer_is_read() -> None:
    """Lags by partition; an error is no answer, nor is a scaler that is active without lag."""
    assert go_programs.lag_of('{"lag": {"t": [0, 7]}}') == {("t", 0): 0, ("t", 1): 7}
    assert go_programs.lag_of('{"lag": {"t": [1]}, "active": {"t": [true]}}') == {("t", 0): 1}
    with pytest.raises(NoAnswer, match="no such group"):
        go_programs.lag_of('{"error": "no such group"}')
    with pytest.raises(NoAnswer, match="active: True"):
        go_programs.lag_of('{"lag": {"t": [0]}, "active": {"t": [true]}}')


def test_a_program_is_asked_line_by_line(tmp_path: Path) -> None:
    """Its answer is one line, or all up to the agreed last one; it ends with the block."""
    with Conversation([sys.executable, "-c", _ECHO], tmp_path / "log") as program:
        assert program.ask("end") == ["a", "b"]
        assert program.ask("end") == ["a", "b"]


def test_a_program_that_has_ended_has_no_answer(tmp_path: Path) -> None:
    """What it wrote to its standard error is in the message."""
    with (
        Conversation([sys.executable, "-c", "raise SystemExit('no cluster')"], tmp_path / "log") as program,
        pytest.raises(NoAnswer, match="no cluster"),
    ):
        program.ask()


@pytest.mark.parametrize(
    ("lag", "cell"),
    (({("a.t", 0): 0}, "never: nothing on a.t[1]"), ({("a.t", 0): 0, ("a.t", 1): 2}, "never: 2 on a.t[1]")),
)
def test_a_partition_that_is_behind_or_unknown_is_not_at_0(lag: Lag, cell: str) -> None:
    """Each partition that was asked about must be said to be 0."""
    (sight,) = await_zero([Witness("w", lambda: lag)], [("a.t", 0), ("a.t", 1)], time.monotonic(), 0)
    assert (sight.seconds, sight.cell) == (None, cell)


def test_a_witness_without_an_answer_is_asked_again() -> None:
    """The time runs until the answer that counts."""
    answers = iter((NoAnswer("moving"), {("t", 0): 0}, {("t", 0): 4}))

    def lag() -> Lag:
        answer = next(answers)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    (sight,) = await_more([Witness("w", lag)], ("t", 0), time.monotonic(), 5)
    assert sight.seconds is not None
    assert sight.cell.endswith(" s")


def test_a_thing_is_made_once_for_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made anew when a source changes, and what a failed run left is no obstacle."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source, made = tmp_path / "source", list[Path]()

    def make(into: Path) -> None:
        made.append(into)
        into.write_text(str(len(made)), "utf-8")
        if len(made) == 1:
            raise OSError("no space")

    source.write_text("1", "utf-8")
    with pytest.raises(OSError, match="no space"):
        cached("x", [source], make)
    assert cached("x", [source], make) == cached("x", [source], make)
    source.write_text("2", "utf-8")
    assert cached("x", [source], make).read_text("utf-8") == "3"


def test_the_table_aligns_its_columns() -> None:
    """A scenario for which a witness has no cell has a dash."""
    table = Table()
    table.add("one", "kadm", "0.20 s")
    table.add("two", "ours", "never")
    assert table.lines() == ["scenario  kadm    ours", "one       0.20 s  -", "two       -       never"]
