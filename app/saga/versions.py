"""The versions of a saga side by side: new sagas start with the latest one, active sagas keep theirs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.saga.definition import Saga, Step
from app.saga.soundness import Unsound
from app.saga.state import FINAL, NotStarted, State, definition


@dataclass(frozen=True, slots=True)
class Versions:
    """All definitions of one saga in this process. Raises Unsound if they can't work together."""

    sagas: tuple[Saga, ...]
    by_version: dict[int, Saga] = field(init=False, repr=False, compare=False)
    latest: Saga = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for flaw in _flaws(self.sagas):
            raise Unsound(f"the versions of a saga can't work together: {flaw}")
        object.__setattr__(self, "by_version", {saga.version: saga for saga in self.sagas})
        object.__setattr__(self, "latest", max(self.sagas, key=lambda saga: saga.version))

    @property
    def name(self) -> str:
        """The name that all versions share."""
        return self.latest.name

    @property
    def definitions(self) -> frozenset[str]:
        """The names of the definitions: `order/1`, `order/2`."""
        return frozenset(definition(saga.name, saga.version) for saga in self.sagas)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of any version once, as declared last; the steps of the latest version come first."""
        newest_first = sorted(self.sagas, key=lambda saga: -saga.version)
        steps: dict[str, Step] = {}
        for saga in newest_first:
            for step in saga.steps:
                steps.setdefault(step.name, step)
        return tuple(steps.values())

    def of(self, state: State) -> Saga:
        """The definition that decides for a state. Raises KeyError if it is missing and the saga has not ended.

        That is the version that the saga started with, or the latest one for a new saga, and for an ended saga whose
        version is missing.
        """
        if isinstance(state, NotStarted):
            return self.latest
        try:
            return self.by_version[state.data.version]
        except KeyError:
            if isinstance(state, FINAL):
                return self.latest
            raise

    def each(self, change: Callable[[Saga], Saga]) -> "Versions":
        """All versions, each with the change applied."""
        return Versions(tuple(change(saga) for saga in self.sagas))


def _flaws(sagas: tuple[Saga, ...]) -> Iterator[str]:
    if not sagas:
        yield "there is none"
    numbers = [saga.version for saga in sagas]
    if len({saga.name for saga in sagas}) > 1:
        yield "they have different names"
    if len(set(numbers)) < len(numbers):
        yield "two of them have the same number"
    seen: dict[str, tuple[int, Step]] = {}
    for saga in sagas:
        for step in saga.steps:
            version, other = seen.setdefault(step.name, (saga.version, step))
            if (other.succeeded, other.refused, other.undone, other.failed, other.result) != (
                step.succeeded,
                step.refused,
                step.undone,
                step.failed,
                step.result,
            ):
                yield (
                    f"{step.name} is answered differently in the versions {version} and {saga.version}: "
                    "give the step of the new one another name"
                )
