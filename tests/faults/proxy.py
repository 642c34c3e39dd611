"""A network between pods and brokers that does as it is told: slows down, goes silent, breaks, and springs traps.

Each broker has a listener whose advertised address is this network's, so that clients of it are sent through here.
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
from tests.faults.frames import Api, Request, end_error, packed, read


class Moment(Enum):
    """Where a trap springs."""

    ASKED = "a request came, and is withheld"
    SENT = "a request was passed on"
    ANSWERED = "the answer came, and is withheld"


@dataclass(slots=True, eq=False)
class Trap:
    """Does something when the n-th request of a kind, counted from its setting, of some client is at a moment.

    What is withheld is lost; a request that a trap `holds` passes when it is released.
    """

    client: str
    api: Api
    moment: Moment
    act: Callable[[], None]
    nth: int = 1
    holds: bool = False
    sprung: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def springs(self, request: Request, moment: Moment) -> bool:
        """Whether this is it; then it has acted."""
        mine = request.client == self.client and request.api == self.api and moment is self.moment
        if not mine or self.sprung.is_set() or (self.api is Api.END_TXN and not request.commits):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.act()
        self.sprung.set()
        return True


@dataclass(frozen=True, slots=True)
class Weather:
    """How a broker's link is: seconds that each frame takes more, the share of frames at which a connection breaks,
    and whether requests, answers, or anything at all gets through."""

    delay: float = 0.0
    breaks: float = 0.0
    asks: bool = True
    answers: bool = True
    open: bool = True


CALM = Weather()


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction that a client asked to commit: when the answer came (monotonic), and the error in it."""

    client: str
    at: float
    error: int


class Network:
    """The links to all brokers of a cluster; `routes` has (port of the network, port of the broker) by broker id."""

    def __init__(self, routes: Mapping[int, tuple[int, int]], seed: int) -> None:
        self._routes = routes
        self._weather = dict.fromkeys(routes, CALM)
        self._traps: list[Trap] = []
        self._open: dict[int, set[asyncio.Task[Any] | None]] = {number: set() for number in routes}
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self.chance = random.Random(seed)
        self.commits: list[Commit] = []
        self._asked: Counter[tuple[str, int]] = Counter()

    @property
    def bootstrap(self) -> str:
        """Where clients begin that are to go through here."""
        return ",".join(f"{HOST}:{told}" for told, _ in self._routes.values())

    def set(self, trap: Trap) -> Trap:
        """From now on the trap waits."""
        self._traps = [*self._traps, trap]
        return trap

    def take_away(self, trap: Trap) -> None:
        """The trap waits no more, and lets go of what it holds."""
        self._traps = [other for other in self._traps if other is not trap]
        trap.released.set()

    def change(self, weather: Weather, *brokers: int) -> None:
        """From now on the links to these brokers, or to all of them, are so."""
        for number in brokers or self._routes:
            self._weather[number] = weather
            if not weather.open:
                self._loop.call_soon_threadsafe(self._cut, number)

    def weather(self, broker: int) -> Weather:
        """How a broker's link is now."""
        return self._weather[broker]

    def asked(self, client: str, api: Api) -> int:
        """How often a client has asked for that."""
        return self._asked[client, api]

    def committed(self, client: str, since: float) -> list[Commit]:
        """What a client has committed since then."""
        return [one for one in list(self.commits) if (one.client, one.error) == (client, 0) and one.at >= since]

    def spring(self, request: Request, moment: Moment) -> Trap | None:
        """The trap that this springs."""
        if moment is Moment.ASKED:
            self._asked[request.client, request.api] += 1
        return next((trap for trap in self._traps if trap.springs(request, moment)), None)

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
                if self._weather[number].open:
                    await _Link(self, number, (reader, writer)).run(self._routes[number][1])
            except (OSError, asyncio.CancelledError):
                return  # the broker is down, or the link was cut
            finally:
                self._open[number] -= {task}
                writer.close()

        return serve

    async def _listen(self) -> None:
        for number, (told, _) in self._routes.items():
            self._servers.append(await asyncio.start_server(self._serving(number), HOST, told))

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
        """Works while the block runs, on a thread of its own."""
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


class _Link:
    """One connection of a client to a broker; answers come in the order of the requests."""

    def __init__(self, network: Network, number: int, client: Streams) -> None:
        self._network, self._number = network, number
        self._client = client
        self._asked: deque[Request] = deque()
        self._answered = asyncio.Event()
        self._late: asyncio.Task[None] | None = None

    async def run(self, port: int) -> None:
        """Passes frames both ways until an end is gone, or the weather breaks it."""
        broker = await asyncio.open_connection(HOST, port)
        ways = [asyncio.create_task(self._ask(broker[1])), asyncio.create_task(self._answer(broker[0]))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._client[1].close()
            try:
                if self._late is not None:  # the broker gets what is held even when the client has gone
                    await self._late
            finally:
                for way in ways:
                    way.cancel()
                broker[1].close()

    async def _ask(self, broker: asyncio.StreamWriter) -> None:
        async for frame in self._coming(self._client[0]):
            request = Request.of(frame)
            trap = self._network.spring(request, Moment.ASKED)
            if trap is not None and trap.holds:
                self._late = asyncio.create_task(self._hold(trap, request, frame, broker))
                await asyncio.shield(self._late)
            elif trap is None and self._network.weather(self._number).asks:
                self._pass_on(request, frame, broker)

    async def _hold(self, trap: Trap, request: Request, frame: bytes, broker: asyncio.StreamWriter) -> None:
        """Until it is released, and its answer has come."""
        await asyncio.to_thread(trap.released.wait)
        self._pass_on(request, frame, broker)
        self._answered.clear()
        await self._answered.wait()

    def _pass_on(self, request: Request, frame: bytes, broker: asyncio.StreamWriter) -> None:
        self._asked.append(request)
        broker.write(packed(frame))
        self._network.spring(request, Moment.SENT)

    async def _answer(self, broker: asyncio.StreamReader) -> None:
        try:
            async for frame in self._coming(broker):
                self._pass_back(self._asked.popleft(), frame)
                self._answered.set()
        finally:
            self._answered.set()

    def _pass_back(self, request: Request, frame: bytes) -> None:
        if request.commits:
            self._network.commits.append(Commit(request.client, time.monotonic(), end_error(frame)))
        withheld = self._network.spring(request, Moment.ANSWERED)
        if withheld is None and self._network.weather(self._number).answers and not self._client[1].is_closing():
            self._client[1].write(packed(frame))

    async def _coming(self, stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while (frame := await read(stream)) is not None:
            weather = self._network.weather(self._number)
            if weather.breaks and self._network.chance.random() < weather.breaks:
                return
            if weather.delay:
                await asyncio.sleep(weather.delay)
            yield frame
