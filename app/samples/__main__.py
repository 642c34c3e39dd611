"""`python -m app.samples`: the `saga` commands of this room by themselves."""

from app.ops.logs import wordless
from app.samples.cli import app

if __name__ == "__main__":
    with wordless():
        app(prog_name="python -m app.samples")
