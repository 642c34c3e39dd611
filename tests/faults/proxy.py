"""A proxy that stands before one broker and knows its protocol: it swallows answers, or holds requests back."""

import selectors
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from app.devkafka.properties import HOST
from tests.devkafka.support import until

ADD_PARTITIONS, ADD_OFFSETS, END, COMMIT_OFFSETS = 24, 25, 26, 28  # what a transaction asks of its coordinators
_CHUNK = 1 << 16
_PAUSE_SECONDS = 0.05


class Pipe:
    """One client's connection, and that to the broker for it. For the proxy's own thread."""

    def __init__(self, client: socket.socket, broker: socket.socket) -> None:
        self.client, self.broker = client, broker
        self.asked: dict[int, int] = {}  # the kind of each request that waits for its answer, by its number
        self.held = b""
        self.closed = False
        self._unread = {client: b"", broker: b""}

    def frames(self, end: socket.socket) -> Iterator[bytes]:
        """What came in whole from this end, its length before it."""
        with suppress(BlockingIOError, ConnectionError):
            data = end.recv(_CHUNK)
            self.closed = not data
            self._unread[end] += data
        while len(self._unread[end]) >= 4:
            size = 4 + struct.unpack_from(">i", self._unread[end])[0]
            if len(self._unread[end]) < size:
                return
            yield self._unread[end][:size]
            self._unread[end] = self._unread[end][size:]


class Proxy:
    """Listens on a port for what another port serves. `requests` and `answers` are counted by kind."""

    def __init__(self, port: int, behind: int) -> None:
        self.port, self._behind = port, behind
        self.requests: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self._swallowed: frozenset[int] = frozenset()
        self._held: frozenset[int] = frozenset()
        self._selector = selectors.DefaultSelector()
        self._pipes: list[Pipe] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy")

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.port}"

    def __enter__(self) -> Self:
        server = socket.create_server((HOST, self.port))
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, None)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    @contextmanager
    def swallowing(self, *kinds: int) -> Iterator[None]:
        """The broker gets these requests, and nobody gets its answers."""
        self._swallowed = frozenset(kinds)
        yield
        self._swallowed = frozenset()

    @contextmanager
    def holding(self, *kinds: int) -> Iterator[None]:
        """The broker does not get these requests."""
        self._held = frozenset(kinds)
        yield
        self._held = frozenset()

    def cut(self) -> None:
        """Lets go of the clients whose requests are held: they may come again, on connections of their own."""
        with self._lock:
            for pipe in self._pipes:
                if pipe.held:
                    self._let_go(pipe.client)

    def release(self, kind: int) -> None:
        """Passes on what was held of a kind, late as it is, and returns when the broker has answered."""
        answered = self.answers[kind]
        with self._lock:
            for pipe in self._pipes:
                held, pipe.held = pipe.held, b""
                if held:
                    pipe.broker.sendall(held)
        until(lambda: self.answers[kind] > answered, "the broker's answer")

    def _serve(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(_PAUSE_SECONDS):
                with self._lock:
                    if key.data is None:
                        self._accept(key.fileobj)  # type: ignore[arg-type]
                    elif not key.data.closed:
                        self._pass(key.data, key.fileobj)  # type: ignore[arg-type]

    def _accept(self, server: socket.socket) -> None:
        client, _ = server.accept()
        pipe = Pipe(client, socket.create_connection((HOST, self._behind)))
        self._pipes.append(pipe)
        for end in (pipe.client, pipe.broker):
            self._selector.register(end, selectors.EVENT_READ, pipe)

    def _pass(self, pipe: Pipe, end: socket.socket) -> None:
        if end is pipe.client:
            self._pass_on(pipe)
        else:
            self._pass_back(pipe)
        if pipe.closed and pipe.held and end is pipe.client:
            self._let_go(pipe.client)
            pipe.closed = False
        elif pipe.closed:
            self._pipes.remove(pipe)
            self._let_go(pipe.client)
            self._let_go(pipe.broker)

    def _let_go(self, end: socket.socket) -> None:
        if end.fileno() >= 0:
            self._selector.unregister(end)
            end.close()

    def _pass_on(self, pipe: Pipe) -> None:
        for frame in pipe.frames(pipe.client):
            kind, _, number = struct.unpack_from(">hhi", frame, 4)
            self.requests[kind] += 1
            pipe.asked[number] = kind
            if kind in self._held:
                pipe.held += frame
            else:
                pipe.broker.sendall(frame)

    def _pass_back(self, pipe: Pipe) -> None:
        for frame in pipe.frames(pipe.broker):
            kind = pipe.asked.pop(struct.unpack_from(">i", frame, 4)[0])
            self.answers[kind] += 1
            if kind not in self._swallowed:
                with suppress(OSError):  # the client is gone
                    pipe.client.sendall(frame)
