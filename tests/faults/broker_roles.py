"""Finds the broker with a given role: partition leader, group or transaction coordinator, active controller."""

import socket
import struct

from confluent_kafka.admin import AdminClient

_DESCRIBE_QUORUM = 55
_LIMIT = 10.0  # seconds


def leader_of(admin: AdminClient, topic: str, partition: int) -> int:
    """The id of a partition's leader; -1 when it has none."""
    return int(admin.list_topics(topic, timeout=_LIMIT).topics[topic].partitions[partition].leader)


def coordinator_of(admin: AdminClient, topic: str, id: str) -> int:
    """The broker that coordinates a group or a transactional id: it leads the id's partition of an internal topic."""
    count = len(admin.list_topics(topic, timeout=_LIMIT).topics[topic].partitions)
    return leader_of(admin, topic, (_java_hash(id) & 0x7FFFFFFF) % count)


def quorum_leader(address: str) -> int:
    """The node id of the active controller; the client library has no call for it (DescribeQuorum)."""
    topic = b"__cluster_metadata"
    body = bytes((2, len(topic) + 1)) + topic + bytes((2,)) + struct.pack(">i", 0) + bytes(3)
    head = struct.pack(">hhih", _DESCRIBE_QUORUM, 0, 1, -1) + b"\0"
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), _LIMIT) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        with connection.makefile("rb") as response:
            found = response.read(struct.unpack(">i", response.read(4))[0])
    # correlation id, tags, error, topics (one more), name, partitions (one more), index, error, leader
    return int(struct.unpack_from(">i", found, 4 + 1 + 2 + 1 + 1 + len(topic) + 1 + 4 + 2)[0])


def _java_hash(text: str) -> int:
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return value
