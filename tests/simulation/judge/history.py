"""The history of a world, commit by commit: checks each decision and each changelog record against those before it."""

from collections import Counter
from typing import Any

import orjson

from app.saga.evolve import BrokenHistory, fold
from app.saga.message_ids import attempt_of, idempotency_key
from app.saga.state import FINAL, NO_SAGA, Compensating, Progress, Running, active_step, due_ms
from app.wire.state_codec import encode
from app.wire.topics import TopicPartitionKey
from tests.simulation.judge.admission_queues import AdmissionQueues, IsQueued
from tests.simulation.judge.stores import Tickets, in_flight_steps, queued_steps
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import CommittedTransaction, Message, SimulatedKafka
from tests.simulation.plan import Plan

_LATE_MS = 20_000  # lateness allowed to a timer whose pod runs: waiting records are processed first

Takeovers = list[tuple[int, dict[int, Tickets]]]
"""(number of commits before a pod took over, the tickets that it found by partition)"""


class OrderHistory:
    """An order id as its decisions show it; after a saga has expired, the id can start another one."""

    __slots__ = ("causes", "done_by_hand", "last_end", "progress", "sagas_ended", "sagas_started")

    def __init__(self) -> None:
        self.progress: Progress = NO_SAGA
        self.sagas_started = 0
        self.sagas_ended = 0
        self.last_end: str | None = None  # the last saga's final event
        self.done_by_hand: set[str] = set()  # steps of the last saga that an operator took over
        self.causes: list[TopicPartitionKey] = []  # (topic, offset) of the orders that started the sagas


class PartitionHistory:
    """One partition: commands in flight, queued sagas, and the last timer that fired."""

    def __init__(self) -> None:
        self.in_flight: Counter[str] = Counter()
        self.queues = AdmissionQueues()
        self.fired: tuple[int, int] = (0, 0)  # due time by the pod's clock, and that clock's skew
        self.before: dict[bytes, Progress] = {}  # the commit's sagas, as they were before it


