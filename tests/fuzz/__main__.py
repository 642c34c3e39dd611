"""Fuzzes the wire decoder and the processor with records, guided by code coverage.

`python -m tests.fuzz --seconds 60 --seed 1` mutates valid messages; `--replay FILE` processes one record again. For a
broken rule the exit code is not 0, and the command that repeats it is printed.
"""

import argparse
import sys
from hashlib import sha1
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_INSTRUMENTED = ["app.wire", "app.saga", "app.engine.processor", "tests.fuzz.planted"]
_MOST_MB = 1024
_LONGEST = 8192  # bytes of an input, which can stand for a longer record by repeating a part


def main() -> int:
    """Runs the fuzzer, which ends the process itself, or replays one record."""
    options = _arguments().parse_args()
    if options.replay is not None:
        return _replay(options)
    try:
        import atheris
    except ImportError:
        return _say("atheris is not available here: it supports only Linux on x86-64", 2)
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.planted import processor_kind
        from tests.fuzz.target import Target
    with TemporaryDirectory() as folder, Target(Path(folder) / "state", processor_kind(options.plant)) as target:
        _fuzz(atheris, target, options, Path(folder))
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time limit; 0: none")
    parser.add_argument("--runs", type=int, default=-1, help="limit on the number of records; -1: none")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mutations")
    parser.add_argument(
        "--corpus", type=Path, help="folder for inputs that reached new code; they are used at the start"
    )
    parser.add_argument("--crashes", type=Path, default=Path(), help="folder for records that broke a rule")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="process only this record")
    parser.add_argument("--plant", action="store_true", help="plant a bug, which must be found")
    return parser


def _replay(options: argparse.Namespace) -> int:
    from tests.fuzz.planted import processor_kind
    from tests.fuzz.target import Target

    with TemporaryDirectory() as folder, Target(Path(folder), processor_kind(options.plant)) as target:
        target.run_input(options.replay.read_bytes())
    return _say("no rule was broken", 0)


def _fuzz(atheris: Any, target: Any, options: argparse.Namespace, folder: Path) -> None:
    from tests.fuzz.mutator import mutate_input

    def run_input(data: bytes) -> None:
        try:
            target.run_input(data)
        except BaseException:
            file = options.crashes / f"crash-{sha1(data, usedforsecurity=False).hexdigest()}"
            _say(f"to repeat it: python -m tests.fuzz --replay {file}{' --plant' * options.plant}", 1)
            raise

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        return mutate_input(data, max_size, seed, atheris.Mutate)

    arguments = [sys.argv[0], *_options(target, options, folder)]
    atheris.Setup(arguments, run_input, custom_mutator=mutate)
    atheris.Fuzz()


def _options(target: Any, options: argparse.Namespace, folder: Path) -> list[str]:
    """Arguments for libFuzzer; writes the initial corpus and the dictionary."""
    corpus, seeds, tokens = options.corpus or folder / "corpus", folder / "seeds", folder / "dictionary"
    for created in (corpus, seeds, options.crashes):
        created.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"{number:04d}").write_bytes(seed)
    tokens.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens()), "ascii")
    flags = {
        "seed": options.seed,
        "runs": options.runs,
        "max_total_time": options.seconds,
        "max_len": _LONGEST,
        "rss_limit_mb": _MOST_MB,
        "timeout": 10,
        "dict": tokens,
        "artifact_prefix": f"{options.crashes}/",
        "print_final_stats": 1,
    }
    return [*(f"-{name}={value}" for name, value in flags.items()), str(corpus), str(seeds)]


def _escaped(token: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{ord(letter):02X}" for letter in token)


def _say(text: str, code: int) -> int:
    (sys.stderr if code else sys.stdout).write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
