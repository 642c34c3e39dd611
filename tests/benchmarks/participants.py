"""Both participants in a process of their own; they reply to every command at once."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from tests.benchmarks.clients import Cluster, MeasurementFailed, Sender, header, poll_batch, topic_reader
from tests.benchmarks.messages import COMMANDS, Orders

_READY_SECONDS = 30.0


@contextmanager
def participants(cluster: Cluster, orders: Orders, linger_ms: float = 0) -> Iterator[None]:
    """Replies within the block to every command that is sent after it began."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of clients in an undefined state
    ready, ending = context.Event(), context.Event()
    process = context.Process(target=_serve, args=(cluster, orders, linger_ms, ready, ending), daemon=True)
    process.start()
    try:
        if not ready.wait(_READY_SECONDS):
            raise MeasurementFailed(f"the participants were not ready within {_READY_SECONDS:.0f} s")
        yield
    finally:
        ending.set()
        process.join(_READY_SECONDS)


def _serve(cluster: Cluster, orders: Orders, linger_ms: float, ready: Event, ending: Event) -> None:
    consumer, sender = topic_reader(cluster, COMMANDS, "end"), Sender(cluster, linger_ms)
    driver = multiprocessing.parent_process()
    ready.set()
    while not ending.is_set() and driver is not None and driver.is_alive():
        for message in poll_batch(consumer, 0.1):
            sender.send(orders.reply(message.key().decode(), header(message, "ce_type"), header(message, "ce_id")))
    consumer.close()
