"""Every private part of quixstreams that the engine overrides, calls or replaces, unchanged since its last review.

A release that changes one fails here. Then read what has changed, review the engine's part named beside it, and only
after that write down the new digest.
"""

import hashlib
import inspect
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from quixstreams import Application
from quixstreams.app import (
    _default_consumer_extra_config,
    consumer_extra_config_overrides,
    resolve_transactional_id,
)
from quixstreams.context import message_context, set_message_context
from quixstreams.core.stream import Stream
from quixstreams.core.stream.functions import StreamFunction
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.dataframe.registry import DataFrameRegistry
from quixstreams.kafka import BaseConsumer
from quixstreams.kafka import consumer as consumer_module
from quixstreams.models import Topic, TopicManager
from quixstreams.models.messagecontext import MessageContext
from quixstreams.processing import ProcessingContext
from quixstreams.runtracker import RunTracker
from quixstreams.state.manager import StateStoreManager

from app.engine.application import SagaApplication
from app.engine.dataframe import BatchDataFrame
from app.engine.kafka.client_config import ClientConfig
from app.engine.runtime.batch import Batch, KeyState
from app.wire.topics import Topics
from tests.engine.group_member import POLICY
from topologies.order import ORDER

VERSION = "3.28.1"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Private:
    """A part of the library, the digest of its source, and the part of the engine that rests on it."""

    part: Callable[..., Any]
    digest: str
    review: str


LOOP = "SagaApplication._run_dataframe, the loop that replaces it"
REBALANCE = "SagaApplication._on_assign, _on_revoke, _on_lost and AssignedPartitions"
FRAME = "BatchDataFrame"
TOPICS = "CheckedTopics: the class that it replaces, and where that is created"
PRIVATES = (
    Private(
        Application.__init__,
        "4f9d58bb0d53",
        "SagaApplication.__init__: which attributes it sets, and which not",
    ),
    Private(Application.run, "0a7112c79acd", f"{LOOP}: the order in which everything around it starts and ends"),
    Private(Application.stop, "57ae199f1102", f"{LOOP}: how it is stopped"),
    Private(Application._exception_handler, "534e503c60c3", f"{REBALANCE}: _failed is set before the consumer closes"),
    Private(Application._run_dataframe, "d566798398e2", LOOP),
    Private(Application._on_assign, "0561f5982c8d", REBALANCE),
    Private(Application._assign_partitions, "0d91b8fc0a0b", REBALANCE),
    Private(Application._on_revoke, "71fe22760d24", REBALANCE),
    Private(Application._on_lost, "bebb6a2227b8", REBALANCE),
    Private(
        Application._get_internal_consumer,
        "9a86449fc0df",
        "ClientConfig.consumer: which settings override it; auto-commit",
    ),
    Private(Application._setup_signal_handlers, "ab73c3ab6d77", f"{LOOP}: SIGTERM and Ctrl-C"),
    Private(Application._on_sigterm, "a3ea9b39a247", f"{LOOP}: SIGTERM"),
    Private(Application._on_sigint, "4a0fe6b3db83", f"{LOOP}: Ctrl-C"),
    Private(Application.dataframe, "b4f779a034fd", "SagaApplication.dataframe"),
    Private(Application.topic, "08d742c59d2c", "topologies: topics of bytes"),
    Private(Application._get_topic_manager, "9e439b487d83", TOPICS),
    Private(TopicManager.topic, "8b3388d9df17", TOPICS),
    Private(TopicManager._fetch_topic, "00c2809064b6", TOPICS),
    Private(StreamingDataFrame.__init__, "d3eda45c5620", FRAME),
    Private(StreamingDataFrame.__dataframe_clone__, "2a66183e38aa", f"{FRAME}: clones keep the class and the context"),
    Private(StreamingDataFrame.to_topic, "78a8dd0a6d57", f"{FRAME}: the method that it replaces"),
    Private(StreamingDataFrame.apply, "a319793f7346", f"{FRAME}: the method that it replaces"),
    Private(StreamingDataFrame.set_headers, "4cb1a27cd377", f"{FRAME}: the method that it replaces"),
    Private(StreamingDataFrame._add_update, "27400642a2fd", f"{FRAME}: how outputs are sent"),
    Private(Stream.merge, "d7ada3690deb", "PassThrough: how joined streams behave"),
    Private(Stream.compose, "5e494f192ba2", "PassThrough: which calls it gets"),
    Private(StreamFunction._resolve_branching, "42d65704bc35", "PassThrough: the steps that follow"),
    Private(StreamingDataFrame.concat, "c24f9f483440", f"{FRAME}: how the join uses the registry"),
    Private(DataFrameRegistry.register_root, "dc3f05b5aeea", "SagaApplication.dataframe"),
    Private(DataFrameRegistry.compose_all, "ae4bab92cbc7", f"{LOOP}: executors by topic"),
    Private(ProcessingContext.__exit__, "5b19fe69b5e7", f"{LOOP}: it would abort a transaction, but has none"),
    Private(StateStoreManager._init_state_dir, "3fc2c6a66573", "runner: a state folder that can't be created"),
    Private(RunTracker.set_as_running, "5565d8cafcbf", LOOP),
    Private(RunTracker.stop, "30e4d0086a60", LOOP),
    Private(BaseConsumer.__init__, "9b75013b1755", "ClientConfig.consumer: which settings the base consumer overrides"),
    Private(BaseConsumer._subscribe, "0232e15bd2be", LOOP),
    Private(
        consumer_module._wrap_assignment_errors,
        "e2bc6a8803c3",
        "cli: the cause of an error in a callback is its __cause__",
    ),
    Private(BaseConsumer.poll, "471ec3eed516", "Loop: reading"),
    Private(BaseConsumer.consume, "d76e85e90258", "Loop: reading"),
    Private(BaseConsumer.commit, "eac4644ff833", "AssignedPartitions: first offsets"),
    Private(BaseConsumer.committed, "c34f53fbcfef", "AssignedPartitions: waits for open transactions"),
    Private(BaseConsumer.close, "0d9b1f4ca0a1", f"{REBALANCE}: revoking at the end"),
    Private(set_message_context, "2814bf57407d", "Loop: the coordinates of a record"),
    Private(message_context, "6b73e1f98eda", "topologies: the coordinates of a record"),
    Private(MessageContext.__init__, "66c433fda74b", "Loop: the coordinates of a record"),
)


