"""`python -m app.devkafka`: the `saga kafka` commands by themselves."""

from app.devkafka.cli import app

if __name__ == "__main__":
    app(prog_name="python -m app.devkafka")
