"""Picks the saga and its topology, and hands them to the `saga` command."""

from app.cli import command
from topologies.orchestrate import orchestrate
from topologies.order import ORDER


def main() -> None:
    """The `saga` command."""
    command(ORDER, orchestrate)()


if __name__ == "__main__":
    main()
