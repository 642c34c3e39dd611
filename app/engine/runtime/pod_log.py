"""Log lines that tell how a pod is doing: broker errors, restore progress, admission limits, a summary each minute."""

import logging
import time

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.meters import Meters

log = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0
_RESTORE_SECONDS = 10.0
_SUMMARY_SECONDS = 60.0
_ERROR_SECONDS = 10.0  # between two lines of the same kind of broker error


class PodLog:
    """Looks once a second, on the loop's thread."""

    def __init__(self, assigned: AssignedPartitions, meters: Meters) -> None:
        self._assigned = assigned
        self._meters = meters
        self._checked = 0.0
        self._restore_logged = self._summarised = time.monotonic()
        self._limited: dict[str, int] = {}
        self._errors: dict[str, float] = {}  # when each kind of broker error was last logged
        self._trouble_at: float | None = None
        self._before = self._counts()

    def check(self, now: float) -> None:
        """Writes what is due; `now` is in monotonic seconds."""
        if now - self._checked < _CHECK_SECONDS:
            return
        self._checked = now
        if self._assigned.restoring:
            if now - self._restore_logged >= _RESTORE_SECONDS:
                self._restore_logged = now
                log.info("restoring state", extra={"records_left": self._assigned.restore_remaining})
            return
        self._restore_logged = now
        self._log_recovery()
        self._log_admission()
        if now - self._summarised >= _SUMMARY_SECONDS:
            self._summarise(now)

    def broker_error(self, name: str, text: str, now: float) -> None:
        """Logs an error of the consumer, each kind at most every ten seconds; most pass by themselves."""
        self._trouble_at = now
        if now - self._errors.get(name, -_ERROR_SECONDS) >= _ERROR_SECONDS:
            self._errors[name] = now
            log.warning("broker error", extra={"error": text, "code": name})

    def _log_recovery(self) -> None:
        if self._trouble_at is not None and self._meters.last_commit > self._trouble_at:
            seconds = self._meters.last_commit - self._trouble_at
            log.info("first commit after broker errors", extra={"seconds_after_last_error": round(seconds, 1)})
            self._trouble_at = None

    def _log_admission(self) -> None:
        """Logs when a step's commands begin to be limited below the configured limit, and when that ends."""
        limited: dict[str, int] = {}
        for task in self._assigned.tasks.values():
            admission = task.store.admission
            for step, window in admission.windows().items():
                if window < admission.limit and admission.queued_since().get(step) is not None:
                    limited[step] = limited.get(step, 0) + window
        for step in limited.keys() - self._limited.keys():
            log.warning("admission limited: participant slow or failing", extra={"step": step, "window": limited[step]})
        for step in self._limited.keys() - limited.keys():
            log.info("admission recovered: nothing is queued", extra={"step": step})
        self._limited = limited

    def _summarise(self, now: float) -> None:
        seconds, self._summarised = now - self._summarised, now
        before, self._before = self._before, self._counts()
        rates = {f"{name}_per_second": round((self._before[name] - before[name]) / seconds, 1) for name in before}
        counts = [task.store.index.counts for task in self._assigned.tasks.values()]
        log.info(
            "summary",
            extra={
                **rates,
                "partitions": len(counts),
                "live": sum(sum(count.live.values()) for count in counts),
                "in_flight": sum(sum(count.in_flight.values()) for count in counts),
                "queued": sum(sum(count.queued.values()) for count in counts),
                "stuck": sum(count.stuck for count in counts),
            },
        )

    def _counts(self) -> dict[str, int]:
        meters = self._meters
        return {
            "records": sum(meters.records.values()),
            "decisions": sum(meters.all_decisions().values()),
            "commands": sum(meters.all_commands().values()),
            "outcomes": sum(meters.outcomes.values()),
            "dead_letters": sum(meters.dead_letters.values()),
        }
