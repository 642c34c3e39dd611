"""The partition of a key by Kafka's default (Java) partitioner, murmur2."""

from struct import unpack_from

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's 32-bit murmur2, unsigned."""
    length = len(key)
    h = (0x9747B28C ^ length) & _MASK
    words = length >> 2
    for word in unpack_from(f"<{words}I", key):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    tail = key[words << 2 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition, of this many, that the default partitioner chooses for a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
