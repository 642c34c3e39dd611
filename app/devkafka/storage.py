"""Data directories of nodes: formatted once by Kafka's own tool, then copied, which saves a Java start each time."""

import base64
import json
import secrets
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from app.devkafka.errors import DevKafkaError
from app.devkafka.properties import DATA, SCRATCH, Node, server_properties

_FORMAT_LIMIT = 120.0  # seconds
_META = "meta.properties"
_CLUSTER = "cluster.json"


def new_id() -> str:
    """A new Kafka id: 22 characters of base64url; the first is no dash, which tools would take for an option."""
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass
    return text


def format_template(java: Path, classpath: str, template: Path) -> None:
    """Has Kafka's StorageTool make `template`, a data directory with an empty log; DevKafkaError if it fails."""
    node = Node(1, 1, 2)  # any ports: formatting opens none
    with TemporaryDirectory(prefix="order-saga-format-") as scratch:
        Path(scratch, "server.properties").write_text(server_properties(node, [node]), encoding="ascii")
        command = [str(java), "-XX:TieredStopAtLevel=1", "-cp", classpath, "kafka.tools.StorageTool", "format"]
        command += ["-t", new_id(), "-c", "server.properties"]
        try:
            ended = subprocess.run(
                command, check=False, cwd=scratch, capture_output=True, text=True, timeout=_FORMAT_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise DevKafkaError(f"Kafka's StorageTool took longer than {_FORMAT_LIMIT:.0f} s; try again.") from None
        if ended.returncode:
            raise DevKafkaError(
                f"Kafka's StorageTool failed with {java}:\n{(ended.stdout + ended.stderr)[-2000:].strip()}"
            )
        shutil.copytree(Path(scratch, DATA), template)


def prepare(directory: Path, node: Node, cluster_id: str, template: Path) -> None:
    """Makes the node's data directory from the template, completely or not at all; an existing one stays as it is."""
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    (directory / SCRATCH).mkdir(parents=True)
    data = directory / DATA
    if data.exists():
        return
    partial = directory / f"{DATA}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(template, partial)
    meta = f"version=1\ncluster.id={cluster_id}\nnode.id={node.id}\ndirectory.id={new_id()}\n"
    (partial / _META).write_text(meta, encoding="ascii")
    partial.rename(data)


def cluster_id_of(directory: Path, brokers: int) -> str:
    """The cluster id kept in the directory, a new one if there is none; DevKafkaError for another number of brokers."""
    file = directory / _CLUSTER
    if not file.exists():
        partial = directory / f"{_CLUSTER}.partial"
        partial.write_text(json.dumps({"cluster_id": new_id(), "brokers": brokers}) + "\n", encoding="ascii")
        partial.rename(file)
    try:
        kept = json.loads(file.read_text(encoding="ascii"))
        cluster_id, size = str(kept["cluster_id"]), int(kept["brokers"])
    except (ValueError, KeyError, TypeError):
        raise DevKafkaError(f"{file} can't be read as a cluster; choose another directory.") from None
    if size != brokers:
        raise DevKafkaError(
            f"{directory} holds a cluster of {size} brokers, not {brokers}: start {size}, or choose another directory."
        )
    return cluster_id