def digest(part: Callable[..., Any]) -> str:
    """A digest of the source, apart from indentation and empty lines."""
    lines = [line.strip() for line in inspect.getsource(part).splitlines()]
    return hashlib.sha256("\n".join(line for line in lines if line).encode()).hexdigest()[:12]


def parameter_count(part: Callable[..., Any]) -> int:
    """The number of parameters."""
    return len(inspect.signature(part).parameters)


def change_of(private: Private) -> str | None:
    """A sentence about a part that has changed; None if it has not."""
    name, found = private.part.__qualname__, digest(private.part)
    if found == private.digest:
        return None
    return (
        f"quixstreams {version('quixstreams')} changed {name}: review {private.review}; "
        f"when all is well, put its digest {found} in place of {private.digest}"
    )


def test_the_version_is_pinned_exactly() -> None:
    """No other release is installed by accident, and the pinned one is the tested one."""
    assert f'"quixstreams=={VERSION}",' in (ROOT / "pyproject.toml").read_text("utf-8")
    for lock in ("requirements.lock", "requirements-runtime.lock"):
        pins = re.findall(r"^quixstreams==(\S+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
        assert pins == [VERSION]
    assert version("quixstreams") == VERSION


@pytest.mark.parametrize("private", PRIVATES, ids=lambda private: private.part.__qualname__)
def test_a_private_part_is_unchanged(private: Private) -> None:
    """If a release changes it, the test names the part of the engine to review."""
    assert change_of(private) is None, change_of(private)


def test_a_changed_part_is_named() -> None:
    """The sentence names the part, the review, and the new digest."""
    sentence = change_of(Private(Application.stop, "0" * 12, "how the loop ends"))
    assert sentence == (
        f"quixstreams {VERSION} changed Application.stop: review how the loop ends; "
        f"when all is well, put its digest {digest(Application.stop)} in place of 000000000000"
    )


@pytest.mark.parametrize("name", ("_run_dataframe", "_on_assign", "_on_revoke", "_on_lost", "dataframe"))
def test_an_override_takes_the_arguments_of_the_base(name: str) -> None:
    """The base class calls it with these arguments."""
    assert name in vars(SagaApplication)
    assert parameter_count(getattr(SagaApplication, name)) == parameter_count(getattr(Application, name))


def test_the_dataframe_overrides_existing_methods() -> None:
    """The base class passes outputs by these very names."""
    for name in ("apply", "concat", "set_headers", "to_topic"):
        base, own = (inspect.signature(getattr(frame, name)) for frame in (StreamingDataFrame, BatchDataFrame))
        assert list(base.parameters) == list(own.parameters)


def test_topics_are_not_asked_about_again(app: SagaApplication) -> None:
    """There is no broker, and the library would wait for one."""
    assert app.topic("one").name == "one"


@pytest.fixture
def app(tmp_path: Path) -> SagaApplication:
    """An application that has met no broker."""
    return SagaApplication(ClientConfig("127.0.0.1:1", "group", "pod", tmp_path), Topics(ORDER), POLICY)


@pytest.mark.parametrize(
    ("name", "kind"),
    (
        ("_consumer", BaseConsumer),
        ("_topic_manager", TopicManager),
        ("_dataframe_registry", DataFrameRegistry),
        ("_run_tracker", RunTracker),
        ("_failed", bool),
        ("_stop_event", threading.Event),
    ),
)
def test_an_application_has_the_parts_that_the_engine_uses(app: SagaApplication, name: str, kind: type) -> None:
    """They are set before anything runs."""
    assert isinstance(getattr(app, name), kind)
    assert app._failed is False


def test_a_dataframe_has_the_engines_context(app: SagaApplication) -> None:
    """Clones too, so that the stateful step behind a join finds the state of the open batch."""
    one, other = (app.dataframe(Topic(name)) for name in ("one", "other"))
    context: object = app._context
    for frame in (one, one.concat(other), one.apply(lambda value: value)):
        assert type(frame) is BatchDataFrame
        assert frame._processing_context is context
        assert frame.processing_context is context


def test_a_record_reaches_the_batch_without_detours(app: SagaApplication) -> None:
    """Through a join to the stateful step, and from there each output to the batch; outside of a batch it fails."""
    frames = [app.dataframe(app.topic(name, "bytes", "bytes")) for name in ("one", "other")]
    joined = frames[0].concat(frames[1]).apply(_echo, stateful=True, expand=True, metadata=True)
    joined.set_headers(lambda *_: []).to_topic(lambda *_: app.topic("unasked"))
    run = app._dataframe_registry.compose_all()["other"]
    with pytest.raises(RuntimeError, match="outside of a batch"):
        run(b"value", b"key", 7, None)
    outputs: list[Any] = []
    app._context.enter(cast("Batch", SimpleNamespace(task=SimpleNamespace(store=None), send=outputs.append)), 0)
    run(b"value", b"key", 7, None)
    assert outputs == [b"value", (b"key", 7, KeyState)]


def _echo(value: Any, key: Any, timestamp: int, _: Any, state: Any) -> list[Any]:
    return [value, (key, timestamp, type(state))]


@pytest.mark.parametrize("options", ({"expand": True}, {"metadata": True}))
def test_a_stateful_step_of_another_kind_is_refused(app: SagaApplication, options: dict[str, bool]) -> None:
    """The library would accept it; here it would get no state, or its list would be sent as an output."""
    with pytest.raises(ValueError, match="takes metadata and returns a list"):
        cast("Any", app.dataframe(app.topic("one"))).apply(lambda *_: [], stateful=True, **options)


def test_the_library_would_commit_nothing_by_itself(app: SagaApplication) -> None:
    """None of its overrides of our settings lets offsets be committed outside of transactions."""
    config = cast("BaseConsumer", app._consumer)._consumer_config
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert config["auto.offset.reset"] == "error"
    assert config["isolation.level"] == "read_committed"
    assert config["partition.assignment.strategy"] == "range"
    assert config["group.instance.id"].startswith("pod.")


def test_the_librarys_defaults_are_still_unsafe() -> None:
    """The library's defaults are still as unsafe as at the last review; once they are safe, overrides can go."""
    defaults = inspect.signature(Application.__init__).parameters
    assert defaults["auto_offset_reset"].default == "latest"
    assert defaults["auto_recover_from_source_offset_out_of_range"].default is True
    assert defaults["auto_create_topics"].default is True
    assert consumer_extra_config_overrides == {"partition.assignment.strategy": "range"}
    assert "group.instance.id" not in _default_consumer_extra_config
    assert resolve_transactional_id(None, "") != resolve_transactional_id(None, "")
