"""The history of a world, commit by commit: every decision in its place, and what the stores were told of it."""

from collections import Counter
from typing import Any

import orjson

from app.engine.offsets import Place
from app.saga.evolve import BrokenHistory, advance
from app.saga.identity import attempt_of, effect_key
from app.saga.state import FINAL, UNKNOWN, Compensating, Progress, Running, due_ms, leg_of
from app.wire.statedoc import encode
from tests.simulation.judge.queue import Lines, Waits
from tests.simulation.judge.stores import Queues, outstanding, waiting
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Commit, Kafka, Message
from tests.simulation.plan import Plan

_LATE_MS = 20_000  # that a timer may be at most, once its pod is there: records that wait come first

Takeovers = list[tuple[int, dict[int, Queues]]]
"""After how many commits a pod took over, and the tickets that it found, by partition."""


class Tale:
    """What is known of an order id from its decisions, its lives one after the other."""

    __slots__ = ("by_hand", "causes", "end", "ends", "lives", "progress")

    def __init__(self) -> None:
        self.progress: Progress = UNKNOWN
        self.lives = 0
        self.ends = 0
        self.end: str | None = None  # of the last life
        self.by_hand: set[str] = set()  # steps of the last life of which a person said what became of them
        self.causes: list[Place] = []  # the topics and offsets of the orders that began its lives


