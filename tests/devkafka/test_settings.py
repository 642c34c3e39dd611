"""The settings, data directories and ports of nodes."""

import socket
from pathlib import Path

import pytest

from app.devkafka import DevKafkaError, Extra, Listener, LocalKafka, Profile
from app.devkafka.ports import free_ports, is_free
from app.devkafka.properties import Node, jvm_flags, server_properties
from app.devkafka.storage import cluster_id_of, new_id, prepare

_NODES = [Node(1, 20001, 20011), Node(2, 20002, 20012), Node(3, 20003, 20013)]


def _settings(node: Node, nodes: list[Node]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in server_properties(node, nodes).splitlines())


def test_one_broker_replicates_nothing() -> None:
    """It is the only voter, and each internal topic has one replica."""
    settings = _settings(_NODES[0], _NODES[:1])
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:20011"
    assert settings["offsets.topic.replication.factor"] == "1"
    assert settings["transaction.state.log.min.isr"] == "1"


def test_three_brokers_all_vote_and_replicate() -> None:
    """Each knows all three voters; internal topics have three replicas, two of them in sync."""
    settings = _settings(_NODES[1], _NODES)
    assert settings["node.id"] == "2"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:20011,2@127.0.0.1:20012,3@127.0.0.1:20013"
    factors = [value for name, value in settings.items() if name.endswith("replication.factor")]
    in_sync = [value for name, value in settings.items() if name.endswith((".min.isr", "min.insync.replicas"))]
    assert factors == ["3"] * 4
    assert in_sync == ["2"] * 3


@pytest.mark.parametrize("count", (1, 3))
def test_every_listener_is_on_the_loopback_address(count: int) -> None:
    """Other computers can't reach a local Kafka."""
    settings = _settings(_NODES[0], _NODES[:count])
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20011"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001"


def test_a_broker_can_be_reached_through_a_proxy_too() -> None:
    """A further listener has its own advertised port and its own settings."""
    proxied = Listener("SAFE", 20021, advertised_port=20031, protocol="SSL", settings={"ssl.keystore.type": "PEM"})
    extra = Extra((proxied,), {"auto.create.topics.enable": "true"})
    settings = dict(line.split("=", 1) for line in server_properties(_NODES[0], _NODES, extra).splitlines())
    assert settings["listeners"].endswith(",SAFE://127.0.0.1:20021")
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001,SAFE://127.0.0.1:20031"
    assert settings["listener.security.protocol.map"].endswith(",SAFE:SSL")
    assert settings["listener.name.safe.ssl.keystore.type"] == "PEM"
    assert settings["auto.create.topics.enable"] == "true"


def test_the_profiles_differ_in_compiler_and_memory() -> None:
    """dev limits the compiler for a quick start; bench compiles fully, uses G1 and has a gigabyte of heap."""
    assert "-XX:TieredStopAtLevel=1" in jvm_flags(Profile.DEV)
    assert {"-XX:+UseG1GC", "-Xmx1g"} < set(jvm_flags(Profile.BENCH))
    assert not [flag for flag in jvm_flags(Profile.BENCH) if "Tiered" in flag or "Serial" in flag]


@pytest.mark.parametrize("count", (0, 2, 4))
def test_only_one_or_three_brokers(count: int) -> None:
    """Two brokers cost more than one, and tolerate no failure either."""
    with pytest.raises(DevKafkaError, match=f"1 or 3 brokers, not with {count}"):
        LocalKafka(brokers=count)


def test_a_cluster_that_does_not_run_has_no_address() -> None:
    """Before the start it is an error, not an empty string."""
    with pytest.raises(DevKafkaError, match="start it first"):
        _ = LocalKafka().bootstrap


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A small stand-in for a formatted data directory."""
    template = tmp_path / "template"
    template.mkdir()
    (template / "meta.properties").write_text("node.id=1\ncluster.id=old\ndirectory.id=old\nversion=1\n")
    (template / "bootstrap.checkpoint").write_bytes(b"\0features")
    return template


def _meta(directory: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (directory / "data" / "meta.properties").read_text().splitlines())


def test_each_node_gets_the_template_with_its_own_identity(tmp_path: Path, template: Path) -> None:
    """All nodes share the cluster id, each has its own directory id, and all other files are copied."""
    for node in _NODES[:2]:
        prepare(tmp_path / f"{node.id}", node, "A" * 22, template)
    first, second = _meta(tmp_path / "1"), _meta(tmp_path / "2")
    assert first | {"node.id": "2", "directory.id": second["directory.id"]} == second
    assert first["cluster.id"] == "A" * 22
    assert first["directory.id"] != second["directory.id"]
    assert (tmp_path / "2" / "data" / "bootstrap.checkpoint").read_bytes() == b"\0features"


def test_data_that_is_there_stays(tmp_path: Path, template: Path) -> None:
    """A second start doesn't format again."""
    prepare(tmp_path, _NODES[0], new_id(), template)
    before = _meta(tmp_path)
    prepare(tmp_path, _NODES[0], new_id(), template)
    assert _meta(tmp_path) == before


def test_a_directory_keeps_its_cluster(tmp_path: Path) -> None:
    """Its cluster id is drawn once, and it can't be started with another number of brokers."""
    assert cluster_id_of(tmp_path, 3) == cluster_id_of(tmp_path, 3)
    with pytest.raises(DevKafkaError, match="holds a cluster of 3 brokers, not 1"):
        cluster_id_of(tmp_path, 1)


@pytest.mark.parametrize("text", ("", "[]", '{"cluster_id": "A"}', '{"cluster_id": "A", "brokers": "x"}', "null"))
def test_a_foreign_cluster_file_is_refused(tmp_path: Path, text: str) -> None:
    """The file stays as it is."""
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(DevKafkaError, match="choose another directory"):
        cluster_id_of(tmp_path, 1)
    assert (tmp_path / "cluster.json").read_text() == text


def test_ids_are_valid_kafka_ids() -> None:
    """22 characters of base64url, the first no dash."""
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(each) for each in ids} == {22}
    assert not [each for each in ids if each.startswith("-")]


def test_ports_are_free_and_different() -> None:
    """The given one comes first."""
    (given,) = free_ports(1)
    ports = free_ports(6, [given])
    assert ports[0] == given
    assert len(set(ports)) == 6
    assert all(map(is_free, ports))


@pytest.mark.parametrize("port", (None, 70_000, -1))
def test_a_port_that_cannot_be_used_is_refused(port: int | None) -> None:
    """A taken port, and numbers that are no ports."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DevKafkaError, match="choose another one"):
        free_ports(2, [port or taken.getsockname()[1]])
