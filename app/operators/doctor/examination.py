"""Runs checks at the same time, each on a thread of its own, until one deadline for all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, Queue
from threading import Thread

from confluent_kafka import KafkaException

from app.operators.brokers import Deadline
from app.operators.doctor.finding import Finding, error, warning
from app.ops.errors import CommandFailed
from app.ops.kafka_settings import WrongSetting

Check = Callable[[], Iterable[Finding]]


def examine(checks: Mapping[str, Check], deadline: Deadline) -> Iterator[Finding]:
    """The findings of all checks, in the order of `checks`, each as soon as it and those before it are there.

    A check that fails is a finding, and so is one without an answer at the deadline. Its thread is a daemon: it ends
    with the process.
    """
    answers = {name: _start(name, check) for name, check in checks.items()}
    for name, answer in answers.items():
        try:
            yield from answer.get(timeout=max(0.001, deadline.left()))
        except Empty:
            fact = f"no answer within {deadline.seconds:g} s"
            yield warning(name, fact, "ask again, with a longer --timeout; if it stays so, look at the brokers")


def _start(name: str, check: Check) -> "Queue[list[Finding]]":
    answer: Queue[list[Finding]] = Queue()
    Thread(target=lambda: answer.put(_findings(name, check)), name=f"doctor-{name}", daemon=True).start()
    return answer


def _findings(name: str, check: Check) -> list[Finding]:
    try:
        return list(check())
    except WrongSetting as wrong:
        return [error(name, str(wrong))]
    except CommandFailed as failed:
        return [error(name, str(failed), passes=True)]
    except KafkaException as refused:
        return [error(name, f"the brokers refuse: {refused.args[0].str()}", passes=True)]
    except Exception as defect:  # noqa: BLE001 - a defect in one check must not hide what the others find
        return [error(name, f"this check failed with {type(defect).__name__}: report it as a defect", passes=True)]