class Side:
    """One partition: who is asked, who waits, and which timer fired last."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.lines = Lines()
        self.fired: tuple[int, int] = (0, 0)  # due time by the pod's clock, and how far that was ahead
        self.before: dict[bytes, Progress] = {}  # of what this commit touched


class History:
    """Reads all commits; what is wrong is found on the way."""

    def __init__(self, kafka: Kafka, plan: Plan, takeovers: Takeovers) -> None:
        self.tales: dict[bytes, Tale] = {}
        self.requested: Counter[str] = Counter()
        self.outcomes: dict[Place, bytearray] = {
            place: bytearray(len(kafka.logs[place].records)) for place in kafka.inputs
        }
        self.problems: list[Violation] = []
        self.decisions = 0
        self._kafka = kafka
        self._plan = plan
        self._exact = not plan.hardship.jump  # whether the pods' clocks can be told from the true time
        self._types = {type: step for step in plan.versions.steps for type in step.replies}
        self._sides = [Side() for _ in range(kafka.partitions)]
        takeovers = list(takeovers)
        for commit in kafka.commits:
            while takeovers and takeovers[0][0] <= commit.number:
                for number, found in takeovers.pop(0)[1].items():
                    self._sides[number].lines.take_over(found)
            self._read(commit)

    def _wrong(self, law: str, key: bytes | None, text: str) -> None:
        self.problems.append(Violation(law, key.decode(errors="replace") if key is not None else None, text))

    def _read(self, commit: Commit) -> None:
        touched: dict[int, Side] = {}
        for message in commit.events:
            side = touched[message.log.partition] = self._sides[message.log.partition]
            self._decision(message, side)
        self._documents(commit)
        for side in touched.values():
            self._join(side)

    # decisions

    def _decision(self, message: Message, side: Side) -> None:
        self.decisions += 1
        key = message.key() or b""
        document = orjson.loads(message.value() or b"")
        tale = self.tales.get(key)
        if tale is None:
            tale = self.tales[key] = Tale()
        before = tale.progress
        if document["seq"] != before.seq + 1:
            self._wrong("seq", key, f"decision {document['seq']} comes after {before.seq}")
        saga = self._plan.versions.of(before.state)
        self._cause(message, side, document, before, key)
        try:
            after = advance(saga, before, document["events"])
        except BrokenHistory as error:
            self._wrong("fold", key, str(error))
            return
        side.before.setdefault(key, before)
        tale.progress = after
        self._count(side, key, before, after)
        for event in document["events"]:
            self._event(tale, key, event, before, document)

    def _cause(self, message: Message, side: Side, document: Any, before: Progress, key: bytes) -> None:
        cause = document["cause"]
        if "timer" not in cause:
            self._input(message, side, cause, key)
            return
        if document["at"] < cause["due"]:
            self._wrong("early", key, f"{cause['timer']} was due at {cause['due']}, and fired at {document['at']}")
        if cause["timer"].endswith(":room"):
            step = cause["timer"].partition(":")[0]
            waited = self._waited(side)
            self.problems += side.lines.let_in(key, step, waited, anew=not waited(key, step))
            return
        due = due_ms(before.state)
        if due is not None and self._exact and message.commit is not None:
            life = message.commit.life
            side.fired = max(side.fired, (due, life.skew_ms))
            if message.at_ms + life.skew_ms < due:
                self._wrong("early", key, f"{cause['timer']} fired {due - message.at_ms - life.skew_ms} ms early")
            late_ms = message.at_ms - max(due - life.skew_ms, life.begun_ms)
            if late_ms > _LATE_MS:
                self._wrong("late", key, f"{cause['timer']} fired {late_ms} ms late")

    def _input(self, message: Message, side: Side, cause: Any, key: bytes) -> None:
        place, offset = (cause["topic"], cause["partition"]), cause["offset"]
        self.outcomes[place][offset] += 1
        due, skew = side.fired
        given = self._kafka.logs[place].records[offset]
        if given is None or place[1] != message.log.partition:
            self._wrong("inputs", key, f"its cause {place[0]}[{place[1]}]@{offset} is no record of its partition")
        elif given.at_ms + skew < due:
            late = due - given.at_ms - skew
            self._wrong("overtaken", key, f"{cause['type']} came {late} ms before a time-out seen to first")

    def _waited(self, side: Side) -> Waits:
        """Who waits since an earlier commit."""

        def waits(key: bytes, step: str) -> bool:
            tale = self.tales.get(key)
            if tale is None or step not in waiting(tale.progress):
                return False
            return key not in side.before or step in waiting(side.before[key])

        return waits

    def _count(self, side: Side, key: bytes, before: Progress, after: Progress) -> None:
        was, now = outstanding(before), outstanding(after)
        if was == now:
            return
        side.asked.subtract(was)
        side.asked.update(now)
        for step in now:
            if step not in was and side.asked[step] > self._plan.limit:
                self._wrong("limit", key, f"{side.asked[step]} commands of {step} are outstanding")

    # events

    def _event(self, tale: Tale, key: bytes, event: Any, before: Progress, document: Any) -> None:
        kind = event["type"]
        if kind.endswith(".requested") and "attempt" in event:
            direction = "do" if kind == "saga.step.requested" else "undo"
            self.requested[f"{key.decode()}:{event['step']}:{direction}:{event['attempt']}"] += 1
        elif kind == "saga.reply.ignored":
            self._ignored(key, event, before)
        elif kind == "saga.started":
            tale.lives += 1
            tale.by_hand = set()
            tale.end = None
            cause = document["cause"]
            tale.causes.append((cause["topic"], cause["offset"]))
        elif kind in ("saga.completed", "saga.rolled_back"):
            tale.ends += 1
            tale.end = kind
        elif kind == "saga.operated":
            self._operated(tale, event, before)

    def _operated(self, tale: Tale, event: Any, before: Progress) -> None:
        pivot = self._plan.saga.pivot
        if event["operation"] == "saga.skip":
            tale.by_hand.update(event["steps"])
        elif event["operation"] == "saga.compensate" and pivot is not None:
            leg = leg_of(getattr(before.state, "legs", ()), pivot.name)
            if leg is not None and leg.attempt:
                tale.by_hand.add(pivot.name)

    def _ignored(self, key: bytes, event: Any, before: Progress) -> None:
        """The first answer to what is under way must count."""
        state, step = before.state, self._types[event["reply"]]
        leg = leg_of(getattr(state, "legs", ()), step.name)
        forward = event["reply"] in (step.succeeded, step.refused)
        if leg is None or event["reply"] == step.failed or not isinstance(state, Running if forward else Compensating):
            return
        attempt = attempt_of(event["command"], effect_key(key.decode(), step.name, "do" if forward else "undo"))
        if attempt is not None and attempt <= leg.attempt:
            self._wrong("first answer", key, f"{event['reply']} to {event['command']} was ignored, though awaited")

    # documents

    def _documents(self, commit: Commit) -> None:
        told: dict[bytes, Message] = {}
        for message in commit.documents:
            key = message.key() or b""
            if key in told:
                self._wrong("changelog", key, "it has two documents in one commit")
            told[key] = message
        for side in self._sides:
            for key in side.before:
                if key not in told:
                    self._wrong("changelog", key, "it was decided, but not written to the changelog")
        for key, message in told.items():
            self._document(key, message, commit)

    def _document(self, key: bytes, message: Message, commit: Commit) -> None:
        value, tale = message.value(), self.tales.get(key)
        if tale is None:
            self._wrong("changelog", key, "it has a document, but no decision")
        elif value is not None:
            if tale.progress == UNKNOWN or value != encode(tale.progress):
                self._wrong("changelog", key, f"its document is not what its decisions lead to: {value.decode()[:80]}")
        else:
            state = tale.progress.state
            if not isinstance(state, FINAL):
                self._wrong("forgotten", key, f"it was forgotten when it was {type(state).__name__}")
            elif self._exact and message.at_ms + commit.life.skew_ms < state.forget_ms:
                self._wrong("forgotten", key, f"it was forgotten before {state.forget_ms}")
            tale.progress = UNKNOWN

    def _join(self, side: Side) -> None:
        """Those that wait since this commit stand in line, the first that it touched first."""
        for key, before in side.before.items():
            was = waiting(before)
            for step in waiting(self.tales[key].progress):
                if step not in was:
                    side.lines.join(key, step)
        side.before.clear()

    def last_ends(self) -> dict[bytes, str]:
        """How each saga ended that has ended, by the type of the event; its last life counts."""
        return {key: tale.end for key, tale in self.tales.items() if tale.end is not None}
