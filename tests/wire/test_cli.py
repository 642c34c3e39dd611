"""`saga wire`: the command writes the documents that the code generates."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from app.saga.versions import Versions
from app.wire import asyncapi, schemas
from app.wire.cli import app
from app.wire.topics import Topics
from tests.wire.stories import VERSIONS
from topologies.order import ORDER


def saga_wire(*arguments: str, **environment: str) -> Result:
    """Runs the command for the order saga."""
    return CliRunner().invoke(app, list(arguments), obj=ORDER, env=environment)


def test_schemas_are_written_one_file_each(tmp_path: Path) -> None:
    """A missing folder is created, and a second run writes the same files."""
    folder = tmp_path / "new" / "schemas"
    for _ in range(2):
        result = saga_wire("schemas", str(folder))
        assert (result.exit_code, result.output.split()[0]) == (0, "24")
        written = {file.name: orjson.loads(file.read_bytes()) for file in folder.iterdir()}
        assert written == {f"{name}.json": schema for name, schema in schemas.documents(ORDER).items()}


def test_all_versions_are_documented_together() -> None:
    """With several versions the document describes all of them; with one it is that of the saga."""
    both, one = (CliRunner().invoke(app, ["asyncapi"], obj=saga).output for saga in (VERSIONS, Versions((ORDER,))))
    assert both.encode() == schemas.encoded(asyncapi.document(Topics(VERSIONS)))
    assert one == saga_wire("asyncapi").output != both


def test_asyncapi_is_written_to_a_file_or_printed(tmp_path: Path) -> None:
    """The same bytes both ways, and nothing else is printed."""
    file = tmp_path / "asyncapi.json"
    expected = schemas.encoded(asyncapi.document(Topics(ORDER)))
    assert saga_wire("asyncapi", str(file)).output == ""
    assert file.read_bytes() == expected
    assert saga_wire("asyncapi").output.encode() == expected


def test_topics_are_printed_as_a_table() -> None:
    """One line per topic, in columns."""
    head, *rows = saga_wire("topics").output.splitlines()
    assert head.split("  ")[0] == "topic"
    assert [row.split()[0] for row in rows] == [topic.name for topic in Topics(ORDER).all]
    (kept,) = (row for row in rows if row.startswith("saga.events"))
    assert kept.endswith("cleanup.policy=delete retention.ms=-1")
    columns = {row.index("cleanup.policy") for row in rows}
    assert columns == {head.index("configuration")}


def test_a_prefix_is_an_option_or_a_setting() -> None:
    """The setting is the orchestrator's own."""
    for result in (saga_wire("topics", "--prefix", "t."), saga_wire("topics", SAGA_TOPIC_PREFIX="t.")):
        assert all(row.startswith("t.") for row in result.output.splitlines()[1:])
    assert '"address": "t.order.requests"' in saga_wire("asyncapi", "--prefix", "t.").output


@pytest.mark.parametrize("command", ("schemas", "asyncapi"))
def test_a_path_that_cannot_be_written_is_one_sentence(command: str, tmp_path: Path) -> None:
    """There is no traceback for a file in the way, or a missing folder."""
    (tmp_path / "file").touch()
    result = saga_wire(command, str(tmp_path / "file" / "x"))
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert len(result.output.splitlines()) == 1


def test_a_command_without_a_saga_says_so() -> None:
    """The composition root must provide one."""
    result = CliRunner().invoke(app, ["topics"])
    assert isinstance(result.exception, LookupError)
