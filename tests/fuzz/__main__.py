"""Shoots records at the wire decoder and at all that a record leads to, guided by the code that they reach.

`python -m tests.fuzz --seconds 60 --seed 1` begins with good messages and changes them; `--replay FILE` takes one
record again. Whatever may not be ends it with a code other than 0, and it says how to see it again.
"""

import argparse
import sys
from hashlib import sha1
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_INSTRUMENTED = ["app.wire", "app.saga", "app.engine.turn", "tests.fuzz.planted"]
_MOST_MB = 1024
_LONGEST = 8192  # bytes of an input, which may ask for more by repeating a part


def main() -> int:
    """Runs the fuzzer, which ends the process itself; or takes one record again."""
    asked = _arguments().parse_args()
    if asked.replay is not None:
        return _replay(asked)
    try:
        import atheris
    except ImportError:
        return _say("there is no atheris for this computer: it comes for Linux on x86-64 only", 2)
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.planted import turns
        from tests.fuzz.target import Target
    with TemporaryDirectory() as folder, Target(Path(folder) / "state", turns(asked.plant)) as target:
        _fuzz(atheris, target, asked, Path(folder))
    return 0


def _arguments() -> argparse.ArgumentParser:
    wanted = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    wanted.add_argument("--seconds", type=int, default=60, help="how long at most; 0: for ever")
    wanted.add_argument("--runs", type=int, default=-1, help="how many records at most")
    wanted.add_argument("--seed", type=int, default=1, help="of what is changed by chance")
    wanted.add_argument("--corpus", type=Path, help="folder in which what reached new code is kept, and begun with")
    wanted.add_argument("--crashes", type=Path, default=Path(), help="folder for what went wrong")
    wanted.add_argument("--replay", type=Path, metavar="FILE", help="take this record, and nothing else")
    wanted.add_argument("--plant", action="store_true", help="with a bug that must be found")
    return wanted


def _replay(asked: argparse.Namespace) -> int:
    from tests.fuzz.planted import turns
    from tests.fuzz.target import Target

    with TemporaryDirectory() as folder, Target(Path(folder), turns(asked.plant)) as target:
        target.shoot(asked.replay.read_bytes())
    return _say("nothing is wrong with it", 0)


def _fuzz(atheris: Any, target: Any, asked: argparse.Namespace, folder: Path) -> None:
    from tests.fuzz.mutator import mutated

    def shoot(data: bytes) -> None:
        try:
            target.shoot(data)
        except BaseException:
            file = asked.crashes / f"crash-{sha1(data, usedforsecurity=False).hexdigest()}"
            _say(f"to see it again: python -m tests.fuzz --replay {file}{' --plant' * asked.plant}", 1)
            raise

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return mutated(data, most, seed, atheris.Mutate)

    arguments = [sys.argv[0], *_options(target, asked, folder)]
    atheris.Setup(arguments, shoot, custom_mutator=mutate)
    atheris.Fuzz()


def _options(target: Any, asked: argparse.Namespace, folder: Path) -> list[str]:
    """The fuzzer's own arguments, and the folders with what it begins with."""
    corpus, seeds, words = asked.corpus or folder / "corpus", folder / "seeds", folder / "words"
    for made in (corpus, seeds, asked.crashes):
        made.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"{number:04d}").write_bytes(seed)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words()), "ascii")
    options = {
        "seed": asked.seed,
        "runs": asked.runs,
        "max_total_time": asked.seconds,
        "max_len": _LONGEST,
        "rss_limit_mb": _MOST_MB,
        "timeout": 10,
        "dict": words,
        "artifact_prefix": f"{asked.crashes}/",
        "print_final_stats": 1,
    }
    return [*(f"-{name}={value}" for name, value in options.items()), str(corpus), str(seeds)]


def _escaped(word: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{ord(letter):02X}" for letter in word)


def _say(text: str, code: int) -> int:
    (sys.stderr if code else sys.stdout).write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
