"""One participant's work without Kafka: a command comes in, the books are written, a reply goes out."""

from app.samples import commands, rules
from app.samples.behaviour import Behaviour, Crash, Failure, Whim
from app.samples.commands import Asked, Command
from app.samples.ledger import Ledger
from app.samples.replies import Reply, headers
from app.samples.rules import Answer
from app.samples.service import Service
from app.samples.trouble import Trouble
from app.wire.bad import Bad
from app.wire.envelope import Headers


class Desk:
    """Answers commands out of the books and with the whims of its behaviour; the same command gets the same reply.

    Raises Trouble for a behaviour that the service can't have.
    """

    def __init__(self, service: Service, behaviour: Behaviour, ledger: Ledger) -> None:
        _check(service, behaviour)
        self._service = service
        self._behaviour = behaviour
        self._ledger = ledger

    def answer(
        self, key: bytes | None, value: bytes | None, given: Headers | None, at_ms: int, seconds: float = 0.0
    ) -> Reply:
        """The reply to a record of the commands topic that comes so many seconds after the start of the service.

        To be called within a transaction of the ledger. Raises Bad when the record doesn't even say whom to answer.
        """
        asked = commands.read(self._service, key, value, given)
        if isinstance(asked, Command):
            return self._obey(asked, at_ms, seconds)
        return self._reply(asked, self._failure(asked, asked.reason, at_ms))

    def _obey(self, command: Command, at_ms: int, seconds: float) -> Reply:
        whim = self._behaviour.whim(command.id, command.direction)
        answer = self._ledger.failure(command.id)
        if answer is None:
            answer = self._attempt(command, whim, at_ms, seconds)
            if answer.type == self._service.failed:
                self._ledger.put_failure(command.id, answer)
        return self._reply(command, answer, whim.copies, whim.delay_ms, whim.crash)

    def _attempt(self, command: Command, whim: Whim, at_ms: int, seconds: float) -> Answer:
        if seconds in self._behaviour.broken and self._ledger.get(command.key) is None:
            return self._failure(command, "out of order", at_ms, Failure.RETRYABLE)
        if whim.failure is None:
            return self._work(command, at_ms)
        if whim.works_first:
            self._work(command, at_ms)
        return self._failure(command, "failed by chance", at_ms, whim.failure)

    def _work(self, command: Command, at_ms: int) -> Answer:
        """Does or undoes what is asked, unless the books say that it was answered before."""
        answer = self._ledger.get(command.key)
        if answer is not None:
            return answer
        opposite, refused = self._ledger.get(command.opposite), self._behaviour.refuses(command.order_id)
        try:
            answer = rules.settle(self._service, command, opposite, at_ms, refused=refused)
        except Bad as bad:
            return self._failure(command, f"{bad.code}: {bad.message}", at_ms)
        self._ledger.put(command.key, answer)
        return answer

    def _failure(self, asked: Asked, reason: str, at_ms: int, kind: Failure = Failure.FOR_GOOD) -> Answer:
        return rules.failure(self._service, asked.order_id, reason, at_ms, retryable=kind.value)

    def _reply(
        self, asked: Asked, answer: Answer, copies: int = 1, delay_ms: int = 0, crash: Crash | None = None
    ) -> Reply:
        said = headers(self._service, asked, answer)
        return Reply(asked.id, asked.order_id.encode(), answer.value, said, copies, delay_ms, crash)


def _check(service: Service, behaviour: Behaviour) -> None:
    if behaviour.refuse and service.refused is None:
        raise Trouble(f"refuse must be 0 for the {service.name} service: it never refuses")
    if behaviour.fail_undo_for_good and service.undo is None:
        raise Trouble(f"fail_undo_for_good must be 0 for the {service.name} service: it undoes nothing")
