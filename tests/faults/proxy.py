"""A proxy between pods and brokers that injects network faults: delays, lost frames, broken connections, and traps.

Each broker has a listener that advertises the proxy's address, so clients of that listener connect through the proxy.
"""

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from app.devkafka.properties import HOST
from tests.faults.kafka_protocol import Api, Request, end_txn_error, read_frame, with_size


class Moment(Enum):
    """When a trap triggers."""

    REQUEST_RECEIVED = "a request came, and is withheld"
    REQUEST_FORWARDED = "a request was forwarded"
    RESPONSE_RECEIVED = "the response came, and is withheld"


@dataclass(slots=True, eq=False)
class Trap:
    """Calls `act` at the n-th matching request of one client, counted from when the trap is added.

    A withheld frame is lost, unless the trap `holds` it: then the request is forwarded when the trap is released.
    """

    client: str
    api: Api
    moment: Moment
    act: Callable[[], None]
    nth: int = 1
    holds: bool = False
    triggered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def triggers(self, request: Request, moment: Moment) -> bool:
        """Whether this request triggers the trap; if so, it has acted. Of EndTxn requests only commits match."""
        mine = request.client == self.client and request.api == self.api and moment is self.moment
        if not mine or self.triggered.is_set() or (self.api is Api.END_TXN and not request.commits):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.act()
        self.triggered.set()
        return True


@dataclass(frozen=True, slots=True)
class Link:
    """State of the link to one broker.

    `delay`: seconds added to each frame; `breaks`: share of frames at which the connection breaks; `requests`,
    `responses`: whether these are forwarded; `open`: whether connections are accepted at all.
    """

    delay: float = 0.0
    breaks: float = 0.0
    requests: bool = True
    responses: bool = True
    open: bool = True


HEALTHY = Link()


@dataclass(frozen=True, slots=True)
class EndTxnResponse:
    """The response to a commit of a client: when it came (monotonic seconds), and its error code."""

    client: str
    at: float
    error: int