class History:
    """Reads all commits, and collects violations on the way."""

    def __init__(self, kafka: SimulatedKafka, plan: Plan, takeovers: Takeovers) -> None:
        self.orders: dict[bytes, OrderHistory] = {}
        self.requested: Counter[str] = Counter()
        self.outcomes: dict[TopicPartitionKey, bytearray] = {
            tp: bytearray(len(kafka.logs[tp].records)) for tp in kafka.inputs
        }
        self.violations: list[Violation] = []
        self.decisions = 0
        self._kafka = kafka
        self._plan = plan
        self._clocks_known = not plan.pod_faults.clock_jump  # whether the skew gives a pod's clock from the true time
        self._step_of_reply = {type: step for step in plan.versions.steps for type in step.replies}
        self._partitions = [PartitionHistory() for _ in range(kafka.partitions)]
        takeovers = list(takeovers)
        for commit in kafka.commits:
            while takeovers and takeovers[0][0] <= commit.number:
                for number, tickets in takeovers.pop(0)[1].items():
                    self._partitions[number].queues.take_over(tickets)
            self._read_commit(commit)

    def _report(self, invariant: str, key: bytes | None, text: str) -> None:
        self.violations.append(Violation(invariant, key.decode(errors="replace") if key is not None else None, text))

    def _read_commit(self, commit: CommittedTransaction) -> None:
        touched: dict[int, PartitionHistory] = {}
        for message in commit.events:
            partition = touched[message.log.partition] = self._partitions[message.log.partition]
            self._check_decision(message, partition)
        self._check_documents(commit)
        for partition in touched.values():
            self._enqueue_waiting(partition)

    # decisions

    def _check_decision(self, message: Message, partition: PartitionHistory) -> None:
        self.decisions += 1
        key = message.key() or b""
        document = orjson.loads(message.value() or b"")
        order = self.orders.get(key)
        if order is None:
            order = self.orders[key] = OrderHistory()
        before = order.progress
        if document["seq"] != before.seq + 1:
            self._report("seq", key, f"decision {document['seq']} comes after {before.seq}")
        saga = self._plan.versions.of(before.state)
        self._check_cause(message, partition, document, before, key)
        try:
            after = fold(saga, before, document["events"], document["cause"].get("id"))
        except BrokenHistory as error:
            self._report("fold", key, str(error))
            return
        partition.before.setdefault(key, before)
        order.progress = after
        self._check_in_flight(partition, key, before, after)
        for event in document["events"]:
            self._note_event(order, key, event, before, document)

    def _check_cause(
        self, message: Message, partition: PartitionHistory, document: Any, before: Progress, key: bytes
    ) -> None:
        cause = document["cause"]
        if "timer" not in cause:
            self._check_input(message, partition, cause, key)
            return
        if document["at"] < cause["due"]:
            self._report("early", key, f"{cause['timer']} was due at {cause['due']}, and fired at {document['at']}")
        if cause["timer"].endswith(":room"):
            step = cause["timer"].partition(":")[0]
            was_queued = self._queued_before_this_commit(partition)
            self.violations += partition.queues.admit(key, step, was_queued, in_this_commit=not was_queued(key, step))
            return
        due = due_ms(before.state)
        if due is not None and self._clocks_known and message.commit is not None:
            pod = message.commit.incarnation
            partition.fired = max(partition.fired, (due, pod.skew_ms))
            early_ms = due - message.at_ms - pod.skew_ms
            if early_ms > 0:
                self._report("early", key, f"{cause['timer']} fired {early_ms} ms early")
            late_ms = message.at_ms - max(due - pod.skew_ms, pod.started_ms)
            if late_ms > _LATE_MS:
                self._report("late", key, f"{cause['timer']} fired {late_ms} ms late")

    def _check_input(self, message: Message, partition: PartitionHistory, cause: Any, key: bytes) -> None:
        tp, offset = (cause["topic"], cause["partition"]), cause["offset"]
        self.outcomes[tp][offset] += 1
        due, skew = partition.fired
        record = self._kafka.logs[tp].records[offset]
        if record is None or tp[1] != message.log.partition:
            self._report("inputs", key, f"its cause {tp[0]}[{tp[1]}]@{offset} is no record of its partition")
        elif record.at_ms + skew < due:
            early_ms = due - record.at_ms - skew
            self._report("input before timer", key, f"{cause['type']} came {early_ms} ms before a timeout that fired")

    def _queued_before_this_commit(self, partition: PartitionHistory) -> IsQueued:
        """Whether a saga has been queued since an earlier commit."""

        def is_queued(key: bytes, step: str) -> bool:
            order = self.orders.get(key)
            if order is None or step not in queued_steps(order.progress):
                return False
            return key not in partition.before or step in queued_steps(partition.before[key])

        return is_queued

    def _check_in_flight(self, partition: PartitionHistory, key: bytes, before: Progress, after: Progress) -> None:
        old, new = in_flight_steps(before), in_flight_steps(after)
        if old == new:
            return
        partition.in_flight.subtract(old)
        partition.in_flight.update(new)
        for step in new:
            if step not in old and partition.in_flight[step] > self._plan.step_limit:
                self._report("limit", key, f"{partition.in_flight[step]} commands of {step} are in flight")

    # events

    def _note_event(self, order: OrderHistory, key: bytes, event: Any, before: Progress, document: Any) -> None:
        type = event["type"]
        if type.endswith(".requested") and "attempt" in event:
            direction = "do" if type == "saga.step.requested" else "undo"
            self.requested[f"{key.decode()}:{event['step']}:{direction}:{event['attempt']}"] += 1
        elif type == "saga.reply.ignored":
            self._check_ignored_reply(key, event, before)
        elif type == "saga.started":
            order.sagas_started += 1
            order.done_by_hand = set()
            order.last_end = None
            cause = document["cause"]
            order.causes.append((cause["topic"], cause["offset"]))
        elif type in ("saga.completed", "saga.rolled_back"):
            order.sagas_ended += 1
            order.last_end = type
        elif type == "saga.operated":
            self._note_operation(order, event, before)

    def _note_operation(self, order: OrderHistory, event: Any, before: Progress) -> None:
        pivot = self._plan.saga.pivot
        if event["operation"] == "saga.skip":
            order.done_by_hand.update(event["steps"])
        elif event["operation"] == "saga.compensate" and pivot is not None:
            active = active_step(getattr(before.state, "active_steps", ()), pivot.name)
            if active is not None and active.attempt:
                order.done_by_hand.add(pivot.name)

    def _check_ignored_reply(self, key: bytes, event: Any, before: Progress) -> None:
        """The first reply to an active step must not be ignored."""
        state, step = before.state, self._step_of_reply[event["reply"]]
        active = active_step(getattr(state, "active_steps", ()), step.name)
        forward = event["reply"] in (step.succeeded, step.refused)
        if (
            active is None
            or event["reply"] == step.failed
            or not isinstance(state, Running if forward else Compensating)
        ):
            return
        attempt = attempt_of(event["command"], idempotency_key(key.decode(), step.name, "do" if forward else "undo"))
        if attempt is not None and attempt <= active.attempt:
            self._report("first reply", key, f"{event['reply']} to {event['command']} was the first, and ignored")

    # documents

    def _check_documents(self, commit: CommittedTransaction) -> None:
        documents: dict[bytes, Message] = {}
        for message in commit.documents:
            key = message.key() or b""
            if key in documents:
                self._report("changelog", key, "it has two documents in one commit")
            documents[key] = message
        for partition in self._partitions:
            for key in partition.before:
                if key not in documents:
                    self._report("changelog", key, "it was decided, but is not in the changelog")
        for key, message in documents.items():
            self._check_document(key, message, commit)

    def _check_document(self, key: bytes, message: Message, commit: CommittedTransaction) -> None:
        value, order = message.value(), self.orders.get(key)
        if order is None:
            self._report("changelog", key, "it has a document, but no decision")
        elif value is not None:
            if order.progress == NO_SAGA or value != encode(order.progress):
                self._report("changelog", key, f"its document is not the fold of its events: {value.decode()[:80]}")
        else:
            state = order.progress.state
            if not isinstance(state, FINAL):
                self._report("expiry", key, f"it was deleted when it was {type(state).__name__}")
            elif self._clocks_known and message.at_ms + commit.incarnation.skew_ms < state.forget_ms:
                self._report("expiry", key, f"it expired before {state.forget_ms}")
            order.progress = NO_SAGA

    def _enqueue_waiting(self, partition: PartitionHistory) -> None:
        """Sagas that this commit has queued are added to the queues, in the order in which it decided them."""
        for key, before in partition.before.items():
            old = queued_steps(before)
            for step in queued_steps(self.orders[key].progress):
                if step not in old:
                    partition.queues.enqueue(key, step)
        partition.before.clear()

    def last_ends(self) -> dict[bytes, str]:
        """The type of each ended saga's final event, by order id; of several sagas, the last one's."""
        return {key: order.last_end for key, order in self.orders.items() if order.last_end is not None}
