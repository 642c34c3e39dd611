"""The least permissions are enough for `saga lag`, `saga doctor` and `saga dead-letters`; each has its role."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from app.operators.cli import app
from app.saga.versions import Versions
from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.topics import DEAD_LETTERS, REQUESTS, Topic
from app.wire.writer import Origin, dead_letter
from tests.broker.pods import said
from tests.devkafka.support import LIMIT
from tests.engine.test_command import saga
from tests.security.secured_topics import SecuredTopics
from topologies.order import ORDER

pytestmark = pytest.mark.broker


def command(user: dict[str, Any], *words: str) -> Result:
    """An operators' command with a user's settings."""
    environment = {f"SAGA_{name.upper()}": str(value) for name, value in user.items()}
    return CliRunner(env=environment).invoke(app, words, obj=Versions((ORDER,)))


def written(secured: SecuredTopics, topic: Topic, key: bytes, headers: Headers) -> int:
    """Writes a record to partition 0 as a superuser; returns its offset."""
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": secured.broker.plain, "log_level": 2})
    producer.produce(
        secured.acls.topics.full(topic),
        b"?",
        key,
        0,
        headers=list(headers),
        on_delivery=lambda _, message: offsets.append(message.offset()),
    )
    assert producer.flush(LIMIT) == 0
    return offsets[0]


def test_an_auditor_may_see_the_lag(secured: SecuredTopics) -> None:
    """An operator may not."""
    assert command(secured.user("auditor"), "lag").exit_code == 0
    assert command(secured.user("operator"), "lag", "--wait", "3").exit_code == 1


def test_the_role_redrive_may_replay(secured: SecuredTopics) -> None:
    """An operator may list dead letters, but not replay them."""
    headers = said("order.place", "o-dead")
    origin = Origin(secured.acls.topics.full(REQUESTS), 0, written(secured, REQUESTS, b"o-dead", headers), 1_000)
    letter = dead_letter(origin, b"o-dead", b"?", headers, InvalidRecord("malformed", "the value is not JSON"))
    written(secured, DEAD_LETTERS, b"o-dead", letter.headers)
    operator, redrive = secured.user("operator"), secured.user("redrive")
    replay = ("dead-letters", "replay", "--order", "o-dead", "--yes", "--operator", "olga", "--wait", "5")
    assert command(operator, "dead-letters", "list").exit_code == 0
    denied = command(operator, *replay)
    assert (denied.exit_code, denied.stdout) == (1, "")
    assert denied.stderr.startswith("error: this user may not replay (")
    assert denied.stderr.endswith("): grant it the role `redrive`\n")
    done = command(redrive, *replay)
    assert (done.exit_code, done.stderr) == (0, "replayed: 1, replayed already: 0, refused: 0\n")


def test_a_pods_permissions_are_enough_for_the_doctor(secured: SecuredTopics, tmp_path: Path) -> None:
    """All that is wrong is that no pod runs; the brokers' clock is not for everybody to read."""
    ended = saga("doctor", state_dir=tmp_path, **secured.user("orchestrator"))
    wrong = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith(("warning", "error"))]
    assert wrong == ["group"], ended.stdout
    assert "unknown  clock         not measurable: this user can't read the times of" in ended.stdout


def test_a_doctor_without_permissions_names_them(secured: SecuredTopics, tmp_path: Path) -> None:
    """A shop's user lacks nearly all; each check says so in its own words, and a person must grant them."""
    ended = saga("doctor", state_dir=tmp_path, **secured.user("shop"))
    assert ended.returncode == 2, ended.stdout
    assert "this user lacks permissions: " in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