class Network:
    """The links to all brokers of a cluster. `routes`: (port of the proxy, port of the broker) by broker id."""

    def __init__(self, routes: Mapping[int, tuple[int, int]], seed: int) -> None:
        self._routes = routes
        self._links = dict.fromkeys(routes, HEALTHY)
        self._traps: list[Trap] = []
        self._open: dict[int, set[asyncio.Task[Any] | None]] = {number: set() for number in routes}
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self.rng = random.Random(seed)
        self.commits: list[EndTxnResponse] = []
        self._requests: Counter[tuple[str, int]] = Counter()

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for clients that connect through the proxy."""
        return ",".join(f"{HOST}:{advertised}" for advertised, _ in self._routes.values())

    def add(self, trap: Trap) -> Trap:
        """Arms a trap; returns it."""
        self._traps = [*self._traps, trap]
        return trap

    def remove(self, trap: Trap) -> None:
        """Disarms a trap, and releases the request that it holds."""
        self._traps = [other for other in self._traps if other is not trap]
        trap.released.set()

    def change(self, link: Link, *brokers: int) -> None:
        """Sets the state of the links to these brokers, or to all of them."""
        for number in brokers or self._routes:
            self._links[number] = link
            if not link.open:
                self._loop.call_soon_threadsafe(self._cut, number)

    def link(self, broker: int) -> Link:
        """The state of the link to a broker."""
        return self._links[broker]

    def requests(self, client: str, api: Api) -> int:
        """How many requests of this API a client has sent."""
        return self._requests[client, api]

    def committed(self, client: str, since: float) -> list[EndTxnResponse]:
        """The successful commits of a client since then (monotonic seconds)."""
        return [one for one in list(self.commits) if (one.client, one.error) == (client, 0) and one.at >= since]

    def trigger(self, request: Request, moment: Moment) -> Trap | None:
        """The trap that this request triggers at this moment, if any."""
        if moment is Moment.REQUEST_RECEIVED:
            self._requests[request.client, request.api] += 1
        return next((trap for trap in self._traps if trap.triggers(request, moment)), None)

    def _cut(self, number: int) -> None:
        for task in self._open[number]:
            if task is not None:
                task.cancel()

    def _serving(
        self, number: int
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            try:
                self._open[number].add(task)
                if self._links[number].open:
                    await _Connection(self, number, (reader, writer)).run(self._routes[number][1])
            except (OSError, asyncio.CancelledError):
                return  # the broker is down, or the link was cut
            finally:
                self._open[number] -= {task}
                writer.close()

        return serve

    async def _listen(self) -> None:
        for number, (advertised, _) in self._routes.items():
            self._servers.append(await asyncio.start_server(self._serving(number), HOST, advertised))

    async def _end(self) -> None:
        for trap in self._traps:
            trap.released.set()
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()

    @contextmanager
    def running(self) -> Iterator["Network"]:
        """Serves on a thread of its own while the block runs."""
        self._loop.run_until_complete(self._listen())
        thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop)
            thread.join()
            self._loop.close()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client connection to one broker. A broker answers the requests of a connection in order."""

    def __init__(self, network: Network, number: int, client: Streams) -> None:
        self._network, self._number = network, number
        self._client = client
        self._unanswered: deque[Request] = deque()
        self._answered = asyncio.Event()
        self._held: asyncio.Task[None] | None = None

    async def run(self, port: int) -> None:
        """Forwards frames both ways until one side closes or a fault breaks the connection."""
        broker = await asyncio.open_connection(HOST, port)
        ways = [
            asyncio.create_task(self._forward_requests(broker[1])),
            asyncio.create_task(self._forward_responses(broker[0])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._client[1].close()
            try:
                if self._held is not None:  # a held request reaches the broker even if the client is gone
                    await self._held
            finally:
                for way in ways:
                    way.cancel()
                broker[1].close()

    async def _forward_requests(self, broker: asyncio.StreamWriter) -> None:
        async for frame in self._frames(self._client[0]):
            request = Request.parse(frame)
            trap = self._network.trigger(request, Moment.REQUEST_RECEIVED)
            if trap is not None and trap.holds:
                self._held = asyncio.create_task(self._hold(trap, request, frame, broker))
                await asyncio.shield(self._held)
            elif trap is None and self._network.link(self._number).requests:
                self._forward(request, frame, broker)

    async def _hold(self, trap: Trap, request: Request, frame: bytes, broker: asyncio.StreamWriter) -> None:
        """Forwards the request once the trap is released, and returns when its response has come."""
        await asyncio.to_thread(trap.released.wait)
        self._forward(request, frame, broker)
        self._answered.clear()
        await self._answered.wait()

    def _forward(self, request: Request, frame: bytes, broker: asyncio.StreamWriter) -> None:
        self._unanswered.append(request)
        broker.write(with_size(frame))
        self._network.trigger(request, Moment.REQUEST_FORWARDED)

    async def _forward_responses(self, broker: asyncio.StreamReader) -> None:
        try:
            async for frame in self._frames(broker):
                self._respond(self._unanswered.popleft(), frame)
                self._answered.set()
        finally:
            self._answered.set()

    def _respond(self, request: Request, frame: bytes) -> None:
        if request.commits:
            self._network.commits.append(EndTxnResponse(request.client, time.monotonic(), end_txn_error(frame)))
        withheld = self._network.trigger(request, Moment.RESPONSE_RECEIVED)
        if withheld is None and self._network.link(self._number).responses and not self._client[1].is_closing():
            self._client[1].write(with_size(frame))

    async def _frames(self, stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while (frame := await read_frame(stream)) is not None:
            link = self._network.link(self._number)
            if link.breaks and self._network.rng.random() < link.breaks:
                return
            if link.delay:
                await asyncio.sleep(link.delay)
            yield frame
