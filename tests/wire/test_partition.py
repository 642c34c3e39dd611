"""The partitions of keys by Kafka's default partitioner."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.partition import murmur2, partition_of

VECTORS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}
"""From the tests of Kafka's own clients, as signed numbers."""


@pytest.fixture(scope="module")
def librdkafka() -> Callable[[bytes, int], int]:
    """The murmur2 partitioner of the C client, from its library."""
    package = Path(confluent_kafka.__file__).parent
    found = [*package.with_name("confluent_kafka.libs").glob("librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        pytest.skip("this build of confluent-kafka brings no librdkafka of its own")
    partition = ctypes.CDLL(str(found[0])).rd_kafka_msg_partitioner_murmur2
    partition.restype = ctypes.c_int32
    pointer = ctypes.c_void_p
    partition.argtypes = (pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, pointer, pointer)
    return lambda key, partitions: int(partition(None, key, len(key), partitions, None, None))


@pytest.mark.parametrize(("key", "expected"), tuple(VECTORS.items()))
def test_murmur2_is_kafkas(key: str, expected: int) -> None:
    """The hash of each of Kafka's own vectors, as an unsigned number."""
    assert murmur2(key.encode()) == expected % 2**32


def test_the_sign_is_dropped_before_dividing() -> None:
    """A negative hash loses its sign bit, as in the Java client; it is neither negated nor divided as it is."""
    hashed = VECTORS["21"] % 2**32
    assert partition_of(b"21", 100) == (hashed - 2**31) % 100
    assert partition_of(b"21", 100) not in (hashed % 100, -VECTORS["21"] % 100)


@given(st.binary(max_size=130), st.integers(1, 1_000_000))
def test_partitions_are_those_of_the_c_client(
    librdkafka: Callable[[bytes, int], int], key: bytes, partitions: int
) -> None:
    """For keys of any length and any number of partitions."""
    assert partition_of(key, partitions) == librdkafka(key, partitions)


def test_keys_spread() -> None:
    """Of twelve partitions, none gets twice its share of a thousand orders, or almost nothing."""
    counts = [0] * 12
    for number in range(1000):
        counts[partition_of(f"o-{number}".encode(), 12)] += 1
    assert all(40 < count < 2 * 1000 / 12 for count in counts)
