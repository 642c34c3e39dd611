"""The witnesses in Go: franz-go's kadm, and KEDA's own two Kafka scalers. Each program is built once."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from tests.witnesses.cache import cached, place_of
from tests.witnesses.conversation import Conversation
from tests.witnesses.witness import Lag, NoAnswer, Unavailable, Witness

_HERE = Path(__file__).parent
_BUILD_SECONDS = 3600.0


@contextmanager
def kadm(bootstrap: str, group: str, topics: Sequence[str], partitions: int, folder: Path) -> Iterator[Witness]:
    """The lag as franz-go computes it, for a `with` block. Raises Unavailable."""
    command = [str(built("lag")), bootstrap, group, str(partitions), *topics]
    with Conversation(command, folder / "kadm.log") as program:
        yield Witness("kadm", lambda: lag_of(program.ask()[0]))


@contextmanager
def keda(
    scaler: str, bootstrap: str, group: str, topics: Sequence[str], partitions: int, folder: Path
) -> Iterator[Witness]:
    """The lag that a scaler of KEDA reports, for a `with` block. Raises Unavailable unless it was built before."""
    if not place_of("keda", _sources("keda")).exists():
        raise Unavailable("KEDA's scaler is not built: run `make witnesses`")
    command = [str(built("keda")), scaler, bootstrap, group, str(partitions), *topics]
    with Conversation(command, folder / f"keda-{scaler}.log") as program:
        yield Witness(f"KEDA {scaler}", lambda: lag_of(program.ask()[0]))


def lag_of(line: str) -> Lag:
    """The lag in an answer. Raises NoAnswer if it is an error, or if a scaler's activity contradicts its lag."""
    answer = orjson.loads(line)
    if "error" in answer:
        raise NoAnswer(answer["error"])
    lag = {(topic, number): each for topic, lags in answer["lag"].items() for number, each in enumerate(lags)}
    for topic, states in answer.get("active", {}).items():
        for number, active in enumerate(states):
            if active != (lag[topic, number] > 0):
                raise NoAnswer(f"{topic}[{number}] has lag {lag[topic, number]}, and is active: {active}")
    return lag


def built(name: str) -> Path:
    """The program of the folder `name`, compiled if it never was. Raises Unavailable without a Go that can."""
    go = shutil.which("go")
    if go is None:
        raise Unavailable("there is no Go on PATH")

    def build(into: Path) -> None:
        ended = subprocess.run(
            [go, "build", "-o", str(into), "."],
            cwd=_HERE / name,
            check=False,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
        )
        if ended.returncode:
            raise Unavailable(f"go build failed: {ended.stderr.strip()[-500:]}")

    return cached(name, _sources(name), build)


def _sources(name: str) -> list[Path]:
    return [_HERE / name / file for file in ("go.mod", "go.sum", "main.go")]


def main() -> None:
    """Builds the programs that are named on the command line."""
    for name in sys.argv[1:]:
        begun = time.monotonic()
        built(name)
        print(f"{name} is built ({time.monotonic() - begun:.0f} s)")  # noqa: T201 - a command may print


if __name__ == "__main__":
    main()
