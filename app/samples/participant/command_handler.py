"""One participant's work without Kafka: reads a command, writes the ledger, returns the reply."""

from app.ops.errors import CommandFailed
from app.samples.participant import commands, contract_rules
from app.samples.participant.commands import AnyCommand, Command
from app.samples.participant.contract_rules import Answer
from app.samples.participant.fault_plan import Crash, Failure, FaultPlan, InjectedFault
from app.samples.participant.ledger import Ledger
from app.samples.participant.reply_outbox import Reply, headers
from app.samples.services.base import Service
from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord


class CommandHandler:
    """Answers commands from the ledger, with the plan's faults injected; copies of a command get the same reply.

    Raises CommandFailed for a plan that the service can't follow.
    """

    def __init__(self, service: Service, faults: FaultPlan, ledger: Ledger) -> None:
        _check(service, faults)
        self._service = service
        self._faults = faults
        self._ledger = ledger

    def answer(
        self, key: bytes | None, value: bytes | None, given: Headers | None, at_ms: int, seconds: float = 0.0
    ) -> Reply:
        """The reply to a record of the commands topic that is read so many seconds after the start of the service.

        Must be called within a transaction of the ledger. Raises InvalidRecord when the record names no addressee.
        """
        command = commands.read(self._service, key, value, given)
        if isinstance(command, Command):
            return self._handle(command, at_ms, seconds)
        return self._reply(command, self._failure(command, command.reason, at_ms))

    def _handle(self, command: Command, at_ms: int, seconds: float) -> Reply:
        fault = self._faults.fault_for(command.id, command.direction)
        answer = self._ledger.failure(command.id)
        if answer is None:
            answer = self._attempt(command, fault, at_ms, seconds)
            if answer.type == self._service.failed:
                self._ledger.put_failure(command.id, answer)
        return self._reply(command, answer, fault.copies, fault.delay_ms, fault.crash)

    def _attempt(self, command: Command, fault: InjectedFault, at_ms: int, seconds: float) -> Answer:
        if seconds in self._faults.broken and self._ledger.get(command.key) is None:
            return self._failure(command, "out of order", at_ms, Failure.RETRYABLE)
        if fault.failure is None:
            return self._work(command, at_ms)
        if fault.works_first:
            self._work(command, at_ms)
        return self._failure(command, "failed by chance", at_ms, fault.failure)

    def _work(self, command: Command, at_ms: int) -> Answer:
        """The answer in the ledger; without one, decides it and writes it there."""
        answer = self._ledger.get(command.key)
        if answer is not None:
            return answer
        opposite, refused = self._ledger.get(command.opposite), self._faults.refuses(command.order_id)
        try:
            answer = contract_rules.settle(self._service, command, opposite, at_ms, refused=refused)
        except InvalidRecord as bad:
            return self._failure(command, f"{bad.code}: {bad.message}", at_ms)
        self._ledger.put(command.key, answer)
        return answer

    def _failure(self, command: AnyCommand, reason: str, at_ms: int, kind: Failure = Failure.FOR_GOOD) -> Answer:
        return contract_rules.failure(self._service, command.order_id, reason, at_ms, retryable=kind.value)

    def _reply(
        self, command: AnyCommand, answer: Answer, copies: int = 1, delay_ms: int = 0, crash: Crash | None = None
    ) -> Reply:
        reply_headers = headers(self._service, command, answer)
        return Reply(command.id, command.order_id.encode(), answer.value, reply_headers, copies, delay_ms, crash)


def _check(service: Service, faults: FaultPlan) -> None:
    if faults.refuse and service.refused is None:
        raise CommandFailed(f"refuse must be 0 for the {service.name} service: it never refuses")
    if faults.fail_undo_for_good and service.undo is None:
        raise CommandFailed(f"fail_undo_for_good must be 0 for the {service.name} service: it has no undo")
