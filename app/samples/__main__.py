"""`python -m app.samples`: the `saga` commands of the samples alone."""

from app.ops.logs import redact_exceptions
from app.samples.cli import app

if __name__ == "__main__":
    with redact_exceptions():
        app(prog_name="python -m app.samples")
