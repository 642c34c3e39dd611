"""One order, its saga and the sample services, record by record, without Kafka and with time as data."""

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from app.saga.decide import decide
from app.saga.definition import Saga
from app.saga.messages import Input, Order, TimerDue
from app.saga.state import NO_SAGA, due_ms
from app.saga.verdict import Decision
from app.samples.participant.command_handler import CommandHandler
from app.samples.participant.fault_plan import FaultPlan
from app.samples.participant.ledger import Ledger
from app.samples.services.notice import NOTICE
from app.samples.services.payment import PAYMENT
from app.samples.services.reservation import RESERVATION
from app.samples.services.shipping import SHIPPING
from app.wire.envelope import Headers
from app.wire.reader import Reader
from app.wire.state_codec import state_name
from app.wire.writer import Cause, OutputRecord, timer_cause, write

SERVICES = {service.name: service for service in (RESERVATION, PAYMENT, SHIPPING, NOTICE)}
NOON = 1_767_355_200_000  # ms since 1970


class World:
    """The saga of order o-1. Services follow their fault plans, if any; one that is `silent` never answers.

    `log` has the types of the messages that were sent, one tuple per decision.
    """

    def __init__(
        self, saga: Saga, folder: Path, fault_plans: Mapping[str, FaultPlan] | None = None, silent: str = ""
    ) -> None:
        self._saga = saga
        self._reader = Reader(saga)
        self._progress = NO_SAGA
        self._open = ExitStack()
        self._ledgers = {step.name: Ledger(folder / f"{step.name}.sqlite") for step in saga.steps}
        plans = fault_plans or {}
        self._handlers = {
            f"{name}.commands": CommandHandler(SERVICES[name], plans.get(name, FaultPlan()), ledger)
            for name, ledger in self._ledgers.items()
        }
        self._silent = f"{silent}.commands"
        self._commands = deque[OutputRecord]()
        self.now_ms = NOON
        self.log: list[tuple[str, ...]] = []
        self.outcomes: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        for ledger in self._ledgers.values():
            self._open.callback(ledger.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def state(self) -> str:
        """The name of the saga's state."""
        return state_name(self._progress.state)

    def kept(self, service: str) -> Counter[str]:
        """The holdings of a service, by its ledger."""
        return self._ledgers[service].kept()

    def place(self, order: Order) -> None:
        """The shop places the order."""
        self.send("order.requests", "order.place", dict(order))

    def send(self, topic: str, type: str, value: Mapping[str, Any]) -> None:
        """A message about the order is sent, and the orchestrator handles it."""
        self._handle(topic, orjson.dumps(value), [("ce_id", f"o-1:{type}".encode()), ("ce_type", type.encode())])

    def answer(self, count: int) -> None:
        """The services answer this many commands, in the order in which they were sent."""
        for _ in range(count):
            self._answer(self._commands.popleft())

    def run(self, until: int | None = None) -> None:
        """All commands are answered and all timers fire, until the saga ends or is stuck, or up to `until` (ms)."""
        while self.state in ("running", "compensating"):
            if self._commands:
                self._answer(self._commands.popleft())
                continue
            due = due_ms(self._progress.state)
            assert due is not None, "the saga waits for nothing"
            if until is not None and due > until:
                return
            self.now_ms = max(self.now_ms, due)
            self._decide(TimerDue(due), timer_cause("time", due, "o-1"))

    def _answer(self, command: OutputRecord) -> None:
        if command.topic == self._silent:
            return
        service = command.topic.partition(".")[0]
        with self._ledgers[service].transaction():
            seconds = (self.now_ms - NOON) / 1_000
            reply = self._handlers[command.topic].answer(
                command.key, command.value, command.headers, self.now_ms, seconds
            )
        for _ in range(reply.copies):
            self._handle(f"{service}.replies", reply.value, reply.headers)

    def _handle(self, topic: str, value: bytes, headers: Headers) -> None:
        self.now_ms += 1
        received = self._reader.read(topic, b"o-1", value, headers)
        self._decide(received.given, Cause({}, received.id, received.trace))

    def _decide(self, given: Input, cause: Cause) -> None:
        verdict = decide(self._saga, "o-1", self._progress, given, self.now_ms)
        if not isinstance(verdict, Decision):
            return
        self._progress = verdict.progress
        _event, *sent = write(self._saga, "o-1", verdict, cause, self.now_ms)
        if sent:
            self.log.append(tuple((dict(out.headers)["ce_type"] or b"").decode() for out in sent))
        self._commands.extend(out for out in sent if out.topic in self._handlers)
        self.outcomes += [orjson.loads(out.value or b"") for out in sent if out.topic == "order.outcomes"]
